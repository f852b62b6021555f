"""How acestep-api is spoken to: the HTTP below, and what its replies mean. For ace_client and generation."""

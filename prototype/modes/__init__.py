"""What is done instead of playing: check, listing, render. For app."""

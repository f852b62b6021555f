"""The endless programme: where pieces come from, the loader, the mixer. For player, screen and above."""

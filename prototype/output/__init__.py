"""Where the sound goes: libVLC, and the recorder. For player and session."""

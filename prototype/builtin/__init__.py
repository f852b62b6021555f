"""Music without a server: the bed, and the engine that composes and sounds its pieces. For session and modes."""

"""One evening of playing: builds all parts, starts them down, stops them up, carries out wishes. For app."""

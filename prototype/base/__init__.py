"""What everything stands on: errors, threads and the clock, notices, texts. Any room may import it."""

"""What music is here: segments, stations, audio files and their analysis. Any room further down may import it."""

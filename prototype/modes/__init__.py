"""What is done instead of playing: check, listing, render, export, serve. For app.

Each is a function of the settings and of the lines that it prints, and returns how the program ends.
"""

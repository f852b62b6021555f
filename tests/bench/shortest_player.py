"""The shortest python-vlc script that plays a file: what the program's own start is compared with."""

import sys

import vlc

vlc.MediaPlayer(sys.argv[1]).play()
sys.stdin.read()

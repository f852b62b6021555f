"""A program that reads keys as `app` does; run by `test_terminal` on a terminal of its own.

`quit`, `raise` and `exit` say how it ends on q; `job-control` runs the program under a minimal shell that
knows Ctrl-Z, bg and fg.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import termios
import threading

from base.process import ENDING
from screen.keyboard import Keyboard, handle_suspension


def say(text: str) -> None:
    """Show a line on the terminal."""
    os.write(1, text.encode() + b"\r\n")


def program(how: str) -> None:
    """Read keys until q or a signal."""
    stop = threading.Event()
    keyboard = Keyboard()

    def on_stop(_number: int, _frame: object) -> None:
        stop.set()
        keyboard.close()

    def on_suspend() -> None:
        keyboard.suspend()
        say("suspended")

    def on_resume() -> None:
        say("resumed")
        keyboard.resume()

    for number in ENDING:
        signal.signal(number, on_stop)
    if how == "job-control":
        handle_suspension(on_suspend, on_resume)
    keyboard.resume()
    say("ready")
    for key in keyboard.keys(stop):
        say(f"key {key}")
        if key == "q":
            if how == "raise":
                raise RuntimeError("on purpose")
            if how == "exit":
                sys.exit(3)
            break
    if how != "raise":
        keyboard.close()


def shell() -> int:
    """Run the program as a job of its own, and obey bg and fg when it is stopped."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        program("job-control")
        os._exit(0)
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        os.tcsetpgrp(0, os.getpgrp())
        say("stopped")
        for line in sys.stdin:
            if line.strip() == "bg":
                os.killpg(job, signal.SIGCONT)
            if line.strip() == "fg":
                os.tcsetpgrp(0, job)
                break


if __name__ == "__main__":
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if sys.argv[1] == "job-control":
        sys.exit(shell())
    program(sys.argv[1])

"""`--ctl COMMAND`: tells the running player what to do, or asks it how it is."""

from __future__ import annotations

import json
import sys
from typing import Final

from base.control_socket import NotReached, ask
from config import Settings
from screen.plain_lines import Lines, harmless

EXIT_NOT_REACHED: Final = 3


def control(settings: Settings) -> int:
    """Send the command to the player of the spool and print what became of it; return the exit code."""
    line = " ".join(settings.ctl)
    try:
        reply = ask(settings.spool_dir, line)
    except NotReached as reason:
        Lines(sys.stderr).say(harmless(reason.words(settings.language)))
        return EXIT_NOT_REACHED
    code = reply.get("code")
    if "status" in reply and "--json" in settings.ctl:
        Lines(sys.stdout).say(json.dumps(reply["status"], ensure_ascii=False, indent=2))
    else:
        Lines(sys.stderr if code else sys.stdout).say(harmless(reply.get("message", "")))
    return code if isinstance(code, int) else EXIT_NOT_REACHED

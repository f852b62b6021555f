"""`--ctl COMMAND`: tells the running player what to do, or asks it how it is."""

from __future__ import annotations

import json
import sys

from base.control_socket import NotReached, ask
from base.process import Exit
from base.texts import reason_of
from config import Settings
from screen.printing import Lines, harmless


def control(settings: Settings, lines: Lines) -> int:
    """Send the command to the player of the spool and print what became of it; return the exit code."""
    refusing = Lines(sys.stderr, settings.language)
    try:
        reply = ask(settings.spool_dir, " ".join(settings.ctl))
    except NotReached as reason:
        refusing.tell(reason_of(reason))
        return Exit.NOT_REACHED
    code = reply.get("code")
    if "status" in reply and "--json" in settings.ctl:
        lines.say(json.dumps(reply["status"], ensure_ascii=False, indent=2))
    else:
        (refusing if code else lines).say(harmless(reply.get("message", "")))
    return code if isinstance(code, int) else Exit.NOT_REACHED

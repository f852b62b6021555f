"""The group "process" of the fault matrix: the real program, sound server, terminal, disk and acestep-api.

They take real time, and run one by one. How often kill -9 is survived: python tests/whole/faults/kills.py 200
"""

from __future__ import annotations

from typing import Final

from whole.faults import device_rows, ending_rows, folder_rows, screen_rows, server_rows
from whole.faults.stage import ProcessRow

ROWS: Final[tuple[ProcessRow, ...]] = (
    *device_rows.ROWS,
    *ending_rows.ROWS,
    *screen_rows.ROWS,
    *folder_rows.ROWS,
    *server_rows.ROWS,
)

"""The listener at the terminal: what is shown, and which keys are pressed."""

from __future__ import annotations

import threading

from screen.dashboard import Dashboard
from screen.keyboard import Keyboard, handle_suspension
from session.session import Session


class Terminal:
    """The last stage: it shows a session and obeys the keys. Threads: the main one."""

    def __init__(self, session: Session, keyboard: Keyboard, dashboard: Dashboard) -> None:
        self._session = session
        self._keyboard = keyboard
        self._dashboard = dashboard

    def start(self) -> None:
        """Take the terminal."""
        begin = self._session.sound.begin
        self._session.ring = self._dashboard.ring
        handle_suspension(self._leave, self._take)
        begin("input", self._listen)
        begin("dashboard", self._dashboard.run)

    def stop(self) -> None:
        """Give the terminal back."""
        self._session.sound.stop_event.set()
        self._keyboard.close()
        self._dashboard.close()

    def _leave(self) -> None:
        self._dashboard.suspend()
        self._keyboard.suspend()

    def _take(self) -> None:
        self._keyboard.resume()
        self._dashboard.resume()

    def _listen(self, stop: threading.Event) -> None:
        """Body of the input thread: keys become commands."""
        session = self._session
        for key in self._keyboard.keys(stop):
            command = session.controls.key(key, session.sound.mood.station.key)
            self._dashboard.refresh()
            if command is not None:
                session.conductor.obey(command)

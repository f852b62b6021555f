"""Everything around the sound: the making of music, commands from elsewhere, the timer, and the listener's terminal."""

from __future__ import annotations

import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from ace_client import AceClient
from base.process import heed, heed_aside
from base.texts import text
from generation.calls import Client, Run
from generator_loop import GeneratorLoop
from music.segment import SAMPLE_RATE_HZ, Source
from music.stations import Station
from player import LOOK_AHEAD_S
from programme.history import Heard
from screen.controls import Command, Controls
from screen.keyboard import Keyboard, handle_suspension
from screen.view import UNHEARD, Snapshot
from session.conductor import Answer, Conductor
from session.control import Answering, ControlServer
from session.mpris import Mpris
from session.sound import Sound
from session.timers import TICK_S, SessionTimer
from spool.spool import SpoolSnapshot
from spool.state_files import JobsFile

if TYPE_CHECKING:
    from screen.dashboard import Dashboard  # slow to import: what makes music begins before it is shown

JOIN_S: Final = 0.3
STARTING_S: Final = 5.0


class Session:
    """One session, from the first key to the last.

    Threads: built and run by the main thread; `snapshot` may be called from anywhere.
    """

    def __init__(self, sound: Sound, stations: Sequence[Station]) -> None:
        settings, around = sound.settings, sound.around
        self.sound = sound
        self._settings = settings
        self._clock = sound.clock
        self._clients: Sequence[Client] = around.clients or [AceClient.of(one) for one in settings.servers]
        self.generator = GeneratorLoop(
            settings,
            self._clients,
            sound.spool,
            sound.mood,
            Run(sound.clock, sound.notices, sound.stop_event, around.rng, sound.on_thread_failure),
            ear=around.ear,
            jobs_file=JobsFile(settings.spool_dir / "jobs.json", sound.later),
        )
        sound.pacing.factor = lambda: self.generator.pace(settings.crossfade_seconds)
        self._timer = SessionTimer(self._clock.now(), settings.play_for, settings.pomodoro, tail_s=LOOK_AHEAD_S)
        self.controls = Controls(
            [station.key for station in stations],
            heard=lambda: [one.key for one in reversed(sound.loader.history.heard)],
        )
        self._stations = tuple(stations)
        self.conductor = Conductor(
            sound, stations, self._timer, set_resting=self.generator.set_resting, announce=self._announce
        )
        sound.builtin.is_liked = self.conductor.is_liked
        answering = Answering(self.obey, self.snapshot, stations, settings.language)
        self._mpris = Mpris(self.obey, self.snapshot, settings.language, self._clock)
        sound.on_change = sound.loader.on_started = self._mpris.refresh
        self.ring: Callable[[], None] = lambda: None
        """Rings the terminal's bell."""
        self.show: Callable[[], None] = lambda: None
        """Has it shown at once how it is."""
        self._control = ControlServer(settings.spool_dir, answering, self._clock)
        self._began_at = self._silence_at = self._clock.now()
        self._silent_frames = 0
        self._late_said = False
        self._seen: tuple[object, ...] = ()
        self._history: tuple[SpoolSnapshot | None, object, tuple[Heard, ...]] = None, None, ()

    def start(self) -> None:
        """Make music, and obey who is not at the keyboard."""
        for sentence in self._settings.warnings:
            self.sound.notices.say("config.warning", "warning", sentence=sentence)
        if Source.FRESH in self.sound.order:
            self.generator.start()
        self.sound.begin("control", self._control.run)
        self.sound.begin("mpris", self._mpris.run)

    def run(self) -> Snapshot:
        """Follow the timer and the sound until it is time to stop; return the last snapshot."""
        while not self._clock.wait(self.sound.stop_event, min(TICK_S, self._timer.next_s(self._clock.now()))):
            self.conductor.tick()
            self._watch_sound()
            self.sound.watch()
        self._watch_sound()
        return self.snapshot()

    def stop(self) -> None:
        """Let calls that wait fail, and end."""
        self.sound.stop_event.set()
        self._control.close()
        self._mpris.refresh()
        for client in self._clients:
            client.close()
        self.generator.join(JOIN_S)
        self.conductor.finish()

    def obey(self, command: Command) -> Answer:
        """Carry out a command, wherever it comes from, and show what became of it."""
        answer = self.conductor.obey(command)
        self.show()
        self._mpris.refresh()
        return answer

    def snapshot(self) -> Snapshot:
        """Take everything the dashboard shows together."""
        sound, now, spool = self.sound, self._clock.now(), self.sound.spool.snapshot()
        player, station = sound.player, sound.mood.station
        mixer = dataclasses.replace(
            sound.programme.snapshot(),
            paused=player.is_paused,
            muted=player.muted,
            volume=player.volume_percent / 100,
            paused_frames=round(player.paused_s * SAMPLE_RATE_HZ),
        )
        return Snapshot(
            mixer=mixer,
            generator=self.generator.snapshot(),
            spool=spool,
            controls=self.controls.view,
            station=station,
            stations=self._stations,
            prompt=mixer.playing.info.recipe.prompt if mixer.playing.info else station.captions[0],
            target=self._settings.prefetch_target,
            target_lufs=self._settings.target_lufs,
            crossfade_s=self._settings.crossfade_seconds,
            player_state=sound.player_state,
            ambience=sound.ambience.view,
            recording=str(sound.recorder.path or ""),
            liked=self.conductor.is_liked(mixer.playing.key),
            continuing=sound.mood.continuing.goes_on(mixer.playing.info, mixer.playing.source),
            timer=self._timer.view(now),
            wall=time.strftime("%H:%M"),
            uptime_s=now - self._began_at,
            uninterrupted_s=now - self._silence_at,
            notices=sound.notices.recent(),
            history=self._heard(spool),
            depth_history=tuple(sound.loader.depth_history),
            waited_s=tuple(sound.loader.waited_s),
        )

    def _heard(self, spool: SpoolSnapshot) -> tuple[Heard, ...]:
        """Return what was heard, with its likes, which are looked up when they may have changed: there may be many."""
        given, is_liked = (self.sound.loader.history.heard, self.conductor.to_be_kept), self.conductor.is_liked
        if self._history[0] is not spool or self._history[1] != given:  # an equal one may count other likes
            heard = (dataclasses.replace(one, liked=True) if is_liked(one.key) else one for one in given[0])
            self._history = spool, given, tuple(heard)
        return self._history[2]

    def _watch_sound(self) -> None:
        """Note when the programme was last silent, and what the desktop is to know.

        Say once when libVLC waits for a dead sound server.
        """
        now, mixer, player = self._clock.now(), self.sound.programme.snapshot(), self.sound.player
        state, before = self.sound.player_state, self._seen
        if mixer.silent_frames != self._silent_frames or state in UNHEARD:
            self._silent_frames, self._silence_at = mixer.silent_frames, now
        self._seen = state, player.is_paused, player.muted, player.volume_percent, mixer.playing.key
        if self._seen != before:
            self._mpris.refresh()
        if player.state == "starting" and now - self._began_at > STARTING_S and not self._late_said:
            self._late_said = True
            self.sound.notices.say("player.no_device", "warning")

    def _announce(self, key: str) -> None:
        """Tell a break's begin or end as the listener wants it."""
        if self._settings.announce == "bell":
            self.ring()
        elif self._settings.announce == "notification":
            self._mpris.notify(text(self._settings.language, key))


class Terminal:
    """The last stage: it shows a session and obeys the keys. Threads: the main one."""

    def __init__(self, session: Session, keyboard: Keyboard, dashboard: Dashboard) -> None:
        self._session = session
        self._keyboard = keyboard
        self._dashboard = dashboard

    def start(self) -> None:
        """Take the terminal."""
        begin = self._session.sound.begin
        self._session.ring, self._session.show = self._dashboard.ring, self._dashboard.refresh
        heed_aside((signal.SIGWINCH, signal.SIGCONT), self._renew)
        handle_suspension(self._leave, self._take)
        begin("input", self._listen)
        begin("dashboard", self._dashboard.run)

    def stop(self) -> None:
        """Give the terminal back."""
        # No handler amid what it would wait for.
        heed((signal.SIGWINCH, signal.SIGCONT, signal.SIGTSTP), lambda *_: None)
        self._session.sound.stop_event.set()
        self._keyboard.close()
        self._dashboard.close()

    def _renew(self) -> None:
        self._keyboard.renew()
        self._dashboard.refresh()

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
            if command is None:
                session.show()
            else:
                session.obey(command)

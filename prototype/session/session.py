"""Everything around the sound: the making of music, the screen, the keys and the timer."""

from __future__ import annotations

import dataclasses
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from ace_client import AceClient, Timeouts
from base.texts import text
from base.workers import Worker
from config import Settings
from generation.calls import Client, Run
from generation.fetching import Ingest
from generator_loop import GeneratorLoop
from music.analysis import ingest
from music.segment import Source
from music.stations import Station
from player import LOOK_AHEAD_S
from screen.controls import Controls
from screen.dashboard import Dashboard
from screen.keyboard import Keyboard, handle_suspension
from screen.view import UNHEARD, Snapshot
from session.conductor import Conductor
from session.control import Answering, ControlServer
from session.mpris import Mpris
from session.sound import Sound
from session.timers import SessionTimer
from spool.state_files import JobsFile

TICK_S: Final = 1.0  # a signal to stop and the timer's next phase are not waited for
JOIN_S: Final = 0.3
STARTING_S: Final = 5.0


class Connection(Client, Protocol):
    """A client whose calls can be ended."""

    def close(self) -> None:
        """Let a call that waits fail at once."""
        ...


def clients_of(settings: Settings) -> list[AceClient]:
    """Return what talks to each of the servers of the settings."""
    return [
        AceClient(
            one.acestep_api_url,
            one.acestep_api_key,
            one.lm_model_path,
            one.lm_backend,
            one.batch_size,
            timeouts=Timeouts(submit_s=one.first_job_timeout_sec),
        )
        for one in settings.servers
    ]


class Session:
    """One session, from the first key to the last.

    Threads: built and run by the main thread; `snapshot` may be called from anywhere.
    """

    def __init__(
        self,
        sound: Sound,
        stations: Sequence[Station],
        clients: Sequence[Connection],
        *,
        ingest: Ingest = ingest,
        rng: random.Random | None = None,
    ) -> None:
        """`ingest` reads what the server made."""
        settings = sound.settings
        self._sound = sound
        self._settings = settings
        self._clock = sound.clock
        self._clients = clients
        self.generator = GeneratorLoop(
            settings,
            clients,
            sound.spool,
            sound.mood,
            Run(sound.clock, sound.stop_event, rng or random.Random(), sound.on_thread_failure),
            sound.notices,
            ingest=ingest,
            jobs_file=JobsFile(settings.spool_dir / "jobs.json", sound.later),
        )
        sound.pacing.factor = lambda: self.generator.pace(settings.crossfade_seconds)
        self._timer = SessionTimer(self._clock.now(), settings.play_for, settings.pomodoro, tail_s=LOOK_AHEAD_S)
        self._controls = Controls(
            [station.key for station in stations], heard=lambda: [one.key for one in reversed(sound.history.heard)]
        )
        self._stations = tuple(stations)
        self.conductor = Conductor(
            sound,
            stations,
            self._timer,
            quit_=sound.stop_event.set,
            set_resting=self.generator.set_resting,
            announce=self._announce,
        )
        answering = Answering(self.conductor.obey, self.snapshot, stations, settings.language)
        self._mpris = Mpris(self.conductor.obey, self.snapshot, settings.language, self._clock)
        self._ring: Callable[[], None] = lambda: None
        self._control = ControlServer(settings.spool_dir, answering, self._clock)
        self._began_at = self._silence_at = self._clock.now()
        self._silent_frames = 0
        self._late_said = False

    def run(self, keyboard: Keyboard, dashboard: Dashboard) -> Snapshot:
        """Make music and obey until it is time to stop; return the last snapshot."""
        stop = self._sound.stop_event

        def leave_terminal() -> None:
            dashboard.suspend()
            keyboard.suspend()

        def take_terminal() -> None:
            keyboard.resume()
            dashboard.resume()

        handle_suspension(leave_terminal, take_terminal)
        self._ring = dashboard.ring
        bodies = {
            "input": lambda stop: self._listen(keyboard, dashboard, stop),
            "dashboard": dashboard.run,
            "control": self._control.run,
            "mpris": self._mpris.run,
        }
        workers = [
            Worker(name, body, stop, self._clock, self._sound.on_thread_failure) for name, body in bodies.items()
        ]
        for worker in workers:
            worker.start()
        if Source.FRESH in self._sound.order:
            self.generator.start()
        for sentence in self._settings.warnings:
            self._sound.notices.say("config.warning", "warning", sentence=sentence)
        while not self._clock.wait(stop, min(TICK_S, self._timer.next_s(self._clock.now()))):
            self.conductor.tick()
            self._watch_sound()
            self._sound.watch()
        self._watch_sound()
        last = self.snapshot()
        for client in self._clients:
            client.close()
        keyboard.close()
        dashboard.close()
        for worker in reversed(workers):
            worker.join(JOIN_S)
        self.generator.join(JOIN_S)
        return last

    def snapshot(self) -> Snapshot:
        """Take everything the dashboard shows together."""
        sound, now = self._sound, self._clock.now()
        wished, station = self.conductor.wished, sound.mood.station
        mixer = dataclasses.replace(
            sound.programme.snapshot(), paused=wished.paused, muted=wished.muted, volume=wished.volume_percent / 100
        )
        return Snapshot(
            mixer=mixer,
            generator=dataclasses.replace(self.generator.snapshot(), last_wait_s=sound.loader.last_wait_s),
            spool=sound.spool.snapshot(),
            controls=self._controls.view,
            station=station,
            stations=self._stations,
            prompt=mixer.playing.info.recipe.prompt if mixer.playing.info else station.captions[0],
            target=self._settings.prefetch_target,
            target_lufs=self._settings.target_lufs,
            crossfade_s=self._settings.crossfade_seconds,
            player_state=sound.player_state,
            ambience=sound.ambience.view,
            recording=str(sound.recorder.path or ""),
            liked=sound.spool.is_kept(mixer.playing.key),
            continuing=sound.mood.continuing.goes_on(mixer.playing.info, mixer.playing.source),
            timer=self._timer.view(now),
            wall=time.strftime("%H:%M"),
            uptime_s=now - self._began_at,
            uninterrupted_s=now - self._silence_at,
            notices=sound.notices.recent(),
            history=tuple(dataclasses.replace(one, liked=sound.spool.is_kept(one.key)) for one in sound.history.heard),
            depth_history=tuple(sound.loader.depth_history),
        )

    def _listen(self, keyboard: Keyboard, dashboard: Dashboard, stop: threading.Event) -> None:
        """Body of the input thread: keys become commands."""
        for key in keyboard.keys(stop):
            command = self._controls.key(key, self._sound.mood.station.key)
            dashboard.refresh()
            if command is not None:
                self.conductor.obey(command)

    def _watch_sound(self) -> None:
        """Note when the programme was last silent; say once when libVLC waits for a dead sound server."""
        now, mixer = self._clock.now(), self._sound.programme.snapshot()
        if mixer.silent_frames != self._silent_frames or self._sound.player_state in UNHEARD:
            self._silent_frames, self._silence_at = mixer.silent_frames, now
        if self._sound.player.state == "starting" and now - self._began_at > STARTING_S and not self._late_said:
            self._late_said = True
            self._sound.notices.say("player.no_device", "warning")

    def _announce(self, key: str) -> None:
        """Tell a break's begin or end as the listener wants it."""
        if self._settings.announce == "bell":
            self._ring()
        elif self._settings.announce == "notification":
            self._mpris.notify(text(self._settings.language, key))

"""Everything around the sound: the making of music, the screen, the keys and the timer."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from collections.abc import Sequence
from typing import Final

from ace_client import AceClient, Timeouts
from base.workers import Worker
from generation.calls import Run
from generation.policy import AUDIBLE_SHARE
from generator_loop import GeneratorLoop
from music.segment import SAMPLE_RATE_HZ, Source
from music.stations import Station
from player import LOOK_AHEAD_S
from programme.mixer import MixerSnapshot
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


class Session:
    """One session, from the first key to the last.

    Threads: built and run by the main thread; `snapshot` may be called from anywhere.
    """

    def __init__(self, sound: Sound, stations: Sequence[Station]) -> None:
        settings = sound.settings
        self._sound = sound
        self._settings = settings
        self._clock = sound.clock
        self._client = AceClient(
            settings.acestep_api_url,
            settings.acestep_api_key,
            settings.lm_model_path,
            settings.lm_backend,
            settings.batch_size,
            timeouts=Timeouts(submit_s=settings.first_job_timeout_sec),
        )
        self._generator = GeneratorLoop(
            dataclasses.replace(settings, engine="builtin") if settings.play_library else settings,
            self._client,
            sound.spool,
            sound.mood,
            Run(sound.clock, sound.stop_event, on_failure=sound.on_thread_failure),
            sound.notices,
            jobs_file=JobsFile(settings.spool_dir / "jobs.json", settings.acestep_api_url, sound.later),
        )
        sound.loader.factor = self._pace
        self._timer = SessionTimer(self._clock.now(), settings.play_for, settings.pomodoro, tail_s=LOOK_AHEAD_S)
        self._controls = Controls(
            [station.key for station in stations], heard=lambda: [one.key for one in reversed(sound.history.heard)]
        )
        self._stations = tuple(stations)
        self._conductor = Conductor(
            sound, stations, self._timer, quit_=sound.stop_event.set, set_resting=self._generator.set_resting
        )
        answering = Answering(self._conductor.obey, self.snapshot, stations, settings.language)
        self._control = ControlServer(settings.spool_dir, answering, self._clock)
        self._keyboard = Keyboard()
        self._dashboard = Dashboard(self.snapshot, self._clock, sys.stdout, settings.language, settings.plain)
        self._began_at = self._silence_at = self._clock.now()
        self._silent_frames = 0
        self._listed_frames = dict.fromkeys(Source, 0)
        self._listed_at = self._began_at
        self._late_said = False

    def run(self) -> Snapshot:
        """Make music and obey until it is time to stop; return the last snapshot."""
        stop = self._sound.stop_event
        handle_suspension(self._leave_terminal, self._take_terminal)
        bodies = {"input": self._listen, "dashboard": self._dashboard.run, "control": self._control.run}
        bodies["mpris"] = Mpris(self._conductor.obey, self.snapshot, self._settings.language, self._clock).run
        workers = [
            Worker(name, body, stop, self._clock, self._sound.on_thread_failure) for name, body in bodies.items()
        ]
        for worker in workers:
            worker.start()
        self._generator.start()
        for sentence in self._settings.warnings:
            self._sound.notices.say("config.warning", "warning", sentence=sentence)
        while not self._clock.wait(stop, min(TICK_S, self._timer.next_s(self._clock.now()))):
            self._conductor.tick()
            self._watch_sound()
            self._sound.watch()
        self._watch_sound()
        last = self.snapshot()
        self._client.close()
        self._keyboard.close()
        self._dashboard.close()
        for worker in reversed(workers):
            worker.join(JOIN_S)
        self._generator.join(JOIN_S)
        return last

    def snapshot(self) -> Snapshot:
        """Take everything the dashboard shows together."""
        sound, now = self._sound, self._clock.now()
        wished, station = self._conductor.wished, sound.mood.station
        mixer = dataclasses.replace(
            sound.programme.snapshot(), paused=wished.paused, muted=wished.muted, volume=wished.volume_percent / 100
        )
        if self._settings.player == "playlist":
            mixer = dataclasses.replace(mixer, frames=dict(self._listed_frames))
        return Snapshot(
            mixer=mixer,
            generator=dataclasses.replace(self._generator.snapshot(), last_wait_s=sound.loader.last_wait_s),
            spool=sound.spool.snapshot(),
            controls=self._controls.view,
            station=station,
            stations=self._stations,
            prompt=mixer.playing.info.recipe.prompt if mixer.playing.info else station.captions[0],
            target=self._settings.prefetch_target,
            target_lufs=self._settings.target_lufs,
            crossfade_s=self._settings.crossfade_seconds,
            player_state=sound.player_state,
            recording=str(sound.recorder.path or ""),
            liked=sound.spool.is_kept(mixer.playing.key),
            timer=self._timer.view(now),
            wall=time.strftime("%H:%M"),
            uptime_s=now - self._began_at,
            uninterrupted_s=now - self._silence_at,
            notices=sound.notices.recent(),
            history=tuple(dataclasses.replace(one, liked=sound.spool.is_kept(one.key)) for one in sound.history.heard),
            depth_history=tuple(sound.loader.depth_history),
        )

    def _pace(self) -> float | None:
        """Return generation seconds per second of programme: of every segment a crossfade is shared with the next."""
        made = self._generator.snapshot()
        if made.factor is None:
            return None
        heard_s = AUDIBLE_SHARE * made.duration_s
        return made.factor * heard_s / max(heard_s - self._settings.crossfade_seconds, heard_s / 2)

    def _listen(self, stop: threading.Event) -> None:
        """Body of the input thread: keys become commands."""
        for key in self._keyboard.keys(stop):
            command = self._controls.key(key, self._sound.mood.station.key)
            self._dashboard.refresh()
            if command is not None:
                self._conductor.obey(command)
        self._clock.wait(stop, threading.TIMEOUT_MAX)

    def _watch_sound(self) -> None:
        """Note when the programme was last silent; say once when libVLC waits for a dead sound server."""
        now, mixer = self._clock.now(), self._sound.programme.snapshot()
        self._count_listed(now, mixer)
        if mixer.silent_frames != self._silent_frames or self._sound.player_state in UNHEARD:
            self._silent_frames, self._silence_at = mixer.silent_frames, now
        if self._sound.player.state == "starting" and now - self._began_at > STARTING_S and not self._late_said:
            self._late_said = True
            self._sound.notices.say("player.no_device", "warning")

    def _count_listed(self, now: float, mixer: MixerSnapshot) -> None:
        """Note how long what was heard, to a tick: of its own list VLC tells the files, not the frames."""
        elapsed_s, self._listed_at = now - self._listed_at, now
        if mixer.playing.key and not (mixer.paused or mixer.resting) and self._sound.player.state == "playing":
            self._listed_frames[mixer.playing.source] += int(elapsed_s * SAMPLE_RATE_HZ)

    def _leave_terminal(self) -> None:
        self._dashboard.suspend()
        self._keyboard.suspend()

    def _take_terminal(self) -> None:
        self._keyboard.resume()
        self._dashboard.resume()

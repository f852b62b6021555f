"""The programme: pieces in, one endless seamless stream out.

The mixer is pulled. It has no thread, clock, file or VLC in it: the loader offers decoded pieces, the conductor
commands, and whoever plays the sound calls `read(n_frames)`. Offers and commands are put in an inbox and
take effect at the start of the next `read`, so one thread owns all the state. The same inputs at the same frames
give the same samples, however the calls are split: every gain is taken from a table or from a frame count.
At every transition the source is chosen once: fresh, library, built-in, bed. The bed alone is infallible.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from music.metering import Meter
from music.segment import CHANNELS, SAMPLE_RATE_HZ, Endless, Piece, Samples, Source
from programme.crossfade import Crossfade, Handover, faded, frames_to_meet, frames_to_phrase, natural_frames
from programme.programme import Beginning, Dropped, Event, Left, MixerSnapshot, Started, Stock, Unwanted
from programme.voice import Ramp, Underlay, Voice, frames_of

log = logging.getLogger(__name__)

SKIP_FADE_S: Final = 0.5
GATE_S: Final = 0.05  # pause, resume and full-scale volume moves
SHORTEST_FADE_S: Final = 0.02  # below this a step in level is heard as a click
BED_FADE_S: Final = 1.0  # how late a missing piece may still come before the bed is chosen


@dataclass(frozen=True)
class _Plan:
    """The next transition: to `following` (None: the bed), over `fade_frames`, in `wait_frames` from now.

    `joins`: it goes on where the other is, so that the fade is linear, and none where it has no frames.
    `position_frames` of what follows have been heard already.
    """

    following: Piece | None
    fade_frames: int
    wait_frames: int
    joins: bool = False
    position_frames: int = 0


class Mixer:
    """The endless programme.

    Threads: `read` belongs to one thread, the one that feeds the sound device, which owns every field but the
    inbox and the events (deques: one side appends, the other pops). All other methods may be called from anywhere.
    """

    def __init__(
        self, bed: Endless, *, crossfade_s: float = 4.0, volume: float = 1.0, rate_hz: int = SAMPLE_RATE_HZ
    ) -> None:
        self._rate_hz = rate_hz
        self._crossfade_frames = self._frames(max(crossfade_s, SHORTEST_FADE_S))
        self._bed = bed
        self._inbox: deque[Callable[[], None]] = deque()
        self._events: deque[Event] = deque()
        self.on_change: Callable[[], None] = lambda: None
        self._stock = Stock()
        self._voice = Voice(None, bed)
        self._sure_frames = 0  # without a transition, as long as no command comes
        self._fade: Crossfade | Handover | None = None
        self._incoming = self._voice  # the voice that fades in while there is a fade
        self._wanted: list[int] = []  # lengths in frames of the fades that are to come at once, one after another
        self._resting = False
        self._begun = False  # until there was music: then it comes at once
        self._paused = False
        self._held = False
        self._muted = False
        self._volume_level = volume
        self._gate = Ramp(1.0, self._frames(GATE_S))
        self._volume = Ramp(volume, self._frames(GATE_S))
        self._end = Ramp(1.0, self._frames(GATE_S))
        self._underlay = Underlay(rate_hz)
        self._meter = Meter(rate_hz)
        self._heard_frames = dict.fromkeys(Source, 0)
        self._paused_frames = 0

    # -- commands: any thread ------------------------------------------------------------------------------

    def begin_with(self, beginning: Beginning) -> None:
        """Go on with what is heard already; called before the first read."""
        self._voice = Voice(None, beginning)

    def offer(self, piece: Piece) -> None:
        """Put a piece in stock. One shorter than two of SHORTEST_FADE_S cannot be faded and is dropped."""
        self._inbox.append(lambda: self._stock_up(piece))

    def withdraw(self, unwanted: Unwanted) -> None:
        """Drop the pieces in stock that are `unwanted`: their mood has passed, or the listener dislikes them."""
        self._inbox.append(lambda: self._events.extend(self._stock.drop(unwanted)))

    def skip(self) -> None:
        """Go to the next piece within SKIP_FADE_S, or as soon as one is in stock; twice: to the one after it."""
        self._inbox.append(self._skip)

    def leave(self, key: str) -> None:
        """Skip the piece `key` if it is heard and not on its way out already: the listener dislikes it."""
        self._inbox.append(lambda: self._leave(key))

    def play(self, piece: Piece) -> None:
        """Fade over to `piece` within SKIP_FADE_S, and come back to what is heard now when it has ended."""
        self._inbox.append(lambda: self._play(piece))

    def change_soon(self) -> None:
        """Crossfade to the next piece that comes into stock without waiting for the end of this one."""
        self._inbox.append(lambda: self._want(self._crossfade_frames))

    def prefer_library(self, prefer: bool) -> None:
        """Let a library piece go first at the next transitions, to spread scarce fresh ones."""
        self._inbox.append(lambda: self._stock.prefer_library(prefer))

    def pause(self, paused: bool) -> None:
        """Fade to or from silence over GATE_S; while paused nothing is used up."""
        self._inbox.append(lambda: self._set_gate(paused, self._held))

    def hold(self, held: bool) -> None:
        """As `pause`, for a reason that is not the listener's: no sound device. The two add up."""
        self._inbox.append(lambda: self._set_gate(self._paused, held))

    def rest(self, resting: bool) -> None:
        """Fade to the bed and stay there (a break), or come back."""
        self._inbox.append(lambda: setattr(self, "_resting", resting))

    def set_volume(self, volume: float) -> None:
        """Move the volume (0..1, linear gain) along a ramp."""
        self._inbox.append(lambda: self._set_volume(min(1.0, max(0.0, volume)), self._muted))

    def mute(self, muted: bool) -> None:
        """Move to or from volume 0 along a ramp; the programme goes on."""
        self._inbox.append(lambda: self._set_volume(self._volume_level, muted))

    def lay_under(self, sound: Endless | None, gain: float) -> None:
        """Have `sound` at `gain` (linear) under all that plays, the bed of a break too; None: nothing."""
        self._inbox.append(lambda: self._underlay.lay(sound, gain))

    def fade_out(self, seconds: float) -> None:
        """Fade the whole programme from where it is to nothing, for the end of a session."""
        self._inbox.append(lambda: self._end.move(0.0, self._frames(max(seconds, GATE_S) / (self._end.value or 1.0))))

    def fade_in(self) -> None:
        """Take `fade_out` back: the end was put off."""
        self._inbox.append(lambda: self._end.move(1.0, self._frames(SKIP_FADE_S)))

    def take_events(self) -> list[Event]:
        """Return what happened since the last call, oldest first."""
        return [self._events.popleft() for _ in range(len(self._events))]

    def snapshot(self) -> MixerSnapshot:
        """Return the state as of the last read; cheap, from any thread."""
        voice = self._heard
        silent, longest = self._meter.silence()
        return MixerSnapshot(
            playing=voice.view(self._rate_hz),
            fading=self._fade is not None,
            waiting=not self._resting and not len(self._stock) and (bool(self._wanted) or not voice.piece),
            paused=self._paused,
            resting=self._resting,
            muted=self._muted,
            volume=self._volume_level,
            stock=self._stock.counts(),
            frames=dict(self._heard_frames),
            paused_frames=self._paused_frames,
            silent_frames=silent,
            longest_silence_s=longest / self._rate_hz,
            levels_db=tuple(self._meter.levels_db),
        )

    def playing_piece(self) -> Piece | None:
        """Return the piece that is heard (while fading: the incoming one), None for the bed."""
        return self._heard.piece

    # -- the pull: one thread ------------------------------------------------------------------------------

    def read(self, n_frames: int) -> Samples:
        """Mix exactly `n_frames` of stereo.

        Never blocks and never raises: when no piece is ready the programme falls back to the bed and the
        counters say so. Splitting one call into several gives the same samples.

        Returns: float32, shape (n_frames, 2), in [-1, 1], a new array.
        Threads: the player's feeding thread only.
        """
        self._obey()
        out = np.empty((n_frames, CHANNELS), dtype=np.float32)
        done = 0
        while done < n_frames and (self._gate.target or self._gate.left_frames > 0):
            block = self._fill(out[done:])
            self._underlay.add_to(block)
            self._meter.watch(block)
            self._gate.apply(block)
            done += len(block)
        if done < n_frames:
            out[done:] = 0.0
            self._paused_frames += n_frames - done
        self._volume.apply(out)
        self._end.apply(out)
        return out

    def _obey(self) -> None:
        """Let the commands take effect; one that fails costs none of those behind it."""
        while self._inbox:
            self._sure_frames = 0
            try:
                self._inbox.popleft()()
            except Exception:
                log.exception("a command to the mixer failed")
            if self._events:
                self.on_change()

    def _fill(self, out: Samples) -> Samples:
        """Mix the beginning of `out`, to the next decision, and return it.

        The last line of defence: whatever is wrong with a piece, the bed is not, and it is as loud as it may be.
        """
        try:
            block = out[: self._turn()]
            self._mix(block)
        except Exception:
            log.exception("the mixer failed; the bed plays on")
            self._voice, self._fade, self._sure_frames = Voice(None, self._bed), None, 0
            block = out
            block[:] = frames_of(self._bed, len(block))
            self._heard_frames[Source.BED] += len(block)
        return block

    @property
    def _heard(self) -> Voice:
        return self._incoming if self._fade else self._voice

    def _mix(self, block: Samples) -> None:
        """Fill `block` from the voices and advance them."""
        n_frames = len(block)
        self._sure_frames = max(0, self._sure_frames - n_frames)
        self._voice.read_into(block)
        if fade := self._fade:
            falling, rising = fade.advance(n_frames)
            coming = np.empty_like(block)
            self._incoming.read_into(coming)
            block *= falling
            coming *= rising
            block += coming
            if fade.position_frames >= fade.length_frames:
                self._voice, self._fade = self._incoming, None
        self._heard_frames[self._heard.source] += n_frames

    def _plan(self) -> _Plan | None:
        """Return the next transition as things stand; None while the bed has nothing to give way to."""
        current, remaining = self._voice.piece, self._voice.remaining_frames
        if current and not (self._resting or self._wanted) and (join := self._join(current)):
            return join
        following = None if self._resting else self._stock.first()
        longest_frames = self._crossfade_frames if self._begun else self._frames(SKIP_FADE_S)
        arriving_frames = natural_frames(min(longest_frames, self._crossfade_frames), following)
        if following and (position := self._voice.place_in(following, self._frames(GATE_S))) is not None:
            return _Plan(following, self._frames(GATE_S), 0, joins=True, position_frames=position)
        if self._resting and self._voice.begins:
            return _Plan(None, self._crossfade_frames, 0)
        if current is None or remaining is None:
            return _Plan(following, arriving_frames, 0) if following else None
        fade_frames = natural_frames(arriving_frames, current)
        if self._resting:
            return _Plan(None, min(self._crossfade_frames, remaining), 0)
        if following and self._wanted:
            return _Plan(following, min(self._wanted[0], arriving_frames, remaining), 0)
        if not following:
            fade_frames = min(fade_frames, self._frames(BED_FADE_S))
        wait_frames = max(0, remaining - fade_frames)
        better = following and following.source is not Source.BUILTIN and current.source is Source.BUILTIN
        if better and not self._voice.asked:
            wait_frames = min(wait_frames, frames_to_phrase(current, self._voice.position_frames, self._rate_hz))
        if following:
            begin = self._voice.position_frames + wait_frames
            wait_frames = max(0, wait_frames - frames_to_meet(current, begin, following, fade_frames, self._rate_hz))
        return _Plan(following, min(fade_frames, remaining), wait_frames)

    def _join(self, current: Piece) -> _Plan | None:
        """Return the transition to what continues the current piece, while the frame for it is still to come.

        From the library only where nothing better waits.
        """
        for piece, after in self._stock.continuing(current):
            position, fade_frames = current.position_of(self._scaled(after.at_frames)), self._scaled(after.fade_frames)
            if position is not None and self._voice.position_frames <= position <= len(current.samples) - fade_frames:
                return _Plan(piece, fade_frames, position - self._voice.position_frames, joins=True)
        return None

    def _scaled(self, frames: int) -> int:
        """Return frames of a file as frames of the programme; the same but in tests."""
        return frames * self._rate_hz // SAMPLE_RATE_HZ

    def _turn(self) -> int:
        """Begin the next transition if its frame has come; return how many frames to mix until the next decision."""
        while not (self._fade or self._sure_frames) and (plan := self._plan()):
            self._sure_frames = plan.wait_frames
            if not plan.wait_frames:
                self._begin(plan)
                self.on_change()
        fade_frames = self._fade.length_frames - self._fade.position_frames if self._fade else 0
        edges = (self._rate_hz, self._gate.left_frames, self._sure_frames, fade_frames)
        return min(filter(None, edges))

    def _begin(self, plan: _Plan) -> None:
        """Begin a transition."""
        asked = plan.following in self._stock.again
        gain = self._voice.gain if plan.joins else 1.0
        self._incoming = Voice(plan.following, self._bed, plan.position_frames, gain, asked=asked)
        if plan.following:
            self._stock.take(plan.following)
            self._events.append(Started(plan.following))
            self._begun = True
        if plan.joins:
            self._fade = Handover(plan.fade_frames) if plan.fade_frames else None
            self._voice = self._voice if self._fade else self._incoming
            return
        self._fade = faded(self._voice, self._incoming, max(1, plan.fade_frames), self._rate_hz)
        self._wanted = self._wanted[1:] if plan.following else []

    # -- commands as they take effect: the reading thread --------------------------------------------------

    def _stock_up(self, piece: Piece) -> None:
        if self._is_crumb(piece):
            self._events.append(Dropped(piece))
        else:
            self._stock.put(piece)

    def _play(self, piece: Piece) -> None:
        if not self._is_crumb(piece):  # as may be left of a file that was heard before
            self._events.extend(self._stock.put_first(piece, self.playing_piece()))
            self._wanted.clear()
            self._hurry()

    def _skip(self) -> None:
        self._end_piece()
        skip_frames = self._frames(SKIP_FADE_S)
        if self._hasten(skip_frames):
            return
        if self._wanted and self._wanted[0] <= skip_frames and len(self._wanted) < len(self._stock):
            self._wanted.append(skip_frames)
        else:
            self._want(skip_frames)

    def _leave(self, key: str) -> None:
        if (piece := self.playing_piece()) and piece.key == key:
            self._end_piece()
            self._hurry()

    def _end_piece(self) -> None:
        """Let what is heard not go on: what would continue it leaves the stock."""
        if (piece := self.playing_piece()) and piece.info:
            self._events.append(Left(piece))
            self._events.extend(self._stock.drop_rest(piece.info.piece_id))

    def _hurry(self) -> None:
        self._hasten(self._frames(SKIP_FADE_S))
        self._want(self._frames(SKIP_FADE_S))

    def _hasten(self, fade_frames: int) -> bool:
        """End a fade that has longer to go within `fade_frames`; return whether there was one."""
        fade = self._fade
        if not isinstance(fade, Crossfade) or fade.length_frames - fade.position_frames <= fade_frames:
            return False
        self._fade = fade.hastened(fade_frames)
        return True

    def _want(self, fade_frames: int) -> None:
        """Ask for a transition as soon as a piece is in stock; the bed gives way anyhow."""
        if self._heard.piece or self._heard.begins:
            self._wanted[:1] = [min([fade_frames, *self._wanted[:1]])]

    def _set_gate(self, paused: bool, held: bool) -> None:
        self._paused, self._held = paused, held
        self._gate.move(0.0 if paused or held else 1.0)

    def _set_volume(self, volume: float, muted: bool) -> None:
        self._volume_level, self._muted = volume, muted
        self._volume.move(0.0 if muted else volume)

    def _is_crumb(self, piece: Piece) -> bool:
        return len(piece.samples) < 2 * self._frames(SHORTEST_FADE_S)

    def _frames(self, seconds: float) -> int:
        return round(seconds * self._rate_hz)

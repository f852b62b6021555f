"""The real program and a sound device that fails for real."""

from __future__ import annotations

import functools
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from listening.sound_room import pause
from whole.faults.program import Program, within
from whole.faults.stage import FIRST_SOUND_S, NotTried, ProcessRow, Stage

AREA: Final = "real sound device"
GONE: Final = "player.no_device"
FOUND_S: Final = 5.0
AWAY_S: Final = 5.0
THAW_S: Final = 1.0  # VLC loses its pace, which is found, and begins anew
RESUMED_S: Final = 4.0
IDLE_S: Final = 6.5  # WirePlumber suspends after 5 s
DUMMY_S: Final = 2.0  # WirePlumber waits for a second before it makes one
LOADED_S: Final = 2.0  # the first pieces, as the program starts
REMEMBERED_S: Final = 2.0  # WirePlumber waits for a second before it writes


def away_and_back(
    stage: Stage, program: Program, back: Callable[[], object], *, says: str = GONE, healed_s: float = FOUND_S
) -> None:
    """With the device gone: that is said, nothing is used up unheard, it heals as the device is back."""
    gone_at = time.monotonic()
    stage.expect_said(program, says, FOUND_S)
    pause(1.0)
    before = stage.ready()
    pause(max(0.0, AWAY_S - (time.monotonic() - gone_at)) + 1.0)
    stage.expect(stage.ready() == before, "segments were used up unheard")
    stage.expect(before, "there was nothing to use up")
    back()
    back_at = time.monotonic()
    with stage.hear() as ear:
        healed_at = stage.expect_sound(ear, max(back_at, ear.heard_at(0)), healed_s)
        stage.recovery_s = healed_at - back_at
        stage.expect_said(program, "player.device_back", 1.0)
        stage.play_on(ear, 2.0, healed_at)
    stage.ends(program)


def lost(
    lose: Callable[[Stage], object], back: Callable[[Stage], object], *, says: str = GONE, healed_s: float = FOUND_S
) -> Callable[[Stage], None]:
    """Return a scene in which the device is lost while it plays, and comes back."""

    def scene(stage: Stage) -> None:
        stage.fill()
        with stage.play("--plain") as program:
            with stage.hear() as ear:
                stage.begin(ear, program)
            lose(stage)
            away_and_back(stage, program, lambda: back(stage), says=says, healed_s=healed_s)

    return scene


def no_server_at_start(stage: Stage) -> None:
    """The sound server starts later than the program."""
    stage.fill()
    stage.kill_server()
    with stage.play("--plain") as program:
        stage.expect(within(FIRST_SOUND_S, lambda: "nothing is heard" in program.output), "did not say that it waits")
        away_and_back(stage, program, stage.start_server)


def suspended_at_start(stage: Stage) -> None:
    """The device is suspended before the program begins."""
    stage.fill()
    stage.control("suspend-sink", "out", "1")
    with stage.play("--plain") as program:
        stage.expect_said(program, "player.suspended", FIRST_SOUND_S)
        resume = functools.partial(stage.control, "suspend-sink", "out", "0")
        away_and_back(stage, program, resume, says="player.suspended", healed_s=RESUMED_S)


def unplugged(stage: Stage) -> None:
    """The device is pulled out, and the server moves us to a sink that nobody hears: as if there were none."""
    stage.stand_in()
    lost(Stage.pull_out, Stage.put_in)(stage)


def dummy_at_start(stage: Stage) -> None:
    """There is but a sink that nobody hears, then a device."""
    stage.stand_in()
    stage.fill()
    stage.pull_out()
    pause(DUMMY_S)
    with stage.play("--plain") as program:
        stage.expect_said(program, GONE, FIRST_SOUND_S)
        pause(LOADED_S)
        away_and_back(stage, program, stage.put_in)


def unmanaged(stage: Stage) -> None:
    """What links streams to devices dies, and starts anew with the device: PipeWire goes on to take what we play."""

    def back(stage: Stage) -> None:
        stage.start_part(None, "wireplumber")
        try:
            stage.pull_out()
            stage.put_in()
            with stage.hear():
                pass
        except (subprocess.TimeoutExpired, RuntimeError):  # PipeWire 0.3.65 may hang as it meets streams that wait
            stage.kill_server()
            stage.start_server()

    lost(lambda stage: stage.kill_server("wireplumber"), back)(stage)


def no_server_at_all(stage: Stage) -> None:
    """Without any sound server the program runs on, and ends when it is told to."""
    stage.kill_server()
    with stage.play(size=(80, 24)) as program:
        stage.expect_said(program, GONE, FIRST_SOUND_S + FOUND_S)
        pause(2.0)
        stage.ends(program)


def frozen(stage: Stage) -> None:
    """The sound server hangs for a while, and goes on."""
    stage.fill()
    with stage.play("--plain") as program:
        with stage.hear() as ear:
            stage.begin(ear, program)
        stage.signal_server(signal.SIGSTOP)
        pause(6.0)
        stage.signal_server(signal.SIGCONT)
        thawed_at = time.monotonic()
        with stage.hear() as ear:
            healed_at = stage.expect_sound(ear, max(thawed_at, ear.heard_at(0)), FOUND_S)
            stage.recovery_s = healed_at - thawed_at
            pause(THAW_S)
            stage.play_on(ear, 2.0)
        stage.ends(program)


def frozen_at_the_end(stage: Stage) -> None:
    """A sound server that hangs does not keep the program from ending."""
    stage.fill()
    with stage.play(size=(80, 24)) as program, stage.hear() as ear:
        stage.expect_sound(ear, program.started_at)
        stage.signal_server(signal.SIGSTOP)
        pause(1.0)
        stage.ends(program)
        stage.signal_server(signal.SIGCONT)


def card_without_server(stage: Stage) -> None:
    """VLC tries a sound server in vain, then ALSA; the card stands in our ear's server, which we do not know of."""
    config = stage.work / "asound.conf"
    server = stage.environment["PULSE_SERVER"]
    config.write_text(f'</usr/share/alsa/alsa.conf>\npcm.!default {{ type pulse server "{server}" }}\n')
    unknown = {"ALSA_CONFIG_PATH": str(config), "PULSE_SERVER": f"unix:{stage.work / 'none'}"}
    if not any(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        raise NotTried("needs libasound2-plugins")
    stage.fill()
    with stage.play("--plain", environment=unknown) as program, stage.hear() as ear:
        stage.begin(ear, program, 3.0)
        stage.expect(not program.said(GONE), "what VLC tried in vain was taken for the sound device")
        stage.ends(program)


def killed_while_silent(stage: Stage) -> None:
    """The program dies while it is muted, or paused, by a server that remembers volumes: the next start is heard."""
    stage.remember_volumes()
    stage.fill()
    for key in ("m", " "):
        with stage.play(size=(80, 24)) as program, stage.hear() as ear:
            stage.begin(ear, program)
            program.type(key)
            pause(1.0)
            stage.expect_nothing(ear, 0.5, f"the key {key!r} was not obeyed")
            program.process.kill()
            program.process.wait()
    with stage.play(size=(80, 24)) as program, stage.hear() as ear:
        stage.begin(ear, program)
        stage.ends(program)


def beside_other_music(stage: Stage) -> None:
    """Another player of music is muted in the system's settings: we are heard, and our mute is not that player's."""
    stage.remember_volumes()
    stage.fill()
    command = ["pacat", "--playback", "--raw", "--property=media.role=music", "--property=application.name=other"]

    def other(*words: str) -> bytes:
        with subprocess.Popen([*command, "/dev/zero"], env=stage.environment) as player:
            pause(1.0)
            listed = stage.control("list", "sink-inputs")
            if words:
                stage.control(words[0], listed.split(b"#")[1].split()[0].decode(), *words[1:])
                pause(REMEMBERED_S)
            player.kill()
        return listed

    other("set-sink-input-mute", "1")
    with stage.play(size=(80, 24)) as program, stage.hear() as ear:
        stage.begin(ear, program)
        stage.expect(b'"sagy\xc5\x8d-on"' in stage.control("list", "sink-inputs"), "plays under another name")
    other("set-sink-input-mute", "0")
    with stage.play(size=(80, 24)) as program, stage.hear() as ear:
        stage.begin(ear, program)
        program.type("m")
        pause(REMEMBERED_S)
        stage.ends(program)
    listed = other()
    stage.expect(b"Mute: no" in listed and b" 0% " not in listed, "our mute is that of another player")


def lost_while_paused(stage: Stage) -> None:
    """The sound server dies and comes back during a pause, in which the volume is changed: nobody hears, then all."""
    stage.fill()
    with stage.play(size=(80, 24)) as program:
        with stage.hear() as ear:
            stage.begin(ear, program)
            program.type(" ")
            pause(1.0)
        stage.kill_server()
        pause(1.0)
        program.type("-")
        stage.start_server()
        with stage.hear() as ear:
            pause(AWAY_S)
            stage.expect(not ear.samples().any(), "was heard while it was paused")
            resumed_at = time.monotonic()
            program.type(" ")
            heard_at = stage.expect_sound(ear, resumed_at, FOUND_S)
            stage.recovery_s = heard_at - resumed_at
            stage.play_on(ear, 2.0, heard_at)
        stage.ends(program)


def asleep_in_a_pause(stage: Stage) -> None:
    """The server suspends a device that nobody uses, as desktops do, in each pause: no word of it, heard at once."""
    if not stage.pipewire:
        stage.control("load-module", "module-suspend-on-idle", "timeout=1")
    stage.fill()
    with stage.play(size=(80, 24)) as program:
        with stage.hear() as ear:
            stage.begin(ear, program)
        for _ in range(2):
            program.type(" ")
            pause(IDLE_S)
            stage.expect(stage.is_suspended(), "the device was in use in a pause")
            resumed_at = time.monotonic()
            program.type(" ")
            with stage.hear() as ear:  # before, it would keep the device awake
                heard_at = stage.expect_sound(ear, max(resumed_at, ear.heard_at(0)), 1.0)
                stage.recovery_s = heard_at - resumed_at
                stage.play_on(ear, 2.0, heard_at)
        stage.expect(not program.said("player.suspended"), "a device that slept was taken for one that is lost")
        stage.ends(program)


def lost_again_and_again(stage: Stage) -> None:
    """The sound server dies three times."""
    stage.fill()
    with stage.play("--plain") as program:
        for _ in range(3):
            began_at = time.monotonic()
            with stage.hear() as ear:
                heard_at = stage.expect_sound(ear, max(began_at, ear.heard_at(0)), FIRST_SOUND_S)
                stage.recovery_s = heard_at - began_at
                stage.play_on(ear, 1.0, heard_at)
            stage.kill_server()
            pause(1.0)
            stage.start_server()
        with stage.hear() as ear:
            stage.expect_sound(ear, ear.heard_at(0))
        stage.ends(program)


_ROWS: Final = (
    ProcessRow(AREA, "no sound server at the start, then one", no_server_at_start, GONE),
    ProcessRow(AREA, "no sound server at all", no_server_at_all, GONE),
    ProcessRow(
        AREA,
        "the sound server is killed, and comes back",
        lost(Stage.kill_server, Stage.start_server),
        "player.device_back",
    ),
    ProcessRow(AREA, "the sound server dies three times", lost_again_and_again, "player.device_back"),
    ProcessRow(AREA, "the sound server dies while we are paused", lost_while_paused),
    ProcessRow(AREA, "the idle device is suspended in each pause", asleep_in_a_pause),
    ProcessRow(AREA, "kill -9 while muted, or paused", killed_while_silent),
    ProcessRow(
        AREA,
        "the device is pulled out, and put in again",
        lost(Stage.pull_out, Stage.put_in),
        "player.device_back",
    ),
    ProcessRow(AREA, "the device is replaced by one that nobody hears", unplugged, "player.device_back"),
    ProcessRow(AREA, "only a device that nobody hears at the start", dummy_at_start, "player.device_back"),
    ProcessRow(
        AREA,
        "the device is suspended, and resumed",
        lost(
            lambda stage: stage.control("suspend-sink", "out", "1"),
            lambda stage: stage.control("suspend-sink", "out", "0"),
            says="player.suspended",
            healed_s=RESUMED_S,
        ),
        "player.device_back",
    ),
    ProcessRow(AREA, "the device is suspended at the start, then resumed", suspended_at_start, "player.device_back"),
    ProcessRow(AREA, "the sound server hangs for 6 s", frozen),
    ProcessRow(AREA, "the sound server hangs as we end", frozen_at_the_end),
    ProcessRow(AREA, "another player of music is muted", beside_other_music),
)
# PipeWire wakes a suspended device by itself as soon as somebody plays, and always replaces one that is pulled out.
_ON_PIPEWIRE: Final = tuple(row for row in _ROWS if not re.search("suspended(,| at)|pulled out", row.name))
ROWS: Final = (
    *_ROWS,
    *(replace(row, name=f"{row.name} (PipeWire)", pipewire=True) for row in _ON_PIPEWIRE),
    ProcessRow(AREA, "a sound card without a sound server", card_without_server),
    ProcessRow(AREA, "WirePlumber is killed, and comes back", unmanaged, "player.device_back", pipewire=True),
)

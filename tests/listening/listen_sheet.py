"""The listening sheet of the built-in music: hear, see and measure every station (`make listen-sheet`).

    python tests/listening/listen_sheet.py                                  all stations, into tests/out/
    python tests/listening/listen_sheet.py --station jazz,koto --seed 7     some of them, another piece

For each station there is a WAV file and a picture: its spectrogram (30 Hz to 16 kHz, a line an octave), below it the
level curve (-60 to 0 dBFS, a line every 10 dB), with the sections marked. `sheet.md` holds the figures, those of the
real recordings under them, as they are heard: cut at their cue points.
"""

from __future__ import annotations

import argparse
import struct
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

TESTS = Path(__file__).resolve().parents[1]
sys.path[:1] = [str(TESTS), str(TESTS.parent / "prototype")]  # not this folder: `listening` is the package

from base.process import use_one_blas_thread  # noqa: E402

use_one_blas_thread()  # as the program does: more of them only wait for one another

import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402
import soundfile as sf  # noqa: E402

from base.errors import CorruptSegment  # noqa: E402
from bench.material import CUE_DBFS, REAL_SEGMENTS  # noqa: E402
from builtin.composer import compose  # noqa: E402
from builtin.engine import numpy_cast, perform  # noqa: E402
from builtin.fluid import Orchestra  # noqa: E402
from builtin.score import Score  # noqa: E402
from listening import musical  # noqa: E402
from listening.listening import RATE_HZ, Samples, loudness_lufs  # noqa: E402
from listening.scores import bars_of, bass_share, levels_of  # noqa: E402
from music.analysis import ingest  # noqa: E402
from music.stations import builtin_stations  # noqa: E402

OUT: Final = TESTS / "out" / "listen-sheet"
COLUMNS: Final = (
    "station", "level range dB", "note spread dB", "bass %", "rubs %", "repeated bars %", "mono loss dB",
    "side < 120 Hz dB", "> 8 kHz dB", "timbre", "LUFS", "x real time",
)  # fmt: skip
WIDTH, HEIGHT, CURVE = 1500, 420, 120  # pixels
LOW_HZ, HIGH_HZ = 30.0, 16_000.0
HALVES: Final = 20  # ways to part the real recordings

Pixels = npt.NDArray[np.uint8]


def main() -> None:
    """Make the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--station", default="", help="names, comma-separated (default: all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--fluid", action="store_true", help="with real instruments, where FluidSynth is")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--real", type=Path, default=REAL_SEGMENTS, help="a folder of real recordings, to compare with")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    real = real_recordings(given.real)
    timbres = [musical.timbre(samples) for samples in real]
    pool = np.concatenate(timbres) if timbres else None
    rows: list[tuple[str, ...]] = [COLUMNS, ("---",) * len(COLUMNS)]
    for station in builtin_stations():
        if station.key in given.station.split(",") or not given.station:
            score = compose(station.recipe(given.seed, given.seconds), given.seed)
            began_at = time.process_time()
            samples = np.concatenate(list(perform(score, Orchestra().cast if given.fluid else numpy_cast)))
            speed = score.duration_s / (time.process_time() - began_at)
            sf.write(given.out / f"{station.key}.wav", samples, RATE_HZ)
            (given.out / f"{station.key}.png").write_bytes(png(picture(samples, score)))
            distance = "" if pool is None else f"{musical.frechet(musical.timbre(samples), pool):.1f}"
            lufs = f"{loudness_lufs(samples):.1f}"
            rows.append((station.key, *of_sound_and_notes(samples, score), distance, lufs, f"{speed:.0f}"))
            print(" | ".join(rows[-1]), flush=True)
    if real:
        rows += of_real(real, timbres)
    (given.out / "sheet.md").write_text("".join(f"| {' | '.join(row)} |\n" for row in rows), encoding="utf-8")
    print(f"{given.out / 'sheet.md'}")


def real_recordings(folder: Path) -> list[Samples]:
    """Return the recordings in `folder`, cut at their cue points."""
    found = []
    for path in sorted(folder.glob("*.wav")):
        try:
            whole = ingest(path, 0.0, CUE_DBFS)
        except (CorruptSegment, OSError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            continue
        found.append(whole.samples[whole.analysis.cue_in_frames : whole.analysis.cue_out_frames])
    return found


# -- figures -----------------------------------------------------------------------------------------------------------


def of_sound(samples: Samples) -> tuple[float, float, float, float]:
    """Return what the sound alone tells: level range, mono loss, width of the bass, air."""
    return (
        musical.level_range_db(samples), musical.mono_loss_db(samples), musical.low_width_db(samples),
        musical.air_db(samples),
    )  # fmt: skip


def of_sound_and_notes(samples: Samples, score: Score) -> tuple[str, ...]:
    """Return the figures of a built-in piece, in the order of COLUMNS."""
    level_range, mono_loss, low_width, air = of_sound(samples)
    chords = [(chord.length_s, (chord.bass, *chord.voicing)) for chord in score.chords]
    shares = (bass_share(score), musical.rub_share(chords), musical.repeated_share(bars_of(score)))
    return (
        f"{level_range:.1f}", f"{musical.note_spread_db(levels_of(score)):.1f}",
        *(f"{100 * share:.0f}" for share in shares),
        f"{mono_loss:.1f}", f"{low_width:.0f}", f"{air:.0f}",
    )  # fmt: skip


def of_real(real: Sequence[Samples], timbres: Sequence[musical.Doubles]) -> list[tuple[str, ...]]:
    """Return the figures of the real recordings, the quartiles; their timbre is halves against halves."""
    rng = np.random.default_rng(0)
    figures = np.array([of_sound(samples) for samples in real])
    floors = []
    for _ in range(HALVES):
        order = rng.permutation(len(timbres))
        one, other = (np.concatenate([timbres[i] for i in half]) for half in np.array_split(order, 2))
        floors.append(musical.frechet(one, other))
    rows: list[tuple[str, ...]] = []
    for name, at in (("real, lower quartile", 25), ("real, median", 50), ("real, upper quartile", 75)):
        level_range, mono_loss, low_width, air = np.percentile(figures, at, axis=0)
        floor = f"{np.percentile(floors, at):.1f}"
        figures_text = (f"{level_range:.1f}", "", "", "", "", f"{mono_loss:.1f}", f"{low_width:.0f}", f"{air:.0f}")
        rows.append((name, *figures_text, floor, "", ""))
    return rows


# -- pictures ----------------------------------------------------------------------------------------------------------


def picture(samples: Samples, score: Score) -> Pixels:
    """Draw the spectrogram over the level curve, shape (HEIGHT + CURVE, WIDTH, 3)."""
    image = np.concatenate([spectrogram(samples), level_picture(samples)])
    for section in score.sections:
        image[:, min(WIDTH - 1, round(section.first_bar * score.bar_s / score.duration_s * WIDTH))] = (90, 140, 90)
    return image


def spectrogram(samples: Samples) -> Pixels:
    """Draw the levels from -90 dB (black) to the loudest (white), frequency on a logarithmic scale."""
    size = 8192
    begins = np.linspace(0, max(0, len(samples) - size), WIDTH).astype(int)
    padded = np.pad(samples.mean(axis=1), (0, size))
    power = np.stack([np.abs(np.fft.rfft(padded[at : at + size] * np.hanning(size))) ** 2 for at in begins], axis=1)
    hz = HIGH_HZ * (LOW_HZ / HIGH_HZ) ** (np.arange(HEIGHT) / (HEIGHT - 1))
    levels = 10 * np.log10(power[np.round(hz * size / RATE_HZ).astype(int)] + 1e-12)
    shade = np.clip(1 + (levels - levels.max()) / 90, 0, 1)
    image = np.stack([255 * shade**1.2, 255 * shade**2.2, 140 * np.sin(np.pi * shade) + 80 * shade**4], axis=2)
    octaves = 30 * 2.0 ** np.arange(1, 10)
    image[np.searchsorted(-hz, -octaves)] += 30
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def level_picture(samples: Samples) -> Pixels:
    """Draw the level of each column's stretch."""
    image = np.full((CURVE, WIDTH, 3), 20, np.uint8)
    image[:: CURVE // 6] = 60
    stretch = max(1, len(samples) // WIDTH)
    levels = musical.level_curve(samples, stretch)
    curve = np.interp(np.arange(WIDTH), np.arange(len(levels)), levels)
    tops = np.clip(-curve / 60 * CURVE, 0, CURVE - 1).astype(int)
    image[np.arange(CURVE)[:, None] >= tops] = (120, 170, 230)
    return image


def png(image: Pixels) -> bytes:
    """Return an RGB image as a PNG file (ISO/IEC 15948)."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, _ = image.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), image.reshape(height, width * 3)], axis=1)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 6)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


if __name__ == "__main__":
    main()

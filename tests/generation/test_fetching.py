"""What becomes of the files of a finished job."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from base.notices import Notices
from doubles.fake_audio import chord, wav_bytes
from doubles.simulated_time import FakeClock
from generation.fetching import Fetcher
from generation.jobs import Job
from music.analysis import ingest
from music.segment import SAMPLE_RATE_HZ, Recipe
from server.replies import AudioFile
from spool.spool import Spool


def written(data: bytes, _: AudioFile, path: Path) -> None:
    """Stand in for a download."""
    path.write_bytes(data)


def test_a_result_that_was_cut_off_is_used_and_said(tmp_path: Path) -> None:
    """Two thirds of a segment are music; under half of it are a failed job, as before."""
    notices = Notices(FakeClock())
    spool = Spool(tmp_path, 1024, notices, FakeClock())
    spool.open()
    fetcher = Fetcher(spool, ingest, notices, -45.0, lambda _recipe, segment, _cue_dbfs: (segment, None))
    whole = wav_bytes(chord(6.0))
    job = Job("a", Recipe("lofi", "keys", 6.0), 0.0, files=(AudioFile("/a"),))
    for part, used in ((2 / 3, 1), (1 / 3, 0)):
        cut = whole[: 44 + round(part * 6.0 * SAMPLE_RATE_HZ) * 4]
        fetched = fetcher.fetch(job, partial(written, cut), lambda: "ready")
        assert len(fetched.entries) == used
        assert len(fetched.rejected) == 1 - used
    assert "too short: 2.0 s of the 6 s asked for (truncated: -4.0 s)" in str(fetched.rejected[0])
    assert "2.0 秒だけです）。途中で切れています（-4.0 s）" in fetched.rejected[0].words("ja")
    said = [dict(notice.args) for notice in notices.recent() if notice.key == "segment.cut_off"]
    assert said == [{"name": "a-0", "missing": "-2.0 s"}]
    spool.close()

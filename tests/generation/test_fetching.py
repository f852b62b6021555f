"""What becomes of the files of a finished job."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from base.notices import Notices
from doubles.fake_audio import chord, wav_bytes
from doubles.simulated_time import FakeClock
from generation.fetching import Fetcher
from generation.jobs import Job
from music.analysis import ingest
from music.segment import SAMPLE_RATE_HZ, Audio, Recipe, SegmentInfo
from server.replies import AudioFile
from spool.spool import Entry, Spool


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


CLUSTER = "production-cluster-eu-west-1-tenant-000000000000-"


@pytest.mark.parametrize(
    "ids", [(f"{CLUSTER}1", f"{CLUSTER}2"), ("一", "二"), ("a/b", "a-b"), ("7", "7"), ("9ff0", "9ff0")]
)
@pytest.mark.parametrize("inherited", [False, True])
def test_what_two_jobs_made_never_has_one_name(tmp_path: Path, ids: tuple[str, str], inherited: bool) -> None:
    """However long or odd their ids, and also where a server counts anew; but a job is brought in once."""
    spool = Spool(tmp_path, 1024, Notices(FakeClock()), FakeClock())
    spool.open()
    fetcher = Fetcher(spool, ingest, Notices(FakeClock()), -45.0, lambda _recipe, segment, _cue_dbfs: (segment, None))
    download = partial(written, wav_bytes(chord(6.0)))
    jobs = [
        Job(task_id, Recipe("lofi", f"keys {number}", 6.0), 0.0, files=(AudioFile("/a"),), inherited=inherited)
        for number, task_id in enumerate(ids)
    ]
    for job in jobs:
        assert len(fetcher.fetch(job, download, lambda: "ready").entries) == 1
    if inherited:
        assert fetcher.fetch(jobs[-1], download, lambda: "ready").entries == []
    assert len({entry.info.segment_id for entry in spool.ready() if entry.info}) == 2
    spool.close()


def test_two_servers_that_count_from_one_bring_two_segments(tmp_path: Path) -> None:
    """While one is fetched the other may come: neither has a name before both are there."""
    spool = Spool(tmp_path, 1024, Notices(FakeClock()), FakeClock())
    spool.open()
    fetcher = Fetcher(spool, ingest, Notices(FakeClock()), -45.0, lambda _recipe, segment, _cue_dbfs: (segment, None))
    one, other = (Job("1", Recipe("lofi", keys, 6.0), 0.0, files=(AudioFile("/a"),)) for keys in ("one", "other"))
    download = partial(written, wav_bytes(chord(6.0)))

    def meanwhile(file: AudioFile, path: Path) -> None:
        fetcher.fetch(other, download, lambda: "ready")
        download(file, path)

    fetcher.fetch(one, meanwhile, lambda: "ready")
    assert {entry.info.segment_id for entry in spool.ready() if entry.info} == {"1-0", "1-2-0"}
    spool.close()


def test_a_segment_may_take_its_time_to_be_stored(tmp_path: Path) -> None:
    """Another job's is stored meanwhile, and has another name."""

    class SlowSpool(Spool):
        def add(self, samples: Audio, info: SegmentInfo, *, shelf: str = "ready") -> Entry:
            if info.recipe == one.recipe:
                fetcher.fetch(other, download, lambda: "ready")
            return super().add(samples, info, shelf=shelf)

    spool = SlowSpool(tmp_path, 1024, Notices(FakeClock()), FakeClock())
    spool.open()
    fetcher = Fetcher(spool, ingest, Notices(FakeClock()), -45.0, lambda _recipe, segment, _cue_dbfs: (segment, None))
    one, other = (Job("1", Recipe("lofi", keys, 6.0), 0.0, files=(AudioFile("/a"),)) for keys in ("one", "other"))
    download = partial(written, wav_bytes(chord(6.0)))
    fetcher.fetch(one, download, lambda: "ready")
    assert {entry.info.segment_id for entry in spool.ready() if entry.info} == {"1-0", "1-2-0"}
    spool.close()

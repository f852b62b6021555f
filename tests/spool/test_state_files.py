"""What one session leaves to the next."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from base.notices import Notices
from doubles.simulated_time import FakeClock
from music.taste import Opinion, Taste
from spool.state_files import (
    FILE,
    TASTE_ASIDE,
    TASTE_FILE,
    TasteFile,
    forget_taste,
    load_remembered,
    read_taste,
    remember,
)

LIKED = Opinion("a", "lofi", True, "calm 静か", "vibraphone", "rain")
DISLIKED = Opinion("b", "mine", False, instrument="harp")
DEEP = "[" * 100_000
ODD: tuple[dict[str, object], ...] = (
    {"liked": 1}, {"liked": None}, {"liked": "yes"}, {"piece": -5}, {"texture": []}, {"new": 1},
)  # fmt: skip


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """Each value by itself: saving one keeps the others."""
    remember(tmp_path, volume=35)
    remember(tmp_path, ambience="rain", ambience_volume=20)
    remember(tmp_path, volume=0)
    assert load_remembered(tmp_path) == {"volume": 0, "ambience": "rain", "ambience_volume": 20}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        '{"volume": "x"}',
        '{"volume": 101}',
        '{"volume": null}',
        '{"volume": true}',
        '{"ambience": 3}',
        DEEP,
    ],
)
def test_a_damaged_file_is_forgotten(tmp_path: Path, text: str) -> None:
    """Whatever stands there, the program starts."""
    (tmp_path / FILE).write_text(text)
    assert load_remembered(tmp_path) == {}


def test_a_missing_folder_is_no_error(tmp_path: Path) -> None:
    """Neither loading nor saving minds."""
    remember(tmp_path / "none", volume=5)
    assert load_remembered(tmp_path / "none") == {}


def kept(folder: Path, **changes: object) -> None:
    """Write a file with one opinion, changed."""
    found = {"version": 1, "opinions": [asdict(LIKED)]} | changes
    (folder / TASTE_FILE).write_text(json.dumps(found))


def session(folder: Path) -> tuple[Taste, Notices]:
    """Return the taste that a session begins with, and what it says."""
    taste, notices = Taste(), Notices(FakeClock())
    TasteFile(folder, taste, notices)
    return taste, notices


def test_a_taste_lasts_and_can_be_forgotten(tmp_path: Path) -> None:
    """Each change is kept at once, in its order."""
    taste, _ = session(tmp_path)
    taste.note("a", LIKED)
    undo = taste.note("b", DISLIKED)
    taste.note("a", replace(LIKED, liked=False))
    assert session(tmp_path)[0].opinions == (DISLIKED, replace(LIKED, liked=False))
    undo()
    assert read_taste(tmp_path) == [replace(LIKED, liked=False)]
    forget_taste(tmp_path)
    assert session(tmp_path)[0].opinions == ()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        DEEP,
        "[]",
        "NaN",
        '{"version": 1}',
        '{"version": 2, "opinions": []}',
        '{"version": NaN, "opinions": []}',
        '{"version": 1, "opinions": {"lofi": {"vibraphone": -3}}}',
        '{"version": 1, "opinions": [{"lofi": 1e999}]}',
        *(json.dumps({"version": 1, "opinions": [asdict(LIKED), asdict(LIKED) | odd]}) for odd in ODD),
        '{"version": 1, "opinions": [{"piece": "a", "station": "\\ud800", "liked": true}]}',
    ],
)
def test_a_damaged_or_foreign_taste_is_put_aside(tmp_path: Path, text: str) -> None:
    """Said once, nothing of it counts, and what is noted from then on is kept."""
    (tmp_path / TASTE_FILE).write_text(text)
    taste, notices = session(tmp_path)
    assert taste.opinions == ()
    assert [(notice.key, notice.level) for notice in notices.recent()] == [("taste.unreadable", "warning")]
    assert (tmp_path / TASTE_ASIDE).read_text() == text
    taste.note("b", DISLIKED)
    again, notices = session(tmp_path)
    assert (again.opinions, notices.recent()) == ((DISLIKED,), ())
    forget_taste(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_bytes_links_and_folders_in_the_place_of_a_taste(tmp_path: Path) -> None:
    """Nothing of another's is read or written."""
    other = tmp_path / "other"
    other.write_text(json.dumps({"version": 1, "opinions": [asdict(LIKED)]}))
    makers: list[Callable[[Path], object]] = [
        lambda path: path.write_bytes(b"\xff\xfe"), lambda path: path.symlink_to(other), lambda path: path.mkdir(),
    ]  # fmt: skip
    for number, make in enumerate(makers):
        folder = tmp_path / str(number)
        folder.mkdir()
        make(folder / TASTE_FILE)
        taste, notices = session(folder)
        assert (taste.opinions, len(notices.recent())) == ((), 1)
        taste.note("b", DISLIKED)
        assert session(folder)[0].opinions == (DISLIKED,)
    assert "harp" not in other.read_text()


def test_what_was_put_aside_is_not_written_over(tmp_path: Path) -> None:
    """Whatever is in the place of a taste, time after time, it gives way and nothing is lost."""
    makers: list[Callable[[Path], object]] = [
        lambda path: path.write_text("first"), lambda path: path.mkdir(), lambda path: path.write_text("third"),
    ]  # fmt: skip
    for make in makers:
        (tmp_path / TASTE_FILE).unlink(missing_ok=True)
        make(tmp_path / TASTE_FILE)
        taste, notices = session(tmp_path)
        assert (tmp_path / TASTE_ASIDE).read_text() == "first"
        assert Path(str(dict(notices.recent()[0].args)["path"])).exists()
        taste.note("b", DISLIKED)
        assert session(tmp_path)[0].opinions == (DISLIKED,)
    assert "third" in [path.read_text() for path in tmp_path.iterdir() if path.is_file()]
    forget_taste(tmp_path)
    assert [path.is_dir() for path in tmp_path.iterdir()] == [True]


def test_words_and_stations_that_are_gone_do_no_harm(tmp_path: Path) -> None:
    """They are as opinions of nothing."""
    kept(tmp_path, opinions=[asdict(LIKED), asdict(DISLIKED), asdict(replace(LIKED, piece="c", station="gone"))])
    taste, notices = session(tmp_path)
    assert len(taste.opinions) == 3
    assert notices.recent() == ()


def test_a_disk_that_refuses_is_tried_once_more(tmp_path: Path) -> None:
    """The taste lasts for the session, and is written if the disk takes it before the end."""
    taste, notices = Taste(), Notices(FakeClock())
    file = TasteFile(tmp_path / "later", taste, notices)
    taste.note("a", LIKED)
    assert taste.opinions == (LIKED,)
    (tmp_path / "later").mkdir()
    file.finish()
    assert read_taste(tmp_path / "later") == [LIKED]
    (tmp_path / "later" / TASTE_FILE).unlink()
    file.finish()
    assert read_taste(tmp_path / "later") == []
    assert notices.recent() == ()


def test_a_disk_that_hangs_at_the_start_loses_no_opinion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept comes before what was noted meanwhile, and both are written when the disk answers."""
    kept(tmp_path)
    answers, todo = threading.Event(), list[Callable[[], None]]()

    def hang(folder: Path) -> list[Opinion]:
        answers.wait(30)
        return read_taste(folder)

    monkeypatch.setattr("spool.state_files.read_taste", hang)
    monkeypatch.setattr("spool.state_files.HANGS_S", 0.05)
    taste = Taste()
    TasteFile(tmp_path, taste, Notices(FakeClock()), lambda _name, errand: todo.append(errand))
    taste.note("b", DISLIKED)
    assert taste.opinions == (DISLIKED,)
    answers.set()
    todo.pop()()
    assert read_taste(tmp_path) == [LIKED, DISLIKED]

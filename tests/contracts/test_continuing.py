"""Asking a server to continue a segment: what is sent, what comes back, and servers that take no upload."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ace_client import MAX_UPLOAD_BYTES, AceClient
from base.errors import KeyRefused, ServerTrouble, UploadRefused
from contracts.test_ace_client import finished, genuine
from doubles import composition
from doubles.fake_acestep import FakeAcestep
from doubles.fake_http import text
from music import joining
from music.segment import SAMPLE_RATE_HZ, Context, Recipe, Samples

CONTEXT_S, WANTED_S = 6.0, 8.0


def given() -> tuple[Samples, Recipe, bytes]:
    """Return a context, the recipe that continues it, and what is uploaded for it."""
    first = composition.excerpt(0, 20.0)
    context = first[4 * SAMPLE_RATE_HZ : round((4 + CONTEXT_S) * SAMPLE_RATE_HZ)]
    begin = 4 * SAMPLE_RATE_HZ
    new = round((WANTED_S + joining.OVERRUN_S) * SAMPLE_RATE_HZ)
    place = Context("first", begin, begin + len(context), len(context) + new)
    recipe = Recipe("lofi", "slow beats", WANTED_S, 96, "A minor", "4", seed=7, continues=place)
    return context, recipe, joining.canvas(first, place)


@pytest.fixture(params=["fake", pytest.param("genuine", marks=pytest.mark.server)])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AceClient]:
    """A client of each of the two servers, whose model goes on with the composition."""
    if request.param == "fake":
        with FakeAcestep(newer=False, repainted=composition.repainted("newer")) as server:
            yield AceClient(server.url)
    else:
        with genuine(tmp_path_factory.mktemp("acestep"), continues="newer") as server:
            yield AceClient(server.url)


def test_a_segment_is_continued(client: AceClient, tmp_path: Path) -> None:
    """Upload, poll, download: as long as the canvas, the context itself up to one gain, then the composition's next."""
    context, recipe, upload = given()
    report = finished(client, client.submit(recipe, upload=upload).task_id)
    (file,) = report.files
    client.download(file, tmp_path / "a.wav")
    result, _ = soundfile.read(tmp_path / "a.wav", dtype="float32", always_2d=True)
    assert recipe.continues is not None
    assert len(result) == recipe.continues.canvas_frames
    match = joining.match(context, result)
    assert match.lag_frames == 0
    assert match.correlation == pytest.approx(1.0, abs=1e-6)
    fresh = match.gain * result[len(context) :][: 4 * SAMPLE_RATE_HZ]
    assert composition.place_of(fresh) == composition.place_of(context) + len(context)


def test_what_is_sent_is_exactly_what_a_repaint_needs() -> None:
    """A form with the upload: both ends of the repaint, an explicit mask, no language model, no duration."""
    _, recipe, upload = given()
    with FakeAcestep(repainted=composition.repainted("newer")) as server:
        AceClient(server.url, batch_size=2).submit(recipe, upload=upload)
    (sent,) = server.submits
    assert sent.pop("src_audio") == upload
    canvas_s = recipe.canvas_s
    assert canvas_s == CONTEXT_S + WANTED_S + joining.OVERRUN_S
    assert sent == {
        "task_type": "repaint", "prompt": "slow beats", "lyrics": "[Instrumental]", "vocal_language": "unknown",
        "batch_size": "1", "audio_format": "wav", "thinking": "false", "use_cot_caption": "false",
        "use_cot_language": "false", "repainting_start": str(CONTEXT_S), "repainting_end": str(canvas_s),
        "chunk_mask_mode": "explicit", "audio_cover_strength": "1.0", "cover_noise_strength": "0", "bpm": "96",
        "seed": "7", "use_random_seed": "false", "key_scale": "A minor", "time_signature": "4",
    }  # fmt: skip


@pytest.mark.parametrize(("status", "is_final"), [(500, False), (400, True), (415, True), (413, True), (404, True)])
def test_a_server_that_takes_no_upload_is_told_apart_from_one_that_is_ill(status: int, is_final: bool) -> None:
    """Whatever it says to an upload is UploadRefused: nothing was asked for, and the server is not to blame."""
    _, recipe, upload = given()
    with FakeAcestep(refuse_uploads=status) as server:
        client = AceClient(server.url)
        with pytest.raises(UploadRefused) as caught:
            client.submit(recipe, upload=upload)
        assert (caught.value.is_final, caught.value.arrived) == (is_final, False)
        client.submit(replace(recipe, continues=None))


@pytest.mark.parametrize("status", [502, 503, 504, 429])
def test_a_server_that_is_ill_or_busy_says_nothing_of_uploads(status: int) -> None:
    """What a proxy says while the server restarts is as for any other call."""
    _, recipe, upload = given()
    with FakeAcestep() as server:
        server.answer_next(text(status, "Bad Gateway"), route="/release_task")
        with pytest.raises(ServerTrouble) as caught:
            AceClient(server.url).submit(recipe, upload=upload)
        assert not isinstance(caught.value, UploadRefused)


def test_a_key_that_is_refused_says_nothing_of_uploads() -> None:
    """401 is about the key."""
    _, recipe, upload = given()
    with FakeAcestep(api_key="right") as server, pytest.raises(KeyRefused):
        AceClient(server.url, "wrong").submit(recipe, upload=upload)


def test_an_upload_has_a_largest_size() -> None:
    """What is too large for any server is not sent."""
    _, recipe, _ = given()
    with FakeAcestep() as server, pytest.raises(UploadRefused, match="too many"):
        AceClient(server.url).submit(recipe, upload=b"x" * (MAX_UPLOAD_BYTES + 1))
    assert not server.submits


def test_what_is_uploaded_is_what_is_on_disk() -> None:
    """The FLAC file holds the samples of a segment's 16 bits exactly."""
    context, _, _ = given()
    stored = np.round(context * 32768) / 32768
    all_of_it = Context("one", 0, len(stored), len(stored))
    read, rate_hz = soundfile.read(io.BytesIO(joining.canvas(stored.astype(np.float32), all_of_it)), always_2d=True)
    assert rate_hz == SAMPLE_RATE_HZ
    assert np.array_equal(read, stored)

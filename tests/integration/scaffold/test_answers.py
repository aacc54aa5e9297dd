"""A scaffold from the input topic to the scores topic: what it answers, and what it declines for its input."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from scaffold_world import CLOCK, PICTURE, Place, bundle_in, question, serving

from roost_broker.frames import FrameStore
from roost_broker.messages import FrameRef, Input
from roost_models.bundle.opening import open_bundle
from roost_models.scaffold.presence import model_will


def test_a_request_is_answered_with_what_was_seen_and_by_whom(place: Place, tmp_path: Path, run: Any) -> None:
    frames = FrameStore(tmp_path / "frames")
    bundle = bundle_in(tmp_path, goldens=[{"input": "ramps.png"}])

    async def main() -> None:
        async with serving(place, bundle, frames) as (watcher, _):
            ref = frames.put(PICTURE, width=64, height=48, media_type="image/png")
            request = question(input=Input(frame=ref))
            payload = await watcher.ask(request)
            score = await watcher.score()
            assert score.request_id == request.request_id
            assert score.saw == hashlib.sha256(payload).hexdigest()
            assert score.bundle == bundle.digest
            assert score.model == "champion"
            assert score.version == "1.0"
            assert score.runtime.startswith("python 3.")
            assert [output.label for output in score.outputs] == ["dark", "bright"]
            assert score.provenance.path[-1].component == "model champion"
            await watcher.ask(question())  # a small picture inline
            assert (await watcher.score()).outputs == score.outputs
            counts = (await watcher.state("ready")).counts
            while counts.get("answered") != 2:  # counts follow within the state's interval
                counts = (await watcher.state("ready")).counts
            assert counts["requests"] == 2

    run(main())


def test_a_frame_that_cannot_be_used_is_declined_with_that_reason(place: Place, tmp_path: Path, run: Any) -> None:
    frames = FrameStore(tmp_path / "frames")
    good = frames.put(PICTURE, width=64, height=48)
    rubbish = frames.put(b"no picture at all", width=1, height=1)

    def variant(data: bytes) -> FrameRef:
        ref = frames.put(data, width=64, height=48)
        return ref

    truncated, altered = variant(PICTURE + b"1"), variant(PICTURE + b"2")
    frames.path(truncated.sha256).write_bytes(PICTURE)
    frames.path(altered.sha256).write_bytes(PICTURE + b"3")
    missing = FrameRef(sha256="0" * 64, bytes=5, path="x", width=1, height=1)
    cases = {
        "frame-missing": Input(frame=missing),
        "frame-truncated": Input(frame=truncated),
        "frame-altered": Input(frame=altered),
        "bad-input": Input(frame=rubbish),
    }

    async def main() -> None:
        async with serving(place, bundle_in(tmp_path), frames) as (watcher, scaffold):
            for reason, asked in cases.items():
                request = question(input=asked)
                await watcher.ask(request)
                declined = await watcher.declined()
                assert (declined.request_id, declined.reason) == (request.request_id, reason)
                assert declined.detail
            await watcher.ask(question(input=Input(inline="not base64!")))
            assert (await watcher.declined()).reason == "bad-input"
            await watcher.ask(question(input=Input(frame=good)))
            await watcher.score()
            assert scaffold.counts["declined_bad_input"] == 2

    run(main())


def test_a_request_delivered_again_gets_the_same_bytes_again(place: Place, tmp_path: Path, run: Any) -> None:
    async def main() -> None:
        async with serving(place, bundle_in(tmp_path), FrameStore(tmp_path)) as (watcher, scaffold):
            request = question()
            for _ in range(3):
                await watcher.ask(request)
                await watcher.score()
            assert len(set(watcher.raw)) == 1
            assert scaffold.counts["batches"] == 1
            assert scaffold.counts["repeated"] == 2

    run(main())


def test_what_does_not_decode_goes_to_the_dead_letters_and_the_next_is_answered(
    place: Place, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        async with serving(place, bundle_in(tmp_path), FrameStore(tmp_path)) as (watcher, _):
            await watcher.bus.publish(place.topics.input, b"\xff rubbish")
            assert "Not a Roost message" in (await watcher.letters.get()).reason
            no_request = model_will(place.topics, "champion", 1, CLOCK).payload
            await watcher.bus.publish(place.topics.input, no_request)
            assert "is not a request" in (await watcher.letters.get()).reason
            await watcher.ask(question())
            await watcher.score()

    run(main())


def test_the_committed_champion_serves_behind_the_same_scaffold(place: Place, tmp_path: Path, run: Any) -> None:
    folder = Path(__file__).resolve().parents[3] / "models" / "henhouse" / "bundles" / "champion"
    if not folder.is_dir():
        pytest.skip(f"No champion bundle in {folder}: make it with the henhouse's recipe.")
    bundle = open_bundle(folder)
    frames = FrameStore(tmp_path / "frames")
    golden = next(golden for golden in bundle.manifest.goldens if golden.input and golden.outputs)
    assert golden.input is not None
    ref = frames.put(bundle.read(golden.input), width=1, height=1)

    async def main() -> None:
        async with serving(place, bundle, frames) as (watcher, _):
            await watcher.ask(question(input=Input(frame=ref)))
            score = await watcher.score()
            assert score.outputs[0].label == golden.outputs[0].label
            assert score.outputs[0].score == pytest.approx(golden.outputs[0].score, abs=golden.tolerance)
            assert "float32" in score.runtime

    run(main())

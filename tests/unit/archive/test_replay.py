import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from msgspec.structs import replace

from roost_broker.clock import MS
from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.messages import Declined, FrameRef, Input, Issued, Request, Score, encode
from roost_models.archive.reading import ArchiveReader
from roost_models.archive.settings import ArchiveSettings
from roost_models.archive.writing import Archive, Item
from roost_models.bundle.folder import Bundle
from roost_models.bundle.writing import write_bundle
from roost_models.inference.images import encode_png
from roost_models.inference.predictor import load_predictor, model_input
from roost_models.replay import replay

MODEL = b"""
def predict(image, context):
    if image is None:
        x = (context.values["n"] * 0.7531) % 1.0
    else:
        x = float(image.mean()) / 255
    if context.state.get("door") == "open":
        x = x / 3
    return {"hen": x, "egg": 1 - x}
"""
Answer: TypeAlias = Callable[..., None]


def make_bundle(folder: Path, *, picture: bool, model: bytes = MODEL) -> Bundle:
    fields: dict[str, Any] = {
        "name": "rules",
        "version": "1",
        "task": "nest",
        "engine": "python",
        "entry": "model.py",
        "labels": ["hen", "egg"],
        "licence": "Apache-2.0",
        "input": {"width": 8, "height": 8} if picture else None,
    }
    return write_bundle(folder, fields, {"model.py": model})


def make_request(number: int, *, frame: FrameRef | None = None, attempt: int = 1) -> Request:
    return Request(
        timestamp=number,
        message_id=new_id(number * MS, attempt.to_bytes(10, "big")),
        request_id=f"{number:032x}",
        return_address="r",
        deadline_ms=1,
        issued=Issued(boot="b" * 32, seq=number, monotonic_ns=number, attempt=attempt),
        input=Input(frame=frame, values=None if frame else {"n": number}),
        state={"door": "open" if number % 2 else "shut"},
    )


def scored(bundle: Bundle, request: Request, *, data: bytes = b"", model: str = "rules") -> Score:
    predictor = load_predictor(bundle)
    (outputs,) = predictor.predict([model_input(request, predictor, lambda: data)])
    return Score(
        timestamp=request.timestamp,
        message_id=new_id(request.timestamp * MS, model.encode().rjust(10, b"-")[-10:]),
        request_id=request.request_id,
        model=model,
        version="1",
        outputs=outputs,
        bundle=bundle.digest,
        runtime=predictor.runtime,
        saw=hashlib.sha256(encode(request)).hexdigest(),
    )


def item(message: Request | Score | Declined) -> Item:
    return Item(encode(message), message, "nest", 1)


def test_ten_thousand_archived_requests_give_the_same_bits_again(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", picture=False)
    predictor = load_predictor(bundle)
    runtime = predictor.runtime
    with Archive(tmp_path / "archive") as archive:
        for first in range(0, 10_000, 1000):
            requests = [make_request(number) for number in range(first, first + 1000)]
            outputs = predictor.predict([model_input(request, predictor, bytes) for request in requests])
            scores = [
                Score(
                    timestamp=1,
                    message_id=request.request_id,
                    request_id=request.request_id,
                    model="rules",
                    version="1",
                    outputs=row,
                    bundle=bundle.digest,
                    runtime=runtime,
                )
                for request, row in zip(requests, outputs, strict=True)
            ]
            archive.write([item(message) for message in (*requests, *scores)])
    seen: list[tuple[int, int]] = []
    with ArchiveReader(tmp_path / "archive") as reader:
        report = replay(reader, bundle, progress=lambda done, total: seen.append((done, total)))
    assert (report.inputs, report.compared, report.identical, report.different) == (10_000, 10_000, 10_000, 0)
    assert report.exact
    assert report.skipped == {}
    assert seen[-1] == (10_000, 10_000)
    assert report.per_second > 0


def test_a_score_that_differs_by_one_bit_is_found_and_shown_with_both_outputs(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", picture=False)
    fine = scored(bundle, make_request(2))
    nearly = float(np.nextafter(fine.outputs[0].score, 1))
    with Archive(tmp_path / "archive") as archive:
        for number in (1, 3):
            archive.write([item(make_request(number)), item(scored(bundle, make_request(number)))])
        changed = replace(fine, outputs=[replace(fine.outputs[0], score=nearly), *fine.outputs[1:]])
        archive.write([item(make_request(2)), item(changed)])
        report = replay(archive, bundle)
    assert (report.compared, report.identical, report.different, report.exact) == (3, 2, 1, False)
    (difference,) = report.first_different
    assert difference.archived[0].score == nearly
    assert difference.replayed == fine.outputs


def test_what_cannot_be_compared_is_counted_by_its_reason(tmp_path: Path, maker: Any) -> None:
    bundle = make_bundle(tmp_path / "bundle", picture=True)
    picture = encode_png(np.full((8, 8, 3), 77, dtype=np.uint8))
    here = maker.frames.put(picture, width=8, height=8)
    away = maker.frames.put(picture + b" ", width=8, height=8)
    lost = FrameRef(sha256="0" * 64, bytes=5, path="x", width=8, height=8)
    fine, removed, never, other, silent, declined, elsewhere = (
        make_request(number, frame=frame)
        for number, frame in enumerate((here, away, lost, here, here, here, here), start=1)
    )
    with Archive(tmp_path / "archive", settings=ArchiveSettings(budget_mb=len(picture) * 1.1 / 1e6)) as archive:
        archive.write([item(removed)], maker.frames)
        archive.write([item(request) for request in (never, other, silent, declined, elsewhere, fine)], maker.frames)
        archive.enforce_budget(9)
        for request in (fine, removed, never):
            archive.write([item(scored(bundle, request, data=picture))])

        archive.write([item(replace(scored(bundle, other, data=picture), runtime="another engine 1.0"))])
        archive.write([item(replace(scored(bundle, elsewhere, data=picture), saw="e" * 64))])
        archive.write(
            [
                item(
                    Declined(
                        timestamp=1,
                        message_id="d" * 32,
                        request_id=declined.request_id,
                        model="rules",
                        version="1",
                        reason="behind",
                    )
                )
            ]
        )
        report = replay(archive, bundle)
    assert (report.inputs, report.compared, report.identical) == (7, 1, 1)
    assert report.skipped == {
        "frame-removed": 1,
        "frame-missing": 1,
        "other-runtime": 1,
        "no-score": 1,
        "declined": 1,
        "saw-not-archived": 1,
    }


def test_another_bundle_has_nothing_to_compare(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", picture=False)
    other = make_bundle(tmp_path / "other", picture=False, model=MODEL + b"\n")
    with Archive(tmp_path / "archive") as archive:
        archive.write([item(make_request(1)), item(scored(bundle, make_request(1)))])
        report = replay(archive, other)
    assert (report.compared, report.skipped, report.exact) == (0, {"no-score": 1}, False)


def test_a_model_that_saw_the_second_attempt_is_asked_with_the_second_attempt(tmp_path: Path) -> None:
    model = b"""
def predict(image, context):
    return {"hen": 0.25 if context.tags.get("again") else 0.5, "egg": 0.125}
"""
    bundle = make_bundle(tmp_path / "bundle", picture=False, model=model)

    first = make_request(1)
    second = replace(make_request(1, attempt=2), tags={"again": "yes"})
    with Archive(tmp_path / "archive") as archive:
        archive.write([item(first), item(second)])
        archive.write([item(scored(bundle, first, model="champion")), item(scored(bundle, second, model="canary"))])
        report = replay(archive, bundle)
    assert (report.inputs, report.compared, report.identical) == (1, 2, 2)


def test_a_model_that_fails_now_is_a_difference_and_not_a_skip(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", picture=True)
    rubbish = b"this was a picture once"
    with Archive(tmp_path / "archive") as archive:
        frames = FrameStore(tmp_path / "frames")
        request = make_request(1, frame=frames.put(rubbish, width=8, height=8))
        picture = encode_png(np.zeros((8, 8, 3), dtype=np.uint8))
        archive.write([item(request), item(scored(bundle, request, data=picture))], frames)
        report = replay(archive, bundle)
    assert (report.compared, report.different) == (1, 1)
    assert report.first_different[0].detail.startswith("bad-input")


@pytest.mark.parametrize(("limit", "inputs"), [(1, 1), (2, 2), (50, 3)])
def test_a_limit_takes_the_newest_inputs(tmp_path: Path, limit: int, inputs: int) -> None:
    bundle = make_bundle(tmp_path / "bundle", picture=False)
    with Archive(tmp_path / "archive") as archive:
        for number in (1, 2, 3):
            archive.write([item(make_request(number)), item(scored(bundle, make_request(number)))])
        assert replay(archive, bundle, limit=limit).inputs == inputs

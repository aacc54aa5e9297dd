"""Archives made on the spot, and bundles to be evaluated on them."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.messages import Input, Issued, Request, Score, encode
from roost_broker.topics import NodeTopics
from roost_models.archive.writing import Archive, Item
from roost_models.bundle.folder import Bundle
from roost_models.bundle.opening import open_bundle
from roost_models.bundle.writing import write_bundle
from roost_models.inference.evaluation import Evaluator
from roost_models.inference.images import encode_png
from roost_models.inference.predictor import load_predictor

MakeBundle = Callable[..., Bundle]
BRIGHTNESS = """
def predict(image, context):
    brightness = float(image.mean()) / 255
    return {"bright": brightness, "dark": 1 - brightness}
"""
START_MS = 1_700_000_000_000
BOOT = "b" * 32


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    """`make_bundle(source, **manifest fields)`: a bundle of engine python in a fresh folder."""
    made = 0

    def make(source: str = BRIGHTNESS, files: dict[str, bytes] | None = None, **fields: Any) -> Bundle:
        nonlocal made
        made += 1
        manifest = {
            "name": "brightness",
            "version": f"{made}.0",
            "task": "nest",
            "engine": "python",
            "entry": "model.py",
            "labels": ["bright", "dark"],
            "input": {"width": 8, "height": 6},
            "licence": "Apache-2.0",
            **fields,
        }
        return write_bundle(tmp_path / f"bundle-{made}", manifest, {"model.py": source.encode(), **(files or {})})

    return make


class MadeArchive:
    """A decoy's archive of pictures whose brightness rises with their number; the champion's scores where told."""

    def __init__(self, root: Path, capture: FrameStore) -> None:
        self.root = root
        self._capture = capture
        self.pictures: list[str] = []
        self._random = np.random.default_rng(11)

    def add(self, count: int, *, of: int | None = None, node: str = "coop", scores: Bundle | None = None) -> None:
        """`count` requests, from dark to bright."""
        items: list[Item] = []
        for number in range(count):
            level = int(255 * (number + 0.5) / (of or count))
            rgb = np.full((12, 16, 3), level, np.uint8)
            rgb[0, 0] = self._random.integers(0, 255, 3)  # no two pictures are the same
            picture = encode_png(rgb)
            at = START_MS + 1000 * len(self.pictures)
            request = self._request(picture, len(self.pictures), at, node)
            payload = encode(request)
            items.append(Item(payload, request, "nest", at * 1_000_000))
            self.pictures.append(hashlib.sha256(picture).hexdigest())
            if scores is not None:
                score = score_of(scores, request, payload, self._capture)
                items.append(Item(encode(score), score, "nest", at * 1_000_000))
        with Archive(self.root) as archive:
            archive.write(items, self._capture)

    def _request(self, picture: bytes, number: int, at: int, node: str) -> Request:
        return Request(
            timestamp=at,
            message_id=new_id(number, b"m" * 10),
            request_id=f"{number:032x}",
            return_address=NodeTopics(node).task("nest").results("cam"),
            deadline_ms=60_000,
            issued=Issued(boot=BOOT, seq=number, monotonic_ns=number),
            input=Input(frame=self._capture.put(picture, width=16, height=12)),
        )


def score_of(bundle: Bundle, request: Request, payload: bytes, capture: FrameStore) -> Score:
    """What a scaffold with this bundle publishes for the request."""
    predictor = load_predictor(bundle)
    outcome = Evaluator(predictor, capture, time.monotonic_ns, threading.Event()).evaluate([request], [None])[0]
    assert outcome.outputs is not None
    return Score(
        timestamp=request.timestamp,
        message_id=request.request_id[1:] + "f",
        request_id=request.request_id,
        model=bundle.manifest.name,
        version=bundle.manifest.version,
        outputs=outcome.outputs,
        compute_ms=4.0,
        bundle=bundle.digest,
        runtime=predictor.runtime,
        saw=hashlib.sha256(payload).hexdigest(),
    )


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[MadeArchive]:
    """An empty one."""
    return MadeArchive(tmp_path / "archive", FrameStore(tmp_path / "capture"))


@pytest.fixture(scope="session")
def champion() -> Bundle:
    """The henhouse's committed network: a real `.tflite` that is always at hand."""
    folder = Path(__file__).resolve().parents[3] / "models" / "henhouse" / "bundles" / "champion"
    if not folder.is_dir():
        pytest.skip(f"No champion bundle in {folder}: make it with the henhouse's recipe.")
    return open_bundle(folder)

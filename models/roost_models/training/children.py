"""Pictures through a model in child processes: a damaged one kills only them, and two cores share the work.

Children are started afresh (`spawn`), never forked: TensorFlow, if it trained the model, and a TFLite runtime break
each other in one process.
"""

import os
import resource
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from roost_broker.errors import Malformed
from roost_models.bundle.manifest import ImageContract
from roost_models.bundle.opening import open_bundle
from roost_models.inference.images import decode
from roost_models.inference.interpreter import TfliteModel
from roost_models.inference.predictor import ModelInput, Predictor, load_predictor
from roost_models.inference.preprocess import pixels, tensor

BATCH = 16
"""Pictures that go to a child together."""
_AHEAD = 3
"""Batches for each child that are on their way; more would only fill memory with pictures."""

Result = TypeVar("Result")


class Answer(NamedTuple):
    """What a bundle said of one picture: labels with their scores, best first; and what it ran on."""

    scores: list[tuple[str, float]]
    runtime: str


_model: TfliteModel | None = None
_contract: ImageContract | None = None
_predictor: Predictor | None = None


def features_of(
    pictures: Iterable[bytes], content: bytes, contract: ImageContract, engine: str, *, workers: int
) -> Iterator[NDArray[np.float32]]:
    """What a backbone gives for each picture, in order. Raises `Malformed` (it dies) and `BadImage`."""
    starting = (content, contract, engine)
    yield from _in_children(_load_model, starting, _features, pictures, workers)


def answers_of(pictures: Iterable[bytes], bundle: Path, *, workers: int) -> Iterator[Answer]:
    """What a bundle answers for each picture, in order, one at a time as when it is served. Raises as above."""
    yield from _in_children(_load_bundle, (bundle,), _answers, pictures, workers)


def _in_children(
    start: Callable[..., None],
    starting: tuple[object, ...],
    work: Callable[[list[bytes]], list[Result]],
    pictures: Iterable[bytes],
    workers: int,
) -> Iterator[Result]:
    waiting: deque[Future[list[Result]]] = deque()
    try:
        with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (start, starting)) as pool:
            for batch in _batches(pictures):
                waiting.append(pool.submit(work, batch))
                if len(waiting) >= _AHEAD * workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise Malformed(
            "The model killed the process that evaluated it.",
            "Its file is damaged, or this runtime cannot run it. Export it again.",
        ) from error


def _begin(start: Callable[..., None], starting: tuple[object, ...]) -> None:
    """In the child, first. What the runtimes' C++ code tells on stderr helps nobody; errors come back as exceptions."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is an answer here, not a case for a core dump
    start(*starting)


def _batches(pictures: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _load_model(content: bytes, contract: ImageContract, engine: str) -> None:
    global _model, _contract  # a child's only state, set once before its work
    _model, _contract = TfliteModel(content, [engine]), contract


def _features(pictures: list[bytes]) -> list[NDArray[np.float32]]:
    if _model is None or _contract is None:
        raise RuntimeError("the child was not started with a model")
    rows = (tensor(pixels(decode(data), _contract), _contract) for data in pictures)
    return [_model.run(row[np.newaxis])[0] for row in rows]


def _load_bundle(path: Path) -> None:
    global _predictor  # as above
    _predictor = load_predictor(open_bundle(path))


def _answers(pictures: list[bytes]) -> list[Answer]:
    if _predictor is None:
        raise RuntimeError("the child was not started with a bundle")
    shown = (ModelInput(image=_predictor.preprocess(decode(data))) for data in pictures)
    return [
        Answer([(output.label, output.score) for output in _predictor.predict([item])[0]], _predictor.runtime)
        for item in shown
    ]

"""What is true of a bundle on given pictures: measured once for each bundle, then shared by all simulated devices.

Its goldens are run in a child process, as a device does; then every picture is shown to the new bundle, to the one
before it and to the canary. A picture's time is the best of three rounds through all pictures, so that a machine that
is busy for a moment does not look like a slow model.
"""

import math
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from roost_broker.clock import MS
from roost_broker.errors import Malformed, Misuse, RoostError
from roost_edge.fleet_sim.truth import Known, Truth
from roost_models.bundle.folder import Bundle
from roost_models.bundle.trial import try_in_child
from roost_models.inference import images
from roost_models.inference.images import BadImage
from roost_models.inference.predictor import ModelInput, Pixels, Predictor, Unusable, load_predictor

MAX_PICTURES = 500
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
_ROUNDS = 3


class Said(NamedTuple):
    """What a bundle says of each picture; None: it could not answer."""

    labels: tuple[str | None, ...]
    p50_ms: float
    p99_ms: float


def read_pictures(folder: Path, most: int = MAX_PICTURES) -> list[Pixels]:
    """Decoded pictures below a folder, in order of their names; what is none is left out. Raises `Misuse`."""
    found: list[Pixels] = []
    for path in sorted(folder.rglob("*")):
        if len(found) >= most:
            break
        if path.suffix.lower() in _SUFFIXES:
            try:
                found.append(images.decode(path.read_bytes()))
            except BadImage:
                continue
    if not found:
        raise Misuse(f"There are no pictures in {folder}.", "Give a folder with .jpg or .png files.")
    return found


class Measuring:
    """Remembers what each bundle says, so that each is evaluated once."""

    def __init__(self, pictures: Sequence[Pixels], canary: Bundle | None = None) -> None:
        self._pictures = pictures
        self._said: dict[str, Said] = {}
        self._canary = canary

    def known(self, bundle: Bundle, previous: Bundle | None) -> Known:
        """What is true of `bundle`, beside the one before it."""
        if problem := self._problem(bundle):
            return Known(usual=Truth(installs=0.0), problem=problem)
        new = self._say(bundle)
        before = new if previous is None else self._say(previous)
        canary = None if self._canary is None else self._say(self._canary)
        answered = sum(label is not None for label in new.labels)
        counted = Counter(label for label in new.labels if label is not None)
        return Known(
            usual=Truth(
                answers=answered / len(new.labels),
                previous=_same(new, before),
                canary=1.0 if canary is None else _same(new, canary),
                p50_ms=new.p50_ms,
                p99_ms=new.p99_ms,
                previous_p99_ms=before.p99_ms,
                labels={label: count / max(answered, 1) for label, count in counted.most_common(32)},
                restarts_per_hour=0.0,
                installs=1.0,
            )
        )

    def _problem(self, bundle: Bundle) -> str:
        try:
            differences = try_in_child(bundle).differences
        except Malformed as error:
            return error.problem
        return f"goldens differ: {differences[0]}" if differences else ""

    def _say(self, bundle: Bundle) -> Said:
        if bundle.digest not in self._said:
            self._said[bundle.digest] = _said(load_predictor(bundle), self._pictures)
        return self._said[bundle.digest]


def _said(predictor: Predictor, pictures: Sequence[Pixels]) -> Said:
    items = [ModelInput(image=predictor.preprocess(rgb), at_ms=number * 1000) for number, rgb in enumerate(pictures)]
    labels: list[str | None] = [None] * len(items)
    best = [math.inf] * len(items)
    for _ in range(_ROUNDS):
        for number, item in enumerate(items):
            began = time.monotonic_ns()
            try:
                labels[number] = predictor.predict([item])[0][0].label
            except (Unusable, RoostError, IndexError):
                continue
            best[number] = min(best[number], (time.monotonic_ns() - began) / MS)
    times = sorted(took for took in best if took < math.inf)
    if not times:
        return Said(tuple(labels), 0.001, 0.001)
    return Said(tuple(labels), times[len(times) // 2], times[min(len(times) - 1, int(0.99 * len(times)))])


def _same(one: Said, other: Said) -> float:
    """Share of the pictures that `one` answers of which both say the same."""
    answered = [(a, b) for a, b in zip(one.labels, other.labels, strict=True) if a is not None]
    return sum(a == b for a, b in answered) / max(len(answered), 1)

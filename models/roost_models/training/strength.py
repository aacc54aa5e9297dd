"""How strongly the weights of a head are held back (`l2`): the strength that does best on pictures not trained on.

1. With a validation split: trained on the training split, judged on the validation split.
2. Without one: trained on all groups (a site's day) but some, judged on those, in turn; a group is never divided.
3. With a single group: the same with single pictures, which judges too kindly; the remark says so.

Judged by mean cross-entropy. What is served is then trained on training and validation together. Pure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from roost_broker.errors import Misuse
from roost_models.training.regression import Fitting, Floats, Numbers, log_loss

STRENGTHS = (1.0, 0.1, 0.01, 0.001, 0.0001)
"""Tried in this order; the first of equals is taken, so the strongest."""
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Chosen:
    """`losses` by strength, and on what they were measured."""

    l2: float
    losses: dict[float, float]
    measured_on: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Features with label numbers, the group of each, and whether it is of the validation split."""

    features: Floats
    labels: Numbers
    groups: Sequence[str]
    validation: np.ndarray[tuple[int], np.dtype[np.bool_]]


def choose(rows: Rows, count: int, *, balanced: bool, tell: Callable[[int, int], None]) -> Chosen:
    """The best of `STRENGTHS`; `count` is the number of labels. Raises `Misuse` with fewer than two pictures."""
    parts, measured_on = _parts(rows)
    losses = dict.fromkeys(STRENGTHS, 0.0)
    done = 0
    for judged in parts:
        fitting = Fitting(rows.features[~judged], rows.labels[~judged], count, balanced=balanced)
        for l2, found in zip(STRENGTHS, fitting.path(STRENGTHS), strict=True):
            loss = log_loss(found.logits(rows.features[judged]), rows.labels[judged])
            losses[l2] += loss * int(judged.sum()) / sum(int(part.sum()) for part in parts)
            done += 1
            tell(done, len(parts) * len(STRENGTHS))
    best = min(losses, key=lambda l2: losses[l2])  # the first of equals
    return Chosen(best, {l2: round(loss, 6) for l2, loss in losses.items()}, measured_on)


def _parts(rows: Rows) -> tuple[list[np.ndarray[tuple[int], np.dtype[np.bool_]]], str]:
    """Which rows are judged, for each turn."""
    if len(rows.labels) < 2:
        raise Misuse("There are too few pictures to train on.", "Label some, and make the next version of the dataset.")
    if rows.validation.any() and not rows.validation.all():
        return [rows.validation], f"the validation split ({int(rows.validation.sum())} pictures)"
    groups = sorted(set(rows.groups))
    if len(groups) > 1:
        turn = {group: number % FOLDS for number, group in enumerate(groups)}
        of_row = np.array([turn[group] for group in rows.groups])
        each = ", one picture each" if len(groups) == len(rows.labels) else ""
        measured_on = f"{len(groups)} groups of training (by site and day{each}), some left out in turn"
    else:
        of_row = np.arange(len(rows.labels)) % FOLDS
        measured_on = "pictures of one day left out in turn (too kind: they are much alike)"
    return [of_row == number for number in range(FOLDS) if (of_row == number).any()], measured_on

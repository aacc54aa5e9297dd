"""Softmax regression in numpy: the head that is trained over frozen features. The same numbers give the same head.

The loss is the mean cross-entropy, weighted by label, plus `l2`/2 times the squared weights of the standardised
features; the bias is free. It is minimised by steps with a fixed upper bound of its curvature (Böhning 1992): the
covariance of the features, of which one eigendecomposition serves every step and every `l2`. Momentum (Nesterov) makes
it quick, and is dropped whenever the loss rises, so that the loss never ends above where it was.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roost_broker.errors import Misuse

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

_STEPS = 400
_STILL = 1e-6
"""A relative improvement below this ends the work."""
_FLAT = 1e-5
"""Along an axis of less variance pictures hardly differ (a single feature has 1): it is left out."""
_NEVER = -20.0
"""Logit of a label that has no picture: e^-20 of the others' share."""


@dataclass(frozen=True, slots=True)
class Standard:
    """Mean and spread of each feature in training. A feature that never changes is left out (spread infinite).

    Weighted as the loss is: only then are weights and bias apart in the bound of the curvature.
    """

    mean: Floats
    spread: Floats

    @classmethod
    def of(cls, features: Floats, share: Floats) -> "Standard":
        """From the rows that are trained on, and the share of each in the loss."""
        mean = share @ features
        spread = np.sqrt(share @ (features - mean) ** 2)
        return cls(mean, np.where(spread > 1e-6, spread, np.inf))

    def apply(self, features: Floats) -> Floats:
        """Features as the solver sees them."""
        return np.asarray((features - self.mean) / self.spread)


@dataclass(frozen=True, slots=True)
class Regression:
    """`weights` (labels, features) and `bias` (labels) for the features as they come from the backbone."""

    weights: Floats
    bias: Floats

    def logits(self, features: Floats) -> Floats:
        """One row for each row of features."""
        return np.asarray(features @ self.weights.T + self.bias)


def label_weights(labels: Numbers, count: int, *, balanced: bool) -> Floats:
    """What one picture of each label weighs. Balanced: every label that occurs weighs the same in all."""
    shown = np.bincount(labels, minlength=count).astype(np.float64)
    if not balanced:
        return np.ones(count)
    occurring = int((shown > 0).sum())
    return np.where(shown > 0, len(labels) / (occurring * np.maximum(shown, 1)), 0.0)


class Fitting:
    """Prepares a set of features once, and solves for as many `l2` as are asked for."""

    def __init__(self, features: Floats, labels: Numbers, count: int, *, balanced: bool = True) -> None:
        if len(features) == 0:
            raise Misuse("There is no picture to train on.", "Label some, and make the next version of the dataset.")
        weights = label_weights(labels, count, balanced=balanced)[labels]
        self._share = weights / weights.sum()
        self._standard = Standard.of(features, self._share)
        self._present = np.flatnonzero(np.bincount(labels, minlength=count))
        self._count = count
        self._wanted = (labels[:, np.newaxis] == self._present).astype(np.float64)
        rows = self._standard.apply(features)
        values, axes = _principal(rows * np.sqrt(self._share)[:, np.newaxis])
        kept = values > _FLAT
        values, self._axes = values[kept], axes[:, kept]
        self._rows = rows @ self._axes
        self._curvature = values / 2

    def solve(self, l2: float) -> Regression:
        """The regression for this strength (above 0)."""
        return self._for_raw_features(self._found(l2, self._nothing()))

    def path(self, strengths: Sequence[float]) -> Iterator[Regression]:
        """One for each strength, each looked for from where the one before was: begin with the strongest."""
        here = self._nothing()
        for l2 in strengths:
            here = self._found(l2, here)
            yield self._for_raw_features(here)

    def _nothing(self) -> Floats:
        return np.zeros((len(self._present), self._rows.shape[1] + 1))  # the last column is the bias

    def _found(self, l2: float, start: Floats) -> Floats:
        """Logits are linear in the weights, so those of a point ahead follow from two that are known."""
        here = ahead = start
        logits = ahead_logits = self._logits(here)
        loss, momentum = self._loss(here, logits, l2), 1.0
        for _ in range(_STEPS):
            there = ahead - self._step(ahead, ahead_logits, l2)
            there_logits = self._logits(there)
            new = self._loss(there, there_logits, l2)
            if new > loss and momentum > 1.0:  # overshot: once more from here, without momentum
                ahead, ahead_logits, momentum = here, logits, 1.0
                continue
            following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            reach = (momentum - 1) / following
            ahead = there + reach * (there - here)
            ahead_logits = there_logits + reach * (there_logits - logits)
            done = loss - new < _STILL * abs(loss)
            here, logits, loss, momentum = there, there_logits, new, following
            if done:
                break
        return here

    def _logits(self, found: Floats) -> Floats:
        return np.asarray(self._rows @ found[:, :-1].T + found[:, -1])

    def _loss(self, found: Floats, logits: Floats, l2: float) -> float:
        highest = logits.max(axis=1, keepdims=True)
        totals = highest[:, 0] + np.log(np.exp(logits - highest).sum(axis=1))
        entropy = (self._share * (totals - (logits * self._wanted).sum(axis=1))).sum()
        return float(entropy + l2 / 2 * (found[:, :-1] ** 2).sum())

    def _step(self, found: Floats, logits: Floats, l2: float) -> Floats:
        rest = (softmax(logits) - self._wanted) * self._share[:, np.newaxis]
        gradient = rest.T @ self._rows + l2 * found[:, :-1]
        return np.hstack([gradient / (self._curvature + l2), 2 * rest.sum(axis=0)[:, np.newaxis]])

    def _for_raw_features(self, found: Floats) -> Regression:
        weights, bias = np.zeros((self._count, len(self._axes))), np.full(self._count, _NEVER)
        weights[self._present] = found[:, :-1] @ self._axes.T / self._standard.spread
        bias[self._present] = found[:, -1] - weights[self._present] @ self._standard.mean
        if len(self._present) < self._count:  # below every other label, whatever the picture
            weights[np.setdiff1d(np.arange(self._count), self._present)] = weights[self._present].mean(axis=0)
            bias[np.setdiff1d(np.arange(self._count), self._present)] = bias[self._present].mean() + _NEVER
        return Regression(weights, bias)


def _principal(rows: Floats) -> tuple[Floats, Floats]:
    """Variances along the principal axes of weighted rows, and the axes as columns: as few as there are rows.

    The weights that are looked for lie in the span of the rows, so nothing is lost.
    """
    if len(rows) < rows.shape[1]:
        _, singular, axes = np.linalg.svd(rows, full_matrices=False)
        return np.asarray(singular**2), np.asarray(axes.T)
    values, vectors = np.linalg.eigh(rows.T @ rows)
    return np.asarray(values, dtype=np.float64), np.asarray(vectors, dtype=np.float64)


def softmax(logits: Floats) -> Floats:
    """Rows of probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def log_loss(logits: Floats, labels: Numbers) -> float:
    """Mean cross-entropy in nats."""
    highest = logits.max(axis=1, keepdims=True)
    totals = highest[:, 0] + np.log(np.exp(logits - highest).sum(axis=1))
    return float((totals - logits[np.arange(len(labels)), labels]).mean())

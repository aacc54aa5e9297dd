"""What training says while it chooses the strength: trials, counted to their end, and of what before the first."""

import numpy as np

from roost_models.training.head import HeadOptions, fit
from roost_models.training.strength import FOLDS, STRENGTHS, Rows


class Heard:
    def __init__(self) -> None:
        self.said: list[object] = []

    def progress(self, done: int, total: int | None) -> None:
        self.said.append((done, total))

    def note(self, text: str) -> None:
        self.said.append(text)


def test_choosing_is_counted_in_trials_and_says_so_first() -> None:
    heard, labels = Heard(), np.arange(40) % 2
    features = np.random.default_rng(1).normal(size=(40, 3)) + labels[:, np.newaxis]
    rows = Rows(features, labels, [f"day {number // 4}" for number in range(40)], np.zeros(40, bool))
    fit(rows, 2, HeadOptions(), heard)
    note, *counted = heard.said
    assert "trials" in str(note)
    total = FOLDS * len(STRENGTHS)
    assert counted == [(done, total) for done in range(1, total + 1)]

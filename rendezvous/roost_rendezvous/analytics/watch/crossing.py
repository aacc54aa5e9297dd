"""Rates that go together (R5): each request makes one word of each model due, an answer or a refusal. Pure.

Time counts in words that are due, so neither night nor a camera that stopped looks strange. Fewer: a model leaves
requests without a word. More: a second process speaks under its name, or one and the same is asked twice.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from roost_rendezvous.analytics.rates.cross import CrossRate
from roost_rendezvous.analytics.reading import Reading, Signal, Subject
from roost_rendezvous.analytics.watch.observed import Asked, Said

_MOST = 256
"""Models of all tasks that are watched so; under a kilobyte each."""


class Crossing:
    """`canary`: the model that never changes."""

    def __init__(self, canary: str = "") -> None:
        self._canary = canary
        self._rates: dict[tuple[str, str], CrossRate] = {}

    def handle(self, one: Asked | Said) -> None:
        """A request for the first time, or a word that is no repetition."""
        if isinstance(one, Asked):
            for (task, _), rate in self._rates.items():
                if task == one.task:
                    rate.cause()
            return
        key = (one.task, one.model)
        found = self._rates.get(key)
        if found is None:
            if len(self._rates) < _MOST:  # its first word: causes are counted from now on
                self._rates[key] = self._made(*key)
            return
        found.effect()

    def tick(self, now: int) -> Iterator[Reading]:
        """What each has to say."""
        for rate in self._rates.values():
            yield rate.tick(now)

    def accept(self, names: Iterable[str]) -> None:
        """What these are now is the new normal."""
        wanted = set(names)
        for rate in self._rates.values():
            if rate.signal.name in wanted:
                rate.accept()

    def snapshot(self) -> Any:
        """Plain values."""
        return [[*key, rate.snapshot()] for key, rate in self._rates.items()]

    def restore(self, kept: Iterable[Any]) -> None:
        """What `snapshot` gave."""
        for task, model, state in kept:
            rate = self._rates[task, model] = self._made(task, model)
            rate.restore(state)

    def _made(self, task: str, model: str) -> CrossRate:
        subject: Subject = "canary" if model == self._canary else "model"
        signal = Signal(task=task, kind="rate", subject=subject, of=model, part="words per request", side="operational")
        return CrossRate(signal)

"""The watches of one task by signal: made when something is first seen, bounded, kept over a restart."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec

from roost_rendezvous.analytics.reading import Reading, Signal
from roost_rendezvous.analytics.shapes.agreement import AgreementWatch, KeptAgreement
from roost_rendezvous.analytics.shapes.categories import CategoryWatch, KeptCategory
from roost_rendezvous.analytics.shapes.clusters import ClusterWatch, KeptClusters
from roost_rendezvous.analytics.shapes.numbers import KeptNumber, NumberWatch
from roost_rendezvous.analytics.shapes.tails import KeptTail, TailWatch


class Watch(Protocol):
    """What every watch of shapes has in common."""

    signal: Signal
    what: str

    def relearn(self) -> None: ...  # noqa: D102 - each watch says it
    def tick(self, now: int) -> Reading: ...  # noqa: D102 - as above
    def snapshot(self) -> Any: ...  # noqa: D102 - as above
    def restore(self, kept: Any) -> None: ...  # noqa: D102 - as above


_KEPT: dict[type[Any], type[Any]] = {
    NumberWatch: KeptNumber,
    CategoryWatch: KeptCategory,
    ClusterWatch: KeptClusters,
    TailWatch: KeptTail,
    AgreementWatch: KeptAgreement,
}


class Bank:
    """At most `most` watches. `make` makes the empty one of a key (`making`)."""

    def __init__(self, most: int, make: Callable[[tuple[str, ...]], Any]) -> None:
        self._most = most
        self._make = make
        self._watches: dict[tuple[str, ...], Watch] = {}
        self.left_out = 0
        """Observations of streams for which there was no room."""

    def __len__(self) -> int:
        return len(self._watches)

    def get(self, key: tuple[str, ...]) -> Any:
        """The watch of a key, made when it is new; None when there is no room for another."""
        watch = self._watches.get(key)
        if watch is None:
            if len(self._watches) >= self._most:
                self.left_out += 1
                return None
            watch = self._watches[key] = self._make(key)
        return watch

    def items(self) -> list[tuple[tuple[str, ...], Watch]]:
        """All of them with their keys."""
        return list(self._watches.items())

    def __iter__(self) -> Iterator[Watch]:
        return iter(list(self._watches.values()))

    def snapshot(self) -> list[Any]:
        """All of them as plain values: key and memory."""
        return [[list(key), msgspec.to_builtins(watch.snapshot())] for key, watch in self._watches.items()]

    def restore(self, kept: list[Any]) -> None:
        """Continue where the snapshot was taken."""
        self._watches = {}
        for key, memory in kept[: self._most]:
            watch = self._make(tuple(key))
            watch.restore(msgspec.convert(memory, _KEPT[type(watch)]))
            self._watches[tuple(key)] = watch

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


class _Place:
    """A watch, and what it said last while nothing has come since: a stream at rest costs nothing."""

    __slots__ = ("said", "watch")

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.said: Reading | None = None


class Bank:
    """At most `most` watches. `make` makes the empty one of a key (`making`)."""

    def __init__(self, most: int, make: Callable[[tuple[str, ...]], Any]) -> None:
        self._most = most
        self._make = make
        self._places: dict[tuple[str, ...], _Place] = {}
        self.left_out = 0
        """Observations of streams for which there was no room."""

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: tuple[str, ...]) -> Any:
        """The watch of a key, to be told something, made when it is new; None when there is no room for another."""
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= self._most:
                self.left_out += 1
                return None
            place = self._places[key] = _Place(self._make(key))
        place.said = None
        return place.watch

    @property
    def signals(self) -> list[Signal]:
        """Of all of them."""
        return [place.watch.signal for place in self._places.values()]

    def rename(self, signal: Callable[[tuple[str, ...]], Signal]) -> None:
        """Give every watch the signal of its key."""
        for key, place in self._places.items():
            place.watch.signal, place.said = signal(key), None

    def tick(self, now: int) -> Iterator[Reading]:
        """What each has to say; one that was told nothing since says the same as then."""
        for place in self._places.values():
            if place.said is None:
                place.said = place.watch.tick(now)
            yield place.said

    def relearn(self, signal: Signal) -> bool:
        """What comes from now on is this signal's new normal; False: no watch has it."""
        found = [place for place in self._places.values() if place.watch.signal == signal]
        for place in found:
            place.watch.relearn()
            place.said = None
        return bool(found)

    def snapshot(self) -> list[Any]:
        """All of them as plain values: key and memory."""
        return [[list(key), msgspec.to_builtins(place.watch.snapshot())] for key, place in self._places.items()]

    def restore(self, kept: list[Any]) -> None:
        """Continue where the snapshot was taken."""
        self._places = {}
        for key, memory in kept[: self._most]:
            watch = self._make(tuple(key))
            watch.restore(msgspec.convert(memory, _KEPT[type(watch)]))
            self._places[tuple(key)] = _Place(watch)

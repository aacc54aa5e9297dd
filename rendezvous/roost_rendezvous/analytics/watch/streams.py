"""The watched streams by signal: a detector each, made when a signal is first fed, given up when nobody feeds it. Pure.

Bounded: beyond `most` streams a new signal is left out and counted. One that was silent for `FORGET_NS` goes: a model
that was retired is no stop. What a detector says of itself is a `Reading`; what readings mean is the alarms' business.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from roost_rendezvous.analytics.rates.stream import RateWatch
from roost_rendezvous.analytics.reading import Reading, Signal
from roost_rendezvous.analytics.shapes.categories import CategoryWatch, KeptCategory
from roost_rendezvous.analytics.shapes.latency import latency_watch
from roost_rendezvous.analytics.shapes.numbers import KeptNumber, NumberWatch
from roost_rendezvous.analytics.watch.planning import Feed, Happened, Shown

FORGET_NS = 45 * 86_400 * 1_000_000_000
"""Longer than a device is usually put away; its history is worth a month."""


class _Kept(msgspec.Struct, array_like=True):
    """One stream on the card. `kind`: `rate`, `words` or `number`."""

    kind: str
    signal: Signal
    what: str
    fed: int
    state: Any


class _Stream:
    __slots__ = ("fed", "kind", "said", "watch", "what")

    def __init__(self, kind: str, watch: Any, what: str, fed: int) -> None:
        self.kind = kind
        self.watch = watch
        self.what = what
        self.fed = fed
        self.said: tuple[Reading, ...] = ()
        """What it said last, while nothing has come since: a stream at rest costs nothing."""

    def tick(self, now: int) -> tuple[Reading, ...]:
        """A rate hears silence, and says apart how long the longest was and what lasts; the others say the same until
        they are fed."""
        if self.kind == "rate":
            return self.watch.tick(now), self.watch.stopped(now), self.watch.lasted(now)
        if not self.said:
            self.said = (self.watch.tick(now),)
        return self.said


class Streams:
    """See the module. Times are steady nanoseconds."""

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError("there is room for one stream at least")
        self.counts: Counter[str] = Counter()
        self._most = most
        self._streams: dict[Signal, _Stream] = {}

    def __len__(self) -> int:
        """Streams that are watched."""
        return len(self._streams)

    def __contains__(self, signal: Signal) -> bool:
        """Whether this signal is watched."""
        return signal in self._streams

    def feed(self, feeds: Iterable[Feed], at: int) -> None:
        """What happened at one moment."""
        for one in feeds:
            stream = self._streams.get(one.signal) or self._begin(one, at)
            if stream is None:
                continue
            stream.fed, stream.said = max(stream.fed, at), ()
            if isinstance(one, Happened):
                stream.watch.event(at)
            elif isinstance(one, Shown):
                stream.watch.handle(one.word)
            else:
                stream.watch.handle(one.value)

    def tick(self, now: int) -> list[Reading]:
        """What each has to say."""
        return [reading for stream in self._streams.values() for reading in stream.tick(now)]

    def resume(self, now: int) -> None:
        """Nobody watched until now: what was missed is no silence."""
        for stream in self._streams.values():
            if stream.kind == "rate":
                stream.watch.resume(now)

    def accept(self, names: Iterable[str]) -> None:
        """A person has said that these signals' present is the new normal."""
        wanted = set(names)
        for signal, stream in self._streams.items():
            if stream.kind == "rate":
                if not wanted.isdisjoint(one.name for one in stream.watch.signals):
                    stream.watch.accept()
            elif signal.name in wanted:
                stream.watch.relearn()
                stream.said = ()

    def tidy(self, now: int) -> None:
        """Give up what was silent for long."""
        for signal in [one for one, stream in self._streams.items() if now - stream.fed > FORGET_NS]:
            del self._streams[signal]
            self.counts["forgotten"] += 1

    def snapshot(self) -> list[Any]:
        """Plain values."""
        return [
            msgspec.to_builtins(_Kept(one.kind, signal, one.what, one.fed, one.watch.snapshot()))
            for signal, one in self._streams.items()
        ]

    def restore(self, kept: Iterable[Any]) -> None:
        """What `snapshot` gave; a stream that cannot be read begins anew."""
        for plain in kept:
            one = msgspec.convert(plain, _Kept)
            watch = _make(one.kind, one.signal, one.what)
            try:
                watch.restore(_state(one.kind, one.state))
            except (KeyError, TypeError, ValueError, msgspec.ValidationError):
                self.counts["unreadable"] += 1
                watch = _make(one.kind, one.signal, one.what)
            self._streams[one.signal] = _Stream(one.kind, watch, one.what, one.fed)

    def _begin(self, one: Feed, at: int) -> _Stream | None:
        if len(self._streams) >= self._most:
            self.counts["left-out"] += 1
            return None
        kind = "rate" if isinstance(one, Happened) else "words" if isinstance(one, Shown) else "number"
        stream = self._streams[one.signal] = _Stream(kind, _make(kind, one.signal, one.what), one.what, at)
        return stream


def _make(kind: str, signal: Signal, what: str) -> Any:
    if kind == "rate":
        return RateWatch(signal)
    if kind == "words":
        return CategoryWatch(signal, what)
    # Steps of traces are milliseconds: bins that grow with the duration show a slow group (H4, O1).
    return latency_watch(signal, what) if signal.kind == "latency" else NumberWatch(signal, what)


def _state(kind: str, plain: Any) -> Any:
    if kind == "rate":
        return plain
    return msgspec.convert(plain, KeptCategory if kind == "words" else KeptNumber)

"""What a device knows of its links: connections that were lost and came back. Pure; times are steady nanoseconds.

Two links are told apart:

* `broker`: the sessions of roles and models. The broker says `gone` for one that vanished; when the same session is
  there again, the process had lived all the time, and it was the way to it that was cut. (A process that hung for
  longer than its keepalive looks the same, and is as bad for its messages.) What is lost within a minute of each other
  is one loss: everybody loses the broker at once.
* `centre`: how often the gateway's link came up again, as it counts itself.

A connection that was lost once or twice mended itself, and is nothing to page about (N7): only from `_FLAPS` losses
within `_OVER` on there is a surprise, the number of losses. Whether so many are usual here says the signal's history.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

import msgspec

from roost_broker.enumeration import first_of
from roost_rendezvous.analytics.reading import Reading, Signal
from roost_rendezvous.analytics.watch.observed import Standing

Link: TypeAlias = Literal["broker", "centre"]

_HOUR: Final = 3_600 * 1_000_000_000
_OVER: Final = _HOUR
"""Losses are counted over the last hour."""
_FLAPS: Final = 3
_ONE_LOSS: Final = 60 * 1_000_000_000
_MOST: Final = 1_000
"""Losses remembered of one link, and as many counted at once."""
_NAMED: Final = 3
_SAID: Final = {"broker": "the connection to the broker", "centre": "the link to the centre"}


class _Kept(msgspec.Struct, array_like=True):
    """One link on the card."""

    losses: list[tuple[int, str]] = []
    """When, and whose."""
    total: int = 0
    since: int = 0


class Links:
    """See the module."""

    def __init__(self) -> None:
        self._links: dict[str, _Kept] = {}
        self._newest: dict[str, deque[tuple[int, str]]] = {}

    def stand(self, one: Standing, before: Standing | None, at: int) -> None:
        """How a process stands; `before`: how it stood last."""
        self._know("broker", at)
        if one.linked >= 0:
            self._know("centre", at)
        if before is None or before.session != one.session:
            return  # another process: it was started again, which is no matter of the link
        if before.state == "gone" and one.state not in ("gone", "stopped"):
            self._lost("broker", at, one.name)
        for _ in range(min(one.linked - before.linked, _MOST) if min(one.linked, before.linked) >= 1 else 0):
            self._lost("centre", at, one.name)

    def tick(self, now: int) -> Iterator[Reading]:
        """One reading of each link that is known of."""
        for name, kept in self._links.items():
            newest = self._newest[name]
            while newest and newest[0][0] <= now - _OVER:
                newest.popleft()
            lost = len(newest)
            hours = max(1.0, (now - kept.since) / _HOUR)
            yield Reading(
                signal=Signal(task="", kind="health", subject="link", of=name, part="lost", side="operational"),
                at=now,
                surprise=float(lost) if lost >= _FLAPS else 0.0,
                normal=round((kept.total - lost) / hours, 3),
                now=float(lost),
                unit="an hour",
                sentence=_sentence(name, [whose for _, whose in newest]),
            )

    def snapshot(self) -> Any:
        """Plain values."""
        for name, kept in self._links.items():
            kept.losses = list(self._newest[name])
        return msgspec.to_builtins(self._links)

    def restore(self, kept: Any) -> None:
        """What `snapshot` gave."""
        self._links = msgspec.convert(kept, dict[str, _Kept])
        self._newest = {name: deque(one.losses, maxlen=_MOST) for name, one in self._links.items()}

    def _know(self, link: Link, at: int) -> None:
        if link not in self._links:
            self._links[link] = _Kept(since=at)
            self._newest[link] = deque(maxlen=_MOST)

    def _lost(self, link: Link, at: int, whose: str) -> None:
        newest = self._newest[link]
        if link == "broker" and newest and at - newest[-1][0] < _ONE_LOSS:
            return
        newest.append((at, whose))
        self._links[link].total += 1


def _sentence(link: str, whose: list[str]) -> str:
    if not whose:
        return f"{_SAID[link]} held for an hour"
    names = list(dict.fromkeys(whose))
    times = "once" if len(whose) == 1 else f"{len(whose)} times"
    return f"{_SAID[link]} was lost {times} in the last hour ({first_of(names, _NAMED)})"

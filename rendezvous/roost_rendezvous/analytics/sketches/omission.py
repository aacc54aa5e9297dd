"""Latency as those who asked felt it, also those who could not ask because nothing moved (coordinated omission). Pure.

A system that is held for 30 s answers ten waiting requests late and never receives the 30,000 that would have come
meanwhile; a plain histogram hardly shows it. Rules:

1. A request's age is counted from its intended arrival: the time it was due, where the source says so, else its
   arrival.
2. What is not answered yet counts by its age so far: an outage shows while it lasts, and what never comes is not
   lost.
3. *Held off* is a silence of a source which is far longer than its usual interval (`pace`), during which its
   requests waited for answers, and which ended when answers came again: the next request followed at once. Then
   requests are missing, at the source's usual pace, each with the age it would have had.
4. A silence in which nobody waits is a pause, and a silence after whose end nothing comes is a pause that began with
   a slow request. Neither is corrected.
5. Every report has the plain (`raw`) histogram beside the corrected one.

The book's own repair (windows of equal weight) is in `windows`; docs/sketches.md says why it is not enough.
"""

import base64
import math
from collections import OrderedDict
from typing import Any, NamedTuple

import msgspec

from roost_rendezvous.analytics.sketches import latency_wire
from roost_rendezvous.analytics.sketches.latency import LatencyHistogram
from roost_rendezvous.analytics.sketches.pace import Pace

_PROMPT = 0.1
"""After a hold the next request comes with the answers: no further from them than this part of the silence."""
_SECOND = 1_000_000_000


class OmissionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds. A value that cannot be raises ValueError."""

    max_open: int = 20_000
    """Requests without an answer; beyond it the oldest are given up, and counted by their age."""
    give_up_s: int = 120
    """A request without an answer for so long is counted by that age and forgotten."""
    max_sources: int = 256
    """Sources told apart; further ones share one pace."""

    def __post_init__(self) -> None:
        for name, least, most in (("max_open", 1, 10_000_000), ("give_up_s", 1, 86_400), ("max_sources", 1, 100_000)):
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} is {value}; use a value from {least} to {most}")


class Corrected(NamedTuple):
    """Both views of the same requests."""

    raw: LatencyHistogram
    """What was answered, from arrival to answer."""
    corrected: LatencyHistogram
    """From intended arrival, with what waits and with what was held off."""
    waiting: int
    """Requests without an answer; in `corrected` by their age."""
    held_off: float
    """Requests that are missing because the source could not ask; part of `corrected`."""
    given_up: int
    """Requests that were never answered; part of `corrected`."""
    unknown: int
    """Answers to requests that are not known (any more)."""

    @property
    def share_held_off(self) -> float:
        """What part of `corrected` is inference and not measurement."""
        count = self.corrected.count
        return self.held_off / count if count else 0.0


class _Open(msgspec.Struct, gc=False):
    source: str
    arrived: int
    intended: int


class _Source(msgspec.Struct):
    pace: Pace
    last_arrival: int
    waiting: int = 0
    busy_since: int = 0
    busy_ns: int = 0
    """Since the last arrival, as far as it is over."""
    last_answer: int = 0
    counted_until: int = 0
    """Held-off requests up to here are in an earlier report."""
    silent: tuple[int, int] | None = None
    """The longest silence whose end may yet turn out to be an answer that was seen after the request it released."""


class OmissionCore:
    """See the module. Times are nanoseconds of one clock, not going back."""

    def __init__(self, settings: OmissionSettings | None = None) -> None:
        self._settings = settings or OmissionSettings()
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._sources: dict[str, _Source] = {}
        self._begin()

    def _begin(self) -> None:
        self._raw = LatencyHistogram()
        self._measured = LatencyHistogram()
        self._given_up = 0
        self._unknown = 0

    def arrive(self, request_id: str, at: int, *, source: str = "", intended: int | None = None) -> None:
        """A request came. `source`: who waits for answers before asking again; `intended`: when it was due, if known.

        With `intended` nothing needs to be inferred about that source. A request that is known already is the same.
        """
        if request_id in self._open:
            return
        name = source if source in self._sources or len(self._sources) < self._settings.max_sources else ""
        one = self._sources.get(name)
        if one is None:
            one = self._sources[name] = _Source(Pace(), at, counted_until=at)
        else:
            busy_ns = one.busy_ns + (max(0, at - one.busy_since) if one.waiting else 0)
            if intended is None:
                self._note_interval(one, at, busy_ns)
            one.last_arrival, one.busy_ns = at, 0
        one.waiting += 1
        one.busy_since = at
        self._open[request_id] = _Open(name, at, at if intended is None else min(intended, at))
        if len(self._open) > self._settings.max_open:
            self._give_up(next(iter(self._open)), at)

    def complete(self, request_id: str, at: int) -> None:
        """Its answer came. A second one is not counted."""
        known = self._open.pop(request_id, None)
        if known is None:
            self._unknown += 1
            return
        self._answered(known, at)
        self._raw.add(max(0, at - known.arrived) / 1e6)
        self._measured.add(max(0, at - known.intended) / 1e6)

    def tick(self, now: int) -> None:
        """Give up what has waited for too long."""
        bound = self._settings.give_up_s * _SECOND
        while self._open:
            request_id, oldest = next(iter(self._open.items()))
            if now - oldest.arrived < bound:
                break
            self._give_up(request_id, now)

    def report(self, now: int) -> Corrected:
        """Both histograms as of now; nothing is changed by asking."""
        corrected = self._measured.copy()
        for one in self._open.values():
            corrected.add(max(0, now - one.intended) / 1e6)
        missing = 0.0
        for source in self._sources.values():
            missing += _add_held_off(source, corrected, now)
        return Corrected(self._raw.copy(), corrected, len(self._open), missing, self._given_up, self._unknown)

    def take(self, now: int) -> Corrected:
        """The report of a period that ends now; the next one begins empty.

        What waits counts in this period by its age so far, and again when it is answered: a long wait is seen in every
        period that it spans. Held-off requests count once, each in its own period.
        """
        found = self.report(now)
        for one in self._sources.values():
            one.pace.forget_holds()
            one.pace.fade(0.5)
            one.counted_until = now
        self._begin()
        return found

    def snapshot(self) -> dict[str, Any]:
        """What must survive a restart, as plain values."""
        return {
            "raw": base64.b64encode(latency_wire.to_bytes(self._raw)).decode(),
            "measured": base64.b64encode(latency_wire.to_bytes(self._measured)).decode(),
            "given_up": self._given_up,
            "unknown": self._unknown,
            "open": {key: [one.source, one.arrived, one.intended] for key, one in self._open.items()},
            "sources": {
                name: [
                    one.pace.snapshot(),
                    one.last_arrival,
                    one.busy_since,
                    one.busy_ns,
                    one.last_answer,
                    one.counted_until,
                ]
                for name, one in self._sources.items()
            },
        }

    def restore(self, plain: dict[str, Any]) -> None:
        """From what `snapshot` gave. Raises PeerError, KeyError, TypeError or ValueError for anything else."""
        self._raw = latency_wire.from_bytes(base64.b64decode(plain["raw"]))
        self._measured = latency_wire.from_bytes(base64.b64decode(plain["measured"]))
        self._given_up, self._unknown = plain["given_up"], plain["unknown"]
        self._open = OrderedDict((key, _Open(*values)) for key, values in plain["open"].items())
        self._sources = {
            name: _Source(Pace.restore(pace), last, 0, since, busy, answer, counted)
            for name, (pace, last, since, busy, answer, counted) in plain["sources"].items()
        }
        for one in self._open.values():
            self._sources[one.source].waiting += 1

    def _give_up(self, request_id: str, now: int) -> None:
        known = self._open.pop(request_id)
        self._answered(known, now)
        self._given_up += 1
        self._measured.add(max(0, now - known.intended) / 1e6)

    def _answered(self, known: _Open, at: int) -> None:
        one = self._sources[known.source]
        if one.waiting == 1:
            one.busy_ns += max(0, at - one.busy_since)
        one.waiting = max(0, one.waiting - 1)
        one.last_answer = at
        if one.silent is not None:
            begin, end = one.silent
            one.silent = None
            if at - end <= _PROMPT * (end - begin):
                _note_held(one, begin, end)

    def _note_interval(self, one: _Source, at: int, busy_ns: int) -> None:
        begin, length = one.last_arrival, max(0, at - one.last_arrival)
        one.pace.note(length / _SECOND, min(busy_ns, length) / _SECOND)
        if one.last_answer > begin:
            if at - one.last_answer <= _PROMPT * length:
                _note_held(one, begin, at)
        elif one.waiting and (one.silent is None or length > one.silent[1] - one.silent[0]):
            one.silent = (begin, at)  # streams are told apart by topics; the answer may be a moment behind


def _note_held(one: _Source, begin: int, end: int) -> None:
    held = end - max(begin, one.counted_until)  # what is in an earlier report is not new
    if held > 0:
        one.pace.note_held((end - begin) / _SECOND, held / _SECOND)


def _add_held_off(one: _Source, corrected: LatencyHistogram, now: int) -> float:
    """Add what the source could not ask; returns how many."""
    rate, silence = one.pace.usual()
    if not rate:
        return 0.0
    missing = 0.0
    for length, count in one.pace.holds(silence):
        missing += _add_even(corrected, count, rate, length)
    # A silence that goes on, while somebody waits and nothing was answered: as far as it goes.
    going_on = (now - one.last_arrival) / _SECOND
    if one.waiting and one.last_answer <= one.last_arrival and going_on > silence:
        missing += _add_even(corrected, 1, rate, (now - max(one.last_arrival, one.counted_until)) / _SECOND)
    return missing


def _add_even(corrected: LatencyHistogram, count: int, rate: float, length: float) -> float:
    each = math.floor(rate * length)
    corrected.add_even(length * 1000.0, float(each * count))
    return float(each * count)

"""What a device counts of the bundles in a line's two slots, from what passes on the task's topics. Pure and bounded.

A request counts for a slot when the slot was ready as it came. Agreement is counted where two models have both
answered a request: with the canary, and with the other slot. A message that comes twice counts once; one about a
request that was not seen, or is forgotten, is counted by name and otherwise left out.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Collection

from roost_broker.clock import SECOND
from roost_broker.messages import Agreement, Trial
from roost_edge.ota.lines import OTHER, SLOTS, Line, Slot
from roost_edge.ota.standing import Content

MAX_OPEN = 512
"""Requests whose answers are awaited; of more the oldest is forgotten."""
MAX_AGE_NS = 300 * SECOND
MAX_LABELS = 32
NEWEST = 512
"""Answers of which the times are kept."""
MAX_ALARMS = 1_000


class _Tally:
    """Of one bundle in one slot."""

    def __init__(self, content: Content, since_ms: int) -> None:
        self.content = content
        self.since_ms = since_ms
        self.ready = False
        self.counts: Counter[str] = Counter()
        self.agreements: dict[str, list[int]] = {}
        self.compute_ms: deque[float] = deque(maxlen=NEWEST)
        self.labels: Counter[str] = Counter()
        self.alarms: set[str] = set()


class _Open:
    __slots__ = ("asked", "at", "labels", "official", "settled")

    def __init__(self, at: int, asked: frozenset[Slot]) -> None:
        self.at = at
        self.asked = asked
        self.labels: dict[str, str] = {}
        self.settled: set[Slot] = set()
        self.official = False


class TrialCounter:
    """One line. `canary` is a model of the same task; empty: there is none."""

    def __init__(self, line: Line, canary: str = "") -> None:
        self.counts: Counter[str] = Counter()
        self._line = line
        self._canary = canary
        self._tallies: dict[Slot, _Tally] = {}
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._judged: frozenset[str] = frozenset()

    def holds(self, slot: Slot, content: Content | None, now_ms: int) -> None:
        """What lies in a slot now; another bundle begins to be counted from nothing."""
        known = self._tallies.get(slot)
        if content is None:
            self._tallies.pop(slot, None)
        elif known is None or known.content.digest != content.digest:
            self._tallies[slot] = _Tally(content, now_ms)

    def ready(self, slot: Slot, now_ms: int) -> None:
        """Its process is warm."""
        tally = self._tallies.get(slot)
        if tally is not None and not tally.ready:
            tally.ready = True
            if not tally.counts:
                tally.since_ms = now_ms

    def gone(self, slot: Slot, *, by_itself: bool) -> None:
        """Its process has ended."""
        tally = self._tallies.get(slot)
        if tally is not None and tally.ready:
            tally.ready = False
            tally.counts["restarts"] += by_itself

    def request(self, request_id: str, now: int) -> None:
        """A request has reached the models."""
        while self._open and (len(self._open) >= MAX_OPEN or now - next(iter(self._open.values())).at > MAX_AGE_NS):
            self._open.popitem(last=False)
        if request_id in self._open:
            self.counts["duplicate"] += 1
            return
        asked = frozenset(slot for slot in SLOTS if slot in self._tallies and self._tallies[slot].ready)
        self._open[request_id] = _Open(now, asked)
        for slot in asked:
            self._tallies[slot].counts["requests"] += 1

    def score(self, model: str, request_id: str, label: str, compute_ms: float) -> None:
        """A model has answered."""
        slot = self._line.slot_of(model)
        if slot is None and model != self._canary:
            return
        one = self._known(request_id)
        if one is None:
            return
        if model in one.labels:
            self.counts["duplicate"] += 1
            return
        one.labels[model] = label
        tally = self._asked(one, slot)
        if tally is not None and slot is not None:
            one.settled.add(slot)
            tally.counts["answered"] += 1
            tally.compute_ms.append(compute_ms)
            if label in tally.labels or len(tally.labels) < MAX_LABELS:
                tally.labels[label] += 1
        self._agree(one, model)

    def declined(self, model: str, request_id: str, reason: str) -> None:
        """A model has not. One that the schedule did not ask is as if there had been no request."""
        slot = self._line.slot_of(model)
        one = self._known(request_id) if slot is not None else None
        tally = None if one is None else self._asked(one, slot)
        if one is None or tally is None or slot is None:
            return
        one.settled.add(slot)
        if reason == "not-sampled":
            tally.counts["requests"] -= 1
        else:
            tally.counts["declined"] += 1

    def official(self, model: str, request_id: str) -> None:
        """The result of a request is this model's answer."""
        slot = self._line.slot_of(model)
        one = self._known(request_id) if slot is not None else None
        if one is None or slot is None or one.official:
            return
        one.official = True
        if slot in one.asked and slot in self._tallies:
            self._tallies[slot].counts["official"] += 1

    def alarm(self, alarm_id: str, models: Collection[str], opened_ms: int) -> None:
        """The monitor's verdict on something strange is `model`, and these take part; told again, it counts once."""
        for slot, tally in self._tallies.items():
            if self._line.name(slot) in models and opened_ms >= tally.since_ms and len(tally.alarms) < MAX_ALARMS:
                tally.alarms.add(alarm_id)

    def judged(self, models: Collection[str]) -> None:
        """Models that the monitor knows for long enough to blame them."""
        self._judged = frozenset(models)

    def tally(self, slot: Slot) -> tuple[str, int, int, int] | None:
        """Digest, requests, answered, restarts."""
        tally = self._tallies.get(slot)
        if tally is None:
            return None
        counts = tally.counts
        return tally.content.digest, counts["requests"], counts["answered"], counts["restarts"]

    def trial(self, slot: Slot) -> Trial | None:
        """Everything that a report says of a slot's bundle."""
        tally = self._tallies.get(slot)
        if tally is None:
            return None
        times = sorted(tally.compute_ms)
        beside = self._tallies.get(OTHER[slot])
        return Trial(
            bundle=tally.content.name,
            version=tally.content.version,
            digest=tally.content.digest,
            since=tally.since_ms,
            requests=max(0, tally.counts["requests"]),
            answered=tally.counts["answered"],
            declined=tally.counts["declined"],
            official=tally.counts["official"],
            restarts=tally.counts["restarts"],
            alarms=len(tally.alarms),
            alarms_able=self._line.name(slot) in self._judged,
            agreements=[Agreement(model=model, same=same, of=of) for model, (same, of) in tally.agreements.items()],
            p50_ms=_quantile(times, 0.5),
            p99_ms=_quantile(times, 0.99),
            previous_p99_ms=None if beside is None else _quantile(sorted(beside.compute_ms), 0.99),
            labels=dict(tally.labels),
        )

    def _known(self, request_id: str) -> _Open | None:
        one = self._open.get(request_id)
        if one is None:
            self.counts["unknown"] += 1
        return one

    def _asked(self, one: _Open, slot: Slot | None) -> _Tally | None:
        if slot is None or slot not in one.asked or slot in one.settled:
            return None
        return self._tallies.get(slot)

    def _agree(self, one: _Open, model: str) -> None:
        """Count the pairs that the newest answer completes."""
        for slot in SLOTS:
            own, other = self._line.name(slot), self._line.name(OTHER[slot])
            tally = self._tallies.get(slot)
            if tally is None or slot not in one.asked or own not in one.labels:
                continue
            for peer in {self._canary, other} & set(one.labels):
                if model in (own, peer):
                    pair = tally.agreements.setdefault(peer, [0, 0])
                    pair[0] += one.labels[own] == one.labels[peer]
                    pair[1] += 1


def _quantile(ordered: list[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

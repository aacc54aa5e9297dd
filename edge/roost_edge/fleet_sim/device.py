"""One simulated device: it decides by the same function as a real one, goes through the same phases, and reports. Pure.

What takes a real device work (fetching, goldens, warming) takes this one time; what a real one counts is drawn from
what is true of the bundle (`truth`). Time is an argument, nanoseconds; chance is an argument too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from roost_broker.clock import MS, SECOND
from roost_broker.errors import Misuse
from roost_broker.messages import Agreement, OtaLine, OtaPhase, OtaSlot, OtaState, Trial
from roost_broker.messages.parts import Hop, Provenance
from roost_edge.fleet_sim.truth import Draw, Known, Truth, events, hits, own_share
from roost_models.rollout.document import BundleRef, Rollout, assignment

HOUR = 3600 * SECOND
Slot: TypeAlias = Literal["a", "b"]
SlotState: TypeAlias = Literal["active", "shadow", "fallback", "rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What all simulated devices have in common."""

    requests_per_s: float = 0.01
    download_ns: int = 60 * SECOND
    testing_ns: int = 20 * SECOND
    warming_ns: int = 10 * SECOND
    canary: bool = True
    return_restarts: int = 3
    """The device's own rule: it goes back after so many."""

    def __post_init__(self) -> None:
        if self.requests_per_s <= 0 or min(self.download_ns, self.testing_ns, self.warming_ns) < 0:
            raise Misuse("A device without requests, or with times below 0.", "Give numbers above 0.")


@dataclass(slots=True)
class _Tally:
    """A trial in the making."""

    bundle: BundleRef
    truth: Truth
    since_ns: int
    canary: float
    previous: float
    slower: float
    counted_ns: int
    owed: float = 0.0
    requests: int = 0
    answered: int = 0
    official: int = 0
    restarts: int = 0
    same_canary: int = 0
    same_previous: int = 0
    labels: dict[str, int] = field(default_factory=dict)


class SimulatedDevice:
    """`truths` says what is true of a bundle by digest. `delivered` is what the device came with."""

    def __init__(
        self,
        node: str,
        task: str,
        model: str,
        delivered: BundleRef,
        truths: Mapping[str, Known],
        draw: Draw,
        *,
        tags: Mapping[str, str] | None = None,
        habits: Habits | None = None,
    ) -> None:
        self.node, self.tags = node, dict(tags or {})
        self.phase: OtaPhase = "idle"
        self.active = delivered
        self.other: BundleRef | None = None
        self.dark = False
        """Never heard of again."""
        self.ever_served: set[str] = set()
        self._task, self._model = task, model
        self._truths, self._draw = truths, draw
        self._habits = habits or Habits()
        self._active_slot: Slot = "a"
        self._rejected: set[str] = set()
        self._document: Rollout | None = None
        self._until = 0
        self._coming: BundleRef | None = None
        self._tally: _Tally | None = None
        self._problem = ""

    # what it does

    def see(self, document: Rollout, now: int) -> None:
        """It has polled the registry and found this document."""
        if self._document is not None and document.rollout_id == self._document.rollout_id:
            if document.generation <= self._document.generation:
                return
        elif self._document is not None:
            self._rejected.discard(document.bundle.digest)
        self.pass_time(now)
        self._document = document
        self._follow(now)

    def pass_time(self, now: int) -> None:
        """Requests come in, work goes on, until now."""
        self._count(now)
        while self._coming is not None and now >= self._until:
            self._advance(self._until)
            self._count(now)

    def _follow(self, now: int) -> None:
        document = self._document
        if document is None:
            return
        role = assignment(document, self.node, self.tags)
        if role == "previous":
            self._go_back(document)
            return
        wanted = document.bundle
        if wanted.digest in self._rejected:
            return
        if wanted.digest == self.active.digest:
            self.phase = "serving"
            if role == "shadow":  # it served, and the share was taken back
                self._switch()
        elif self.other is not None and wanted.digest == self.other.digest and self._tally is not None:
            if role == "serving":
                self._switch()
        elif self._coming is None or self._coming.digest != wanted.digest:
            self._coming, self.phase, self._until = wanted, "downloading", now + self._habits.download_ns
            self._problem = ""

    def _advance(self, now: int) -> None:
        habits, coming = self._habits, self._coming
        if coming is None:
            return
        if self.phase == "downloading":
            self.phase, self._until = "testing", now + habits.testing_ns
        elif self.phase == "testing":
            truth = self._truth(coming)
            if self._draw.random() >= truth.installs:
                known = self._truths.get(coming.digest)
                self._refuse(coming, "goldens differ" if known is None else known.problem)
                return
            self.phase, self._until = "warming", now + habits.warming_ns
        else:
            self._coming = None
            self._begin(coming, now)
            self._follow(now)

    def _begin(self, bundle: BundleRef, now: int) -> None:
        truth, draw = self._truth(bundle), self._draw
        self.other, self.phase = bundle, "shadow"
        self._tally = _Tally(
            bundle=bundle,
            truth=truth,
            since_ns=now,
            canary=own_share(truth.canary, truth.icc, draw),
            previous=own_share(truth.previous, truth.icc, draw),
            slower=min(max(draw.gauss(1.0, 0.1), 0.5), 2.0),
            counted_ns=now,
        )
        self.dark = self.dark or (truth.goes_dark > 0 and draw.random() < truth.goes_dark)

    def _switch(self) -> None:
        """The bundle in the other slot becomes the active one; what was active is the fallback."""
        if self.other is None:
            return
        self.active, self.other = self.other, self.active
        self._active_slot = _beside(self._active_slot)
        mine = self._tally is not None and self._tally.bundle.digest == self.active.digest
        self.phase = "serving" if mine else "shadow"
        self.ever_served.add(self.active.digest)

    def _go_back(self, document: Rollout) -> None:
        digest = document.bundle.digest
        self._coming = None if self._coming and self._coming.digest == digest else self._coming
        if self.active.digest == digest and self.other is not None:
            self._switch()
        if self._tally is not None and self._tally.bundle.digest == digest:
            self._tally = None
        if self.phase != "failed":
            self.phase = "idle"

    def _refuse(self, bundle: BundleRef, problem: str) -> None:
        self._rejected.add(bundle.digest)
        if self.active.digest == bundle.digest and self.other is not None:
            self._switch()
        self._coming, self.phase, self._problem = None, "failed", problem

    # what it counts

    def _count(self, now: int) -> None:
        tally, draw = self._tally, self._draw
        if tally is None or now <= tally.counted_ns or self.phase == "failed":
            return
        spent, tally.counted_ns = now - tally.counted_ns, now
        truth, serving = tally.truth, self.active.digest == tally.bundle.digest
        tally.owed += spent / SECOND * self._habits.requests_per_s
        new = int(tally.owed)
        tally.owed -= new
        answered = hits(new, truth.answers, draw)
        tally.requests += new
        tally.answered += answered
        tally.same_canary += hits(answered, tally.canary, draw) if self._habits.canary else 0
        tally.same_previous += hits(answered, tally.previous, draw)
        tally.official += answered if serving else 0
        for label, share in truth.labels.items():
            tally.labels[label] = tally.labels.get(label, 0) + round(answered * share)
        rate = truth.restarts_per_hour
        if serving and truth.restarts_per_hour_serving is not None:
            rate = truth.restarts_per_hour_serving
        tally.restarts += events(rate * spent / HOUR, draw)
        if tally.restarts >= self._habits.return_restarts:
            self._refuse(tally.bundle, f"its process ended {tally.restarts} times")

    def _truth(self, bundle: BundleRef) -> Truth:
        known = self._truths.get(bundle.digest)
        return Known(usual=Truth()).usual if known is None else known.on(self.tags)

    # what it says

    def line(self, wall_ns: int, now: int) -> OtaLine:
        """What it reports of its line; `wall_ns` is what its own clock says, which may be wrong."""
        document = self._document
        wanted = ""
        if document is not None and assignment(document, self.node, self.tags) != "previous":
            wanted = document.bundle.version
        return OtaLine(
            task=self._task,
            model=self._model,
            bundle=self.active.name,
            phase=self.phase,
            rollout="" if document is None else document.rollout_id,
            generation=0 if document is None else document.generation,
            wanted=wanted,
            slots=self._slots(),
            trial=None if self._tally is None else self._trial(self._tally, wall_ns - now),
            problem=self._problem,
        )

    def state(self, wall_ns: int, now: int, *, message_id: str, version: str) -> OtaState:
        """The whole report."""
        return OtaState(
            timestamp=wall_ns // MS,
            message_id=message_id,
            provenance=Provenance(path=[Hop(node=self.node, component="ota", version=version, at=wall_ns // MS)]),
            node=self.node,
            version=version,
            tags=self.tags,
            lines=[self.line(wall_ns, now)],
        )

    def _slots(self) -> list[OtaSlot]:
        names = {"a": self._model, "b": f"{self._model}-b"}
        behind = _beside(self._active_slot)
        slots = [_slot(self._active_slot, names[self._active_slot], self.active, "active")]
        if self.other is not None:
            slots.append(_slot(behind, names[behind], self.other, self._state_of(self.other)))
        return slots

    def _state_of(self, other: BundleRef) -> SlotState:
        if other.digest in self._rejected:
            return "rejected"
        trying = self._tally is not None and self._tally.bundle.digest == other.digest
        return "shadow" if trying else "fallback"

    def _trial(self, tally: _Tally, skew_ns: int) -> Trial:
        truth = tally.truth
        before = self._active_slot if self.active.digest != tally.bundle.digest else _beside(self._active_slot)
        previous_model = self._model if before == "a" else f"{self._model}-b"
        agreements = [Agreement(model=previous_model, same=tally.same_previous, of=tally.answered)]
        if self._habits.canary:
            agreements.append(Agreement(model="canary", same=tally.same_canary, of=tally.answered))
        return Trial(
            bundle=tally.bundle.name,
            version=tally.bundle.version,
            digest=tally.bundle.digest,
            since=max(tally.since_ns + skew_ns, 0) // MS,
            requests=tally.requests,
            answered=tally.answered,
            official=tally.official,
            restarts=tally.restarts,
            agreements=agreements,
            p50_ms=truth.p50_ms * tally.slower if tally.answered else None,
            p99_ms=truth.p99_ms * tally.slower if tally.answered else None,
            previous_p99_ms=truth.previous_p99_ms if tally.answered else None,
            labels=dict(tally.labels),
        )


def _beside(slot: Slot) -> Slot:
    return "b" if slot == "a" else "a"


def _slot(slot: Slot, model: str, bundle: BundleRef, state: SlotState) -> OtaSlot:
    return OtaSlot(
        slot=slot, model=model, bundle=bundle.name, version=bundle.version, digest=bundle.digest, state=state
    )

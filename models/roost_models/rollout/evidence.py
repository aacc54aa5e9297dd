"""What the devices of a fleet report of one roll-out, kept per device; what a step may count of it. Pure.

Every report has a named outcome, and all are counted:

* `taken`; `taken-alive`: of another roll-out or of none, so it only shows that the device is there.
* `duplicate`, `stale`: heard before, or older than what was heard, as it came.
* `replayed`: it says itself that it is older than one that was heard, whenever it comes (see `floors`).
* `forged`: the signature does not fit. `other-line`: the device has no such line. `other-bundle`: its trial is of
  other bytes. `ahead`: it acts upon a document that was never made here. `impossible`: more answers than requests.
  `too-many`: no room.

A trial counts since its bundle became ready on the device. A step counts what came since it began: the difference to
what had been counted then. A trial that began anew (its `since` differs) counts from nothing.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from msgspec import Struct

from roost_broker.clock import MS
from roost_broker.messages import OtaLine, Trial

Outcome: TypeAlias = Literal[
    "taken",
    "taken-alive",
    "duplicate",
    "stale",
    "replayed",
    "forged",
    "other-line",
    "other-bundle",
    "ahead",
    "impossible",
    "too-many",
]
MAX_DEVICES = 100_000
REMEMBERED = 32
"""Ids of a device's newest reports, by which one that comes again is known even when a clock was wrong."""
STEP_MS = 60_000
"""A device's clock may be set back so far without a report being taken for an old one."""
_TOUCHED = frozenset({"downloading", "verifying", "testing", "warming", "shadow", "serving"})
_INSTALLED = frozenset({"shadow", "serving"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReport:
    """What one `OtaState` says of the line that this roll-out is about."""

    node: str
    report_id: str
    """The message's id: the same report may arrive twice."""
    order: int
    """Grows with each newer report of a device: place in the stream, or order of arrival."""
    tags: Mapping[str, str] = field(default_factory=dict)
    line: OtaLine | None = None
    """None: the device has no such line."""
    signed: bool | None = None
    """Whether the signature fits; None: nobody knows its key."""
    sent_ms: int = 0
    """When, by the device's clock; it is signed. 0: unknown."""


class Counts(Struct, frozen=True, kw_only=True, array_like=True):
    """The counters of a trial; kept at the beginning of a step."""

    since: int = 0
    requests: int = 0
    answered: int = 0
    declined: int = 0
    official: int = 0
    restarts: int = 0
    alarms: int = 0
    canary: tuple[int, int] = (0, 0)
    """Same, of."""
    previous: tuple[int, int] = (0, 0)

    def less(self, earlier: "Counts | None") -> "Counts":
        """What came since `earlier`."""
        if earlier is None or earlier.since != self.since or earlier.requests > self.requests:
            return self
        return Counts(
            since=self.since,
            requests=self.requests - earlier.requests,
            answered=max(self.answered - earlier.answered, 0),
            declined=max(self.declined - earlier.declined, 0),
            official=max(self.official - earlier.official, 0),
            restarts=max(self.restarts - earlier.restarts, 0),
            alarms=max(self.alarms - earlier.alarms, 0),
            canary=_less(self.canary, earlier.canary),
            previous=_less(self.previous, earlier.previous),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one device says of the new bundle in this step."""

    node: str
    tags: Mapping[str, str]
    touched: bool
    """It has begun to fetch the bundle."""
    installed: bool
    """It answers with it, heard or unheard."""
    failed: bool
    """It refused it, or went back by itself."""
    serving: bool
    """It serves, or has served in this step and went back."""
    quiet: bool
    counts: Counts
    p99_ms: float | None = None
    previous_p99_ms: float | None = None
    problem: str = ""
    alarms_able: bool | None = None
    """Whether its monitor knows the model for long enough to blame it; None: it does not tell."""


@dataclass(slots=True)
class _Device:
    order: int
    heard_ns: int
    tags: Mapping[str, str]
    ids: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    line: OtaLine | None = None
    trial: Trial | None = None
    touched: bool = False
    base: Counts | None = None
    failed: str | None = None
    ours: bool = False
    serving: bool = False
    served: bool = False
    """In this step."""


class Fleet:
    """What is known of every device, for one roll-out of the bundle with this digest."""

    def __init__(self, rollout_id: str, digest: str) -> None:
        self._rollout_id, self._digest = rollout_id, digest
        self._devices: dict[str, _Device] = {}
        self._floors: dict[str, int] = {}
        self.ever_served: set[str] = set()
        self.outcomes: Counter[Outcome] = Counter()

    def __len__(self) -> int:
        return len(self._devices)

    def take(self, report: DeviceReport, generation: int, now: int) -> Outcome:
        """Take a report in; `generation` is the newest that was made."""
        outcome = self._take(report, generation, now)
        self.outcomes[outcome] += 1
        return outcome

    def _take(self, report: DeviceReport, generation: int, now: int) -> Outcome:
        known = self._devices.get(report.node)
        if report.signed is False:
            return "forged"
        if known is not None and report.report_id in known.ids:
            return "duplicate"
        if known is not None and report.order <= known.order:
            return "stale"
        if report.sent_ms and report.sent_ms < self._floors.get(report.node, 0) - STEP_MS:
            return "replayed"
        if known is None and len(self._devices) >= MAX_DEVICES:
            return "too-many"
        line = report.line
        ours = line is not None and line.rollout == self._rollout_id
        if line is not None and ours and line.generation > generation:
            return "ahead"
        trial = line.trial if line is not None else None
        if trial is not None and not _possible(trial):
            return "impossible"
        if known is None:
            known = self._devices[report.node] = _Device(report.order, now, report.tags)
        known.order, known.heard_ns = report.order, now
        known.ids.append(report.report_id)
        self._raise_floor(report, now)
        known.tags, known.line, known.ours, known.serving = report.tags, line, ours, False
        if line is None:
            return "other-line"
        if self._has_it(line):
            known.serving = known.served = True
            self.ever_served.add(report.node)
        if not ours:
            return "taken-alive"
        known.touched = known.touched or _at_work(line)
        if line.phase in ("failed", "returning") or self._rejected(line):
            known.failed = line.problem or line.phase
        elif line.phase in _INSTALLED:
            known.failed = None
        if trial is None:
            return "taken"
        if trial.digest != self._digest:
            return "other-bundle"
        known.trial, known.touched = trial, True
        if trial.official:
            self.ever_served.add(report.node)
        return "taken"

    def _raise_floor(self, report: DeviceReport, now: int) -> None:
        floor = max(self._floors.get(report.node, 0), min(report.sent_ms, now // MS))
        if floor and (report.node in self._floors or len(self._floors) < MAX_DEVICES):
            self._floors[report.node] = floor

    def _has_it(self, line: OtaLine) -> bool:
        return any(slot.state == "active" and slot.digest == self._digest for slot in line.slots)

    def _rejected(self, line: OtaLine) -> bool:
        return any(slot.state == "rejected" and slot.digest == self._digest for slot in line.slots)

    def begin_step(self) -> dict[str, Counts]:
        """From now on only what comes counts. Returns where each device's counters stand, to be kept."""
        for device in self._devices.values():
            device.base = None if device.trial is None else _counts(device)
            device.served = device.serving
        return {node: device.base for node, device in self._devices.items() if device.base is not None}

    def resume_step(self, bases: Mapping[str, Counts], now: int) -> None:
        """Where the counters stood when the step began, from before a restart."""
        for node, base in list(bases.items())[:MAX_DEVICES]:
            device = self._devices.setdefault(node, _Device(-1, now, {}))
            device.base, device.touched = base, True

    def floors(self) -> dict[str, int]:
        """By device: when its newest report was sent, by its own clock, but no later than when it came.

        So a clock that was ahead and is put right does not make the reports that follow look old.
        """
        return dict(self._floors)

    def resume_floors(self, floors: Mapping[str, int]) -> None:
        """As `floors` said before a restart."""
        self._floors.update(list(floors.items())[:MAX_DEVICES])

    def gather(self, quiet_before: int) -> list[Evidence]:
        """What every device that has begun with the bundle says in this step."""
        return [
            Evidence(
                node=node,
                tags=device.tags,
                touched=True,
                installed=device.line is not None and device.line.phase in _INSTALLED and device.ours,
                failed=device.failed is not None,
                serving=device.served,
                quiet=device.heard_ns < quiet_before,
                counts=_counts(device).less(device.base),
                p99_ms=None if device.trial is None else device.trial.p99_ms,
                previous_p99_ms=None if device.trial is None else device.trial.previous_p99_ms,
                problem=device.failed or "",
                alarms_able=None if device.trial is None else device.trial.alarms_able,
            )
            for node, device in self._devices.items()
            if device.touched or device.failed is not None
        ]

    def quiet_elsewhere(self, quiet_before: int) -> tuple[int, int]:
        """Among the devices that have nothing of the new bundle: how many are quiet, of how many."""
        others = [device for device in self._devices.values() if not device.touched and device.failed is None]
        return sum(device.heard_ns < quiet_before for device in others), len(others)

    def phases(self) -> Counter[str]:
        """Devices by the phase that they report."""
        return Counter(device.line.phase if device.line is not None else "no line" for device in self._devices.values())

    def still_there(self, quiet_before: int) -> list[str]:
        """Devices that still serve the new bundle, or evaluate it; not those that are quiet, who may never return."""
        return sorted(
            node
            for node, device in self._devices.items()
            if device.heard_ns >= quiet_before
            and (device.serving or (device.ours and device.line is not None and _at_work(device.line)))
        )

    def behind(self, quiet_before: int, tags: Mapping[str, str]) -> list[str]:
        """Devices with these tags that do not serve the new bundle yet; not those that are quiet or refused it."""
        return sorted(
            node
            for node, device in self._devices.items()
            if device.heard_ns >= quiet_before
            and device.line is not None
            and not device.serving
            and device.failed is None
            and all(device.tags.get(name) == value for name, value in tags.items())
        )

    def served_in_step(self) -> int:
        """On how many devices the new bundle has served since the step began."""
        return sum(device.served for device in self._devices.values())

    def serving(self) -> int:
        """How many devices serve it now."""
        return sum(device.serving for device in self._devices.values())

    def nodes(self) -> Iterable[tuple[str, Mapping[str, str]]]:
        """Names and tags of all devices that have the line."""
        return [(node, device.tags) for node, device in self._devices.items() if device.line is not None]


def _possible(trial: Trial) -> bool:
    return (
        trial.answered + trial.declined <= trial.requests
        and all(one.same <= one.of <= trial.requests for one in trial.agreements)
        and trial.official <= trial.answered
    )


def _counts(device: _Device) -> Counts:
    trial, line = device.trial, device.line
    if trial is None:
        return Counts()
    own = set() if line is None else {line.model, f"{line.model}-b", *(slot.model for slot in line.slots)}
    pairs = {"canary": (0, 0), "previous": (0, 0)}
    for one in trial.agreements:
        key = "previous" if one.model in own else "canary"
        pairs[key] = (pairs[key][0] + one.same, pairs[key][1] + one.of)
    return Counts(
        since=trial.since,
        requests=trial.requests,
        answered=trial.answered,
        declined=trial.declined,
        official=trial.official,
        restarts=trial.restarts,
        alarms=trial.alarms,
        canary=pairs["canary"],
        previous=pairs["previous"],
    )


def _less(now: tuple[int, int], earlier: tuple[int, int]) -> tuple[int, int]:
    of = max(now[1] - earlier[1], 0)
    return min(max(now[0] - earlier[0], 0), of), of


def _at_work(line: OtaLine) -> bool:
    """Whether the device has to do with a bundle that it wants. One that serves what it had wants nothing."""
    return line.phase in _TOUCHED and bool(line.wanted)

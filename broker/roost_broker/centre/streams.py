"""The central streams as data: what is kept, for how long, how often, and who reads it. Pure; `applying` does it.

A stream that is full refuses what is new: then the gateways keep it in their outboxes, and nothing is lost without
a word. What the archive has on its disk may be trimmed from a stream that is getting full (`trim_above`).
"""

from typing import Literal, TypeAlias

import msgspec

from roost_broker.centre.lanes import DOWN, DOWN_STREAM, FRAMES_BUCKET, LANE_NAMES, LANES, LaneName, lane_named
from roost_broker.errors import Misuse

DAY_S = 86_400
ARCHIVE = "archive"
"""Name of the durable consumer from which the archive is written."""
FRAMES_STREAM = f"OBJ_{FRAMES_BUCKET}"
FRAMES_META = f"$O.{FRAMES_BUCKET}.M.>"
_FRAME_SUBJECTS = (f"$O.{FRAMES_BUCKET}.C.>", FRAMES_META)
_ORDERS_KEPT = 16
"""Messages to a device that are not retained: so many of a topic are kept for one that is away."""
_GB = 1_000_000_000

Discard: TypeAlias = Literal["new", "old"]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of one stream."""

    max_age_days: float = 30
    max_bytes: int = 4 * _GB

    def __post_init__(self) -> None:
        if not 0.01 <= self.max_age_days <= 3650:
            raise Misuse(f"max_age_days is {self.max_age_days}.", "Use days from 0.01 to 3650.")
        if not 1_000_000 <= self.max_bytes <= 2**60:
            raise Misuse(f"max_bytes is {self.max_bytes}.", "Use at least 1000000 bytes.")


def _lane_limits() -> dict[str, Limits]:
    return {
        "alerts": Limits(max_age_days=90, max_bytes=1 * _GB),
        "devices": Limits(max_age_days=90, max_bytes=2 * _GB),
        "results": Limits(max_bytes=4 * _GB),
        "inputs": Limits(max_bytes=8 * _GB),
        "scores": Limits(max_bytes=8 * _GB),
        "extras": Limits(max_bytes=2 * _GB),
    }


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section [streams] of centre.toml."""

    replicas: int = 1
    """How many servers hold each message: 1, or 3 in a cluster of three."""
    dedupe_minutes: float = 120
    """How long JetStream recognises a repetition by itself; readers do for ever."""
    trim_above: float = 0.8
    """Share of `max_bytes` above which what is archived is taken out of a stream; 1 = never."""
    redeliver_s: float = 10
    """What the archive was given and has not acknowledged is given again after this time."""
    lanes: dict[str, Limits] = msgspec.field(default_factory=dict)
    """Bounds by lane, where they differ from the defaults."""
    frames: Limits = Limits(max_bytes=20 * _GB)
    down: Limits = Limits(max_age_days=30, max_bytes=1 * _GB)

    def __post_init__(self) -> None:
        if self.replicas not in (1, 3):
            raise Misuse(f"streams.replicas is {self.replicas}.", "Use 1, or 3 in a cluster of three servers.")
        if not 1 <= self.dedupe_minutes <= 1440:
            raise Misuse(f"streams.dedupe_minutes is {self.dedupe_minutes}.", "Use minutes from 1 to 1440.")
        if not 0.1 <= self.trim_above <= 1:
            raise Misuse(f"streams.trim_above is {self.trim_above}.", "Use a share from 0.1 to 1.")
        if not 0.5 <= self.redeliver_s <= 3600:
            raise Misuse(f"streams.redeliver_s is {self.redeliver_s}.", "Use seconds from 0.5 to 3600.")
        for name in self.lanes:
            lane_named(name)
        shortest = min(limits.max_age_days for limits in (*self.all_lanes().values(), self.frames, self.down))
        if self.dedupe_minutes * 60 > shortest * DAY_S:
            raise Misuse(
                f"streams.dedupe_minutes is {self.dedupe_minutes}, longer than a stream keeps its messages.",
                "Raise the smallest max_age_days, or lower dedupe_minutes.",
            )

    def all_lanes(self) -> dict[LaneName, Limits]:
        """Bounds of every lane."""
        limits = _lane_limits() | self.lanes
        return {name: limits[name] for name in LANE_NAMES}


class StreamPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One stream as it should be."""

    name: str
    subjects: tuple[str, ...]
    description: str
    max_age_s: float
    max_bytes: int
    replicas: int
    dedupe_s: float
    discard: Discard
    per_subject: int = -1
    """How many messages of one subject are kept; -1: all."""
    rollup: bool = False
    """A message may replace all earlier ones of its subject."""
    direct: bool = False
    """Any replica may answer for single messages."""
    durables: dict[str, str] = {}
    """Durable pull consumers: the subjects each reads."""
    redeliver_s: float = 10
    """After which they are given again what they have not acknowledged."""


def plans(settings: StreamSettings) -> tuple[StreamPlan, ...]:
    """Every stream that the centre needs."""
    dedupe_s = settings.dedupe_minutes * 60
    lanes = [
        StreamPlan(
            name=LANES[name].stream,
            subjects=(LANES[name].subjects,),
            description=LANES[name].sentence,
            max_age_s=limits.max_age_days * DAY_S,
            max_bytes=limits.max_bytes,
            replicas=settings.replicas,
            dedupe_s=dedupe_s,
            discard="new",
            durables={ARCHIVE: LANES[name].subjects},
            redeliver_s=settings.redeliver_s,
        )
        for name, limits in settings.all_lanes().items()
    ]
    frames = StreamPlan(
        name=FRAMES_STREAM,
        subjects=_FRAME_SUBJECTS,
        description="Frames, each content once; an object's name is its SHA-256.",
        max_age_s=settings.frames.max_age_days * DAY_S,
        max_bytes=settings.frames.max_bytes,
        replicas=settings.replicas,
        dedupe_s=dedupe_s,
        discard="new",
        rollup=True,
        direct=True,
    )
    down = StreamPlan(
        name=DOWN_STREAM,
        subjects=(f"{DOWN}.>",),
        description="What the centre says to devices.",
        max_age_s=settings.down.max_age_days * DAY_S,
        max_bytes=settings.down.max_bytes,
        replicas=settings.replicas,
        dedupe_s=dedupe_s,
        discard="old",
        per_subject=_ORDERS_KEPT,
        rollup=True,
    )
    return (*lanes, frames, down)


_SHRINKING = ("max_age_s", "max_bytes", "per_subject", "replicas")
_COMPARED = (*_SHRINKING, "subjects", "dedupe_s", "discard", "rollup", "direct", "description", "redeliver_s")


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What `apply` does, or would do, to one stream."""

    stream: str
    what: Literal["created", "changed", "unchanged", "refused-to-shrink"]
    changes: dict[str, tuple[str, str]] = {}
    """By field: how it is, and how it should be."""
    refused: tuple[str, ...] = ()
    """Fields that would throw messages away, and are left as they are."""
    durables: tuple[str, ...] = ()
    """Consumers that are made, or changed."""


def step(wanted: StreamPlan, found: StreamPlan | None, *, shrink: bool = False) -> Step:
    """How to come from what is found to what is wanted. Nothing that throws messages away without `shrink`."""
    if found is None:
        return Step(stream=wanted.name, what="created", durables=tuple(wanted.durables))
    changes = {
        name: (str(getattr(found, name)), str(getattr(wanted, name)))
        for name in _COMPARED
        if getattr(found, name) != getattr(wanted, name)
    }
    refused = () if shrink else tuple(name for name in changes if _loses(name, wanted, found))
    renewed = "redeliver_s" in changes
    durables = tuple(name for name in wanted.durables if renewed or name not in found.durables)
    what: Literal["changed", "unchanged", "refused-to-shrink"] = "unchanged"
    if refused:
        what = "refused-to-shrink"
    elif changes or durables:
        what = "changed"
    return Step(stream=wanted.name, what=what, changes=changes, refused=refused, durables=durables)


def settled(wanted: StreamPlan, found: StreamPlan, decided: Step) -> StreamPlan:
    """What to apply: as wanted, with what was refused left as it is."""
    return msgspec.structs.replace(wanted, **{name: getattr(found, name) for name in decided.refused})


def _loses(name: str, wanted: StreamPlan, found: StreamPlan) -> bool:
    if name == "subjects":
        return not set(found.subjects) <= set(wanted.subjects)
    if name not in _SHRINKING:
        return False
    before, after = getattr(found, name), getattr(wanted, name)
    # JetStream's "no bound" is -1 (bytes, messages of a subject) or 0 (age); replicas are always counted.
    unbounded = before <= 0 and name != "replicas"
    return bool(after > 0 and (unbounded or after < before))

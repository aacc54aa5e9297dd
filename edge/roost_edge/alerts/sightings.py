"""Sightings, the pure core: results in, alerts out. No clock, no sockets, no files.

Rules:

1. A sighting is one label on one camera of one task. Its states: none → open → cooling → none.
2. It begins with one `new`, goes on with `update` (at most every `update_interval_s`) and ends with exactly one
   `end`, once no such result came for `end_after_s`. Cooling swallows a return within `cooldown_s`.
3. A default answer is not a sighting. Nor are quiet labels, low scores, stale results and repeated requests.
   Each of these has a name, and is counted by whoever runs the core.
4. At most `max_open` sightings are open: one more ends the one that has been silent for longest.
5. An alert's id is the request id that began it: a result that is handled again after a crash begins the same alert.

What the core does not do: persist. `Save` and `Forget` say what to keep, `restore` takes it back.
Call `expire(now)` before every `handle`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from roost_broker.clock import SECOND
from roost_broker.messages import FrameRef
from roost_edge.alerts.settings import AlertSettings
from roost_edge.best_picture import rank, worth_of

Key: TypeAlias = tuple[str, str, str]
"""Task, camera, label."""

Outcome: TypeAlias = Literal["default", "quiet", "low-score", "stale", "duplicate", "cooling"]


@dataclass(frozen=True, slots=True)
class ResultSeen:
    """An official result, reduced to what sightings need. `label` is None for a default answer."""

    request_id: str
    task: str
    camera: str
    label: str | None
    score: float
    at_ms: int
    """Wall clock of the result, a label only."""
    age_ns: int = 0
    """How old the result was when it arrived."""
    frame: FrameRef | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of the request."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One sighting: how it stands, with its best result so far."""

    alert_id: str
    task: str
    camera: str
    label: str
    score: float
    requests: int
    started_ms: int
    last_ms: int
    best_request_id: str
    frame: FrameRef | None
    last_ns: int
    """When the latest result of this sighting arrived."""
    announced_ns: int
    """When an alert about it was last given out."""
    ended_ns: int | None = None
    """Since when it is cooling; None while it is open."""
    worth: float = 0.0
    """How much the best result's picture shows (`best_picture`)."""

    @property
    def key(self) -> Key:
        """What makes it this sighting."""
        return (self.task, self.camera, self.label)


@dataclass(frozen=True, slots=True)
class Announce:
    """Publish an alert."""

    type: Literal["new", "update", "end"]
    sighting: Sighting
    caused_by: str
    """Request id, or "expiry"."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Show this frame as the camera's newest snapshot."""

    camera: str
    label: str
    frame: FrameRef
    caused_by: str
    """Request id of the result that it belongs to."""


@dataclass(frozen=True, slots=True)
class Save:
    """Keep this sighting (replacing the one with the same key) over a restart."""

    sighting: Sighting
    caused_by: str


@dataclass(frozen=True, slots=True)
class Forget:
    """No longer keep it."""

    key: Key
    caused_by: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A result that changed nothing, and why."""

    outcome: Outcome
    caused_by: str


@dataclass(frozen=True, slots=True)
class Remember:
    """Keep this request id over a restart (the newest `REMEMBERED` of them): its result must never count twice."""

    request_id: str

    @property
    def caused_by(self) -> str:
        """As every action has."""
        return self.request_id


Action: TypeAlias = Announce | Picture | Save | Forget | Remember | Ignored

REMEMBERED = 1_000
"""Request ids remembered. A session holds far fewer unacknowledged results, so a redelivery is always recognised."""


class Sightings:
    """See the module's rules."""

    def __init__(self, settings: AlertSettings) -> None:
        self._settings = settings
        self._quiet = frozenset(settings.quiet_labels)
        self._end_after = round(settings.end_after_s * SECOND)
        self._update_every = round(settings.update_interval_s * SECOND)
        self._cooldown = round(settings.cooldown_s * SECOND)
        self._stale_after = round(settings.stale_after_s * SECOND)
        self._known: dict[Key, Sighting] = {}
        self._counted: dict[str, None] = {}  # in the order in which they came

    @property
    def open(self) -> tuple[Sighting, ...]:
        """Sightings that go on, in the order in which they were last changed or began."""
        return tuple(one for one in self._known.values() if one.ended_ns is None)

    def restore(self, saved: tuple[Sighting, ...], remembered: tuple[str, ...], now: int, *, same_boot: bool) -> None:
        """Take back what was saved. Of another boot the times mean nothing: silence is then counted from now."""
        for one in saved:
            moved = replace(one, last_ns=now, announced_ns=now, ended_ns=None if one.ended_ns is None else now)
            self._known[one.key] = one if same_boot else moved
        self._counted.update(dict.fromkeys(remembered[-REMEMBERED:]))

    def deadline(self) -> int | None:
        """When the next sighting ends or has cooled."""
        return min((self._due(one) for one in self._known.values()), default=None)

    def expire(self, now: int) -> tuple[Action, ...]:
        """End what has been silent long enough; forget what has cooled."""
        actions: list[Action] = []
        for one in [one for one in self._known.values() if self._due(one) <= now]:
            # A sighting ends when its time was over, not when somebody looked: cooling starts then, too.
            ended = one if one.ended_ns is not None else self._end(one, self._due(one), "expiry", actions)
            if self._due(ended) <= now:
                del self._known[ended.key]
                actions.append(Forget(ended.key, "expiry"))
        return tuple(actions)

    def handle(self, event: ResultSeen, now: int) -> tuple[Action, ...]:
        """Take in one result."""
        ignored = self._reason_to_ignore(event)
        if ignored is not None:
            return (Ignored(ignored, event.request_id),)
        assert event.label is not None  # noqa: S101 -- narrows the type: a result without a label was ignored above
        current = self._known.get((event.task, event.camera, event.label))
        if current is not None and current.ended_ns is not None:
            return (Ignored("cooling", event.request_id),)
        self._counted[event.request_id] = None
        if len(self._counted) > REMEMBERED:
            del self._counted[next(iter(self._counted))]
        actions = self._begin(event, event.label, now) if current is None else self._go_on(current, event, now)
        return (*actions, Remember(event.request_id))

    def _reason_to_ignore(self, event: ResultSeen) -> Outcome | None:
        if event.label is None:
            return "default"
        if event.label in self._quiet:
            return "quiet"
        if not event.score >= self._settings.min_score:  # NaN counts as low
            return "low-score"
        if event.request_id in self._counted:
            return "duplicate"
        if event.age_ns > self._stale_after:
            return "stale"
        return None

    def _begin(self, event: ResultSeen, label: str, now: int) -> tuple[Action, ...]:
        actions: list[Action] = []
        self._make_room(event.request_id, now, actions)
        fresh = Sighting(
            alert_id=event.request_id,
            task=event.task,
            camera=event.camera,
            label=label,
            score=event.score,
            requests=1,
            started_ms=event.at_ms,
            last_ms=event.at_ms,
            best_request_id=event.request_id,
            frame=event.frame,
            last_ns=now,
            announced_ns=now,
            worth=worth_of(event.tags),
        )
        self._known[fresh.key] = fresh
        actions += [Announce("new", fresh, event.request_id), Save(fresh, event.request_id)]
        if event.frame is not None:
            actions.append(Picture(event.camera, label, event.frame, event.request_id))
        return tuple(actions)

    def _go_on(self, current: Sighting, event: ResultSeen, now: int) -> tuple[Action, ...]:
        worth = worth_of(event.tags)
        better = rank(event.score, worth) > rank(current.score, current.worth)
        tell = now - current.announced_ns >= self._update_every
        changed = replace(
            current,
            score=event.score if better else current.score,
            best_request_id=event.request_id if better else current.best_request_id,
            frame=event.frame if better else current.frame,
            requests=current.requests + 1,
            last_ms=max(current.last_ms, event.at_ms),
            last_ns=now,
            announced_ns=now if tell else current.announced_ns,
            worth=worth if better else current.worth,
        )
        self._known[changed.key] = changed
        actions: list[Action] = [Announce("update", changed, event.request_id)] if tell else []
        actions.append(Save(changed, event.request_id))
        if better and event.frame is not None:
            actions.append(Picture(event.camera, current.label, event.frame, event.request_id))
        return tuple(actions)

    def _make_room(self, caused_by: str, now: int, actions: list[Action]) -> None:
        still_open = self.open
        if len(still_open) >= self._settings.max_open:
            self._end(min(still_open, key=lambda one: one.last_ns), now, caused_by, actions)
        cooling = [one for one in self._known.values() if one.ended_ns is not None]
        if len(cooling) > self._settings.max_open:
            first = min(cooling, key=self._due)
            del self._known[first.key]
            actions.append(Forget(first.key, caused_by))

    def _end(self, one: Sighting, at: int, caused_by: str, actions: list[Action]) -> Sighting:
        ended = replace(one, ended_ns=at)
        self._known[ended.key] = ended
        actions += [Announce("end", ended, caused_by), Save(ended, caused_by)]
        return ended

    def _due(self, one: Sighting) -> int:
        return one.last_ns + self._end_after if one.ended_ns is None else one.ended_ns + self._cooldown

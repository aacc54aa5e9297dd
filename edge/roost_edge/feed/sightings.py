"""Which results become posts, the pure core: results in, posts out. No clock, no sockets, no files.

Rules:

1. A sighting is one label on one camera of one task. Its states: none → settling → posted → cooling → none.
2. It is watched for `settle_s`, then its best picture so far is posted. While it goes on it is posted again, at most
   every `again_s`, each time with the best picture since; never more than `max_thread` times.
3. It ends when no such result came for `end_after_s`. A return within `cooldown_s` of its end is not posted.
4. Quiet labels, low scores, stale and repeated results are named, and change nothing.
5. At most `max_open` sightings are followed; one more ends the one that has been silent for longest.

What the core does not do: persist. `Save` and `Forget` say what to keep, `restore` takes it back.
Call `expire(now)` before every `handle`.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from roost_broker.clock import SECOND
from roost_edge.best_picture import Rank, rank
from roost_edge.feed.reading import Seen
from roost_edge.feed.settings import FeedSettings

Key: TypeAlias = tuple[str, str, str]
"""Task, camera, label."""
Outcome: TypeAlias = Literal["quiet", "low-score", "stale", "duplicate", "cooling", "not-better", "thread-full"]

REMEMBERED = 1_000
"""Request ids remembered. A session holds far fewer unacknowledged results, so a redelivery is always recognised."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One sighting, as far as it goes."""

    sighting_id: str
    """The request id that began it."""
    task: str
    camera: str
    label: str
    last_ns: int
    """When the latest result of this sighting arrived."""
    due_ns: int
    """From when on it may be posted (again)."""
    posts: int = 0
    best: Seen | None = None
    """What the next post would show."""
    ended_ns: int | None = None
    """Since when it is cooling; None while it goes on."""

    @property
    def key(self) -> Key:
        """What makes it this sighting."""
        return (self.task, self.camera, self.label)


@dataclass(frozen=True, slots=True)
class Post:
    """Post this. `ordinal` 0 begins a thread, others answer it."""

    sighting_id: str
    ordinal: int
    seen: Seen

    @property
    def caused_by(self) -> str:
        """As every action has."""
        return self.seen.request_id


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
class Remember:
    """Keep this request id over a restart (the newest `REMEMBERED` of them): its result must never count twice."""

    request_id: str

    @property
    def caused_by(self) -> str:
        """As every action has."""
        return self.request_id


@dataclass(frozen=True, slots=True)
class Ignored:
    """A result that is not posted, and why."""

    outcome: Outcome
    caused_by: str


Action: TypeAlias = Post | Save | Forget | Remember | Ignored


class Sightings:
    """See the module's rules."""

    def __init__(self, settings: FeedSettings) -> None:
        self._settings = settings
        self._settle = round(settings.settle_s * SECOND)
        self._again = round(settings.again_s * SECOND)
        self._end_after = round(settings.end_after_s * SECOND)
        self._cooldown = round(settings.cooldown_s * SECOND)
        self._stale = round(settings.stale_after_s * SECOND)
        self._known: dict[Key, Sighting] = {}
        self._counted: dict[str, None] = {}  # in the order in which they came

    @property
    def open(self) -> tuple[Sighting, ...]:
        """Sightings that go on."""
        return tuple(one for one in self._known.values() if one.ended_ns is None)

    def restore(self, saved: tuple[Sighting, ...], remembered: tuple[str, ...], now: int, *, same_boot: bool) -> None:
        """Take back what was saved. Of another boot the times mean nothing: they are then counted from now."""
        for one in saved:
            due = now + (self._again if one.posts else self._settle)
            moved = replace(one, last_ns=now, due_ns=due, ended_ns=None if one.ended_ns is None else now)
            self._known[one.key] = one if same_boot else moved
        self._counted.update(dict.fromkeys(remembered[-REMEMBERED:]))

    def deadline(self) -> int | None:
        """When to be woken next."""
        return min((self._due(one) for one in self._known.values()), default=None)

    def expire(self, now: int) -> tuple[Action, ...]:
        """Post what has settled, end what has been silent, forget what has cooled."""
        actions: list[Action] = []
        while due := [one for one in self._known.values() if self._due(one) <= now]:
            for one in sorted(due, key=self._due):
                self._step(one, actions)
        return tuple(actions)

    def handle(self, event: Seen, now: int) -> tuple[Action, ...]:
        """Take in one result."""
        reason = self._reason_to_ignore(event)
        if reason is not None:
            return (Ignored(reason, event.request_id),)
        self._counted[event.request_id] = None
        if len(self._counted) > REMEMBERED:
            del self._counted[next(iter(self._counted))]
        actions: list[Action] = [Remember(event.request_id)]
        current = self._known.get((event.task, event.camera, event.label))
        if current is None:
            self._begin(event, now, actions)
        else:
            self._go_on(current, event, now, actions)
        return tuple(actions)

    def _reason_to_ignore(self, event: Seen) -> Outcome | None:
        settings = self._settings
        if event.label in settings.quiet_labels or (settings.labels and event.label not in settings.labels):
            return "quiet"
        if not event.score >= settings.min_score:  # NaN counts as low
            return "low-score"
        if event.request_id in self._counted:
            return "duplicate"
        if event.age_ns > self._stale:
            return "stale"
        return None

    def _begin(self, event: Seen, now: int, actions: list[Action]) -> None:
        self._make_room(now, event.request_id, actions)
        fresh = Sighting(
            sighting_id=event.request_id,
            task=event.task,
            camera=event.camera,
            label=event.label,
            last_ns=now,
            due_ns=now + self._settle,
            best=event,
        )
        self._keep(fresh, event.request_id, actions)
        if not self._settle:
            self._post(fresh, now, event.request_id, actions)

    def _go_on(self, current: Sighting, event: Seen, now: int, actions: list[Action]) -> None:
        if current.ended_ns is not None:
            actions.append(Ignored("cooling", event.request_id))
            return
        changed = replace(current, last_ns=now)
        if current.posts >= self._settings.max_thread:
            actions.append(Ignored("thread-full", event.request_id))
        elif current.best is not None and _rank(event) <= _rank(current.best):
            actions.append(Ignored("not-better", event.request_id))
        else:
            changed = replace(changed, best=event)
        self._keep(changed, event.request_id, actions)
        if changed.best is not None and changed.due_ns <= now:
            self._post(changed, now, event.request_id, actions)

    def _make_room(self, now: int, caused_by: str, actions: list[Action]) -> None:
        still_open = self.open
        if len(still_open) >= self._settings.max_open:
            silent = min(still_open, key=lambda one: one.last_ns)
            if silent.best is not None:
                silent = self._post(silent, now, caused_by, actions)
            self._keep(replace(silent, ended_ns=now), caused_by, actions)
        cooling = [one for one in self._known.values() if one.ended_ns is not None]
        if len(cooling) > self._settings.max_open:
            self._forget(min(cooling, key=self._due), caused_by, actions)

    def _step(self, one: Sighting, actions: list[Action]) -> None:
        """What is due for one sighting, at the moment it was due and not when somebody looked."""
        at = self._due(one)
        if one.ended_ns is not None:
            self._forget(one, "expiry", actions)
        elif one.best is not None and one.due_ns <= at:
            self._post(one, at, "expiry", actions)
        else:
            self._keep(replace(one, ended_ns=at, best=None), "expiry", actions)

    def _post(self, one: Sighting, now: int, caused_by: str, actions: list[Action]) -> Sighting:
        assert one.best is not None  # noqa: S101  # narrows the type: callers post what has a picture
        actions.append(Post(one.sighting_id, one.posts, one.best))
        posted = replace(one, posts=one.posts + 1, best=None, due_ns=now + self._again)
        self._keep(posted, caused_by, actions)
        return posted

    def _keep(self, one: Sighting, caused_by: str, actions: list[Action]) -> None:
        self._known[one.key] = one
        actions.append(Save(one, caused_by))

    def _forget(self, one: Sighting, caused_by: str, actions: list[Action]) -> None:
        del self._known[one.key]
        actions.append(Forget(one.key, caused_by))

    def _due(self, one: Sighting) -> int:
        if one.ended_ns is not None:
            return one.ended_ns + self._cooldown
        silent = one.last_ns + self._end_after
        return silent if one.best is None else min(silent, one.due_ns)


def _rank(seen: Seen) -> Rank:
    return rank(seen.score, seen.worth)

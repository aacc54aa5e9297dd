"""The feed role: official results in; posts, a page, an Atom feed and label suggestions out.

The order of work for a result: decide (pure), make the picture, commit (durable), acknowledge. What was committed is
sent by `outgoing`, beside it: a service that hangs for a day holds no result up.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from roost_broker.bus import Bus, Delivery
from roost_broker.cancellation import cancel_and_wait
from roost_broker.clock import SECOND, Clock, boot_id
from roost_broker.deadletter import DeadLetters
from roost_broker.errors import FrameUnavailable, Malformed, PeerError
from roost_broker.frames import FrameStore
from roost_broker.messages import Result, decode
from roost_broker.presence import RolePresence
from roost_broker.starting import started_before
from roost_broker.topics import NodeTopics, TaskTopics
from roost_broker.worker import Worker
from roost_edge.feed.opening import Opening
from roost_edge.feed.outgoing import Outgoing
from roost_edge.feed.picture import clean
from roost_edge.feed.places import Places
from roost_edge.feed.reading import read_result
from roost_edge.feed.replies import ReplyBook
from roost_edge.feed.rows import Changes, Draft
from roost_edge.feed.settings import FeedSettings
from roost_edge.feed.sightings import Action, Forget, Ignored, Post, Remember, Save, Sightings
from roost_edge.feed.site import Site
from roost_edge.feed.store import Store
from roost_edge.feed.wording import words

_log = logging.getLogger(__name__)
_BATCH = 32  # results decided and committed in one transaction
_STATE_EVERY = 10 * SECOND  # how often the role's counts are published, and the longest sleep
_MAX_HEARD = 2_000
_LAST_S = 1.0  # for a request that is under way; its end is then known to the store of the next start, or to nobody


class FeedRole:
    """See the module's docstring. `bus` is unstarted; `places.store` is this role's file."""

    def __init__(
        self,
        bus: Bus,
        topics: NodeTopics,
        tasks: Sequence[TaskTopics],
        settings: FeedSettings,
        frames: FrameStore,
        *,
        cameras: Sequence[str],
        places: Places,
        clock: Clock,
        session: int,
        role: str = "feed",
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._bus = bus
        self._topics = topics
        self._tasks = tuple(tasks)
        self._settings = settings
        self._frames = frames
        self._cameras = frozenset(cameras)
        self._places = places
        self._clock = clock
        self._core = Sightings(settings)
        self._heard: set[tuple[str, str]] = set()
        self._inbox: deque[tuple[str, Result, Delivery]] = deque()  # bounded by the session's receive maximum
        self._wake = asyncio.Event()
        self._detail = ""
        self._opening = Opening(settings, places.folder, clock)
        self._opening.why_dry()  # keys that are not safe are said now, not with the first post
        self._outgoing: Outgoing | None = None
        self._presence = RolePresence(bus, topics, role, session=session, clock=clock, counts=self._counted)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises when the store cannot be read or written: then nothing may be acknowledged."""
        store = Store(self._places.store, self._clock, boot=boot_id())
        try:
            second = Store(self._places.store, self._clock, boot=boot_id())
        except BaseException:
            store.close()
            raise
        worker = Worker("feed-intake")
        outgoing = self._outgoing = Outgoing(
            second,
            self._opening,
            Site(self._places.site, self._settings, node=self._topics.node) if self._settings.site else None,
            ReplyBook(second, self._topics, (*self._settings.labels, *self._settings.quiet_labels), self._clock),
            self._bus,
            self._settings,
            self._clock,
            told=self._say,
        )
        try:
            await self._live(store, worker, outgoing, stop)
        except Exception as error:
            self._presence.failed(str(error) or type(error).__name__)
            raise
        finally:
            await self._bus.stop()
            closed = {outgoing.close(), worker.call(store.close)}
            worker.stop()
            await asyncio.wait(closed, timeout=_LAST_S)

    async def _live(self, store: Store, worker: Worker, outgoing: Outgoing, stop: asyncio.Event) -> None:
        kept = store.load()
        self._heard = set(kept.heard)
        self._core.restore(kept.sightings, kept.remembered, self._clock.monotonic_ns(), same_boot=kept.same_boot)
        for task in self._tasks:
            letters = DeadLetters(self._bus, task.deadletter, "feed", self._clock)
            self._bus.subscribe(task.all_results, partial(self._arrived, task.task, letters))
        self._bus.on_connection(lambda up: outgoing.news() if up else None)
        self._presence.starting()
        if await started_before(self._bus, stop):
            await self._work(store, worker, outgoing, stop)
            self._presence.stopped()

    async def _work(self, store: Store, worker: Worker, outgoing: Outgoing, stop: asyncio.Event) -> None:
        helpers = (asyncio.ensure_future(outgoing.run()), asyncio.ensure_future(self._wake_at(stop)))
        for helper in helpers:
            helper.add_done_callback(lambda _: self._wake.set())
        self._presence.ready(self._detail)
        state_due = self._clock.monotonic_ns() + _STATE_EVERY
        said = self._detail
        try:
            while not stop.is_set():
                self._wake.clear()
                if helpers[0].done():
                    helpers[0].result()  # its defect ends the role: an edge dies loudly
                batch = self._taken()
                if await worker.call(self._turn, store, batch):
                    outgoing.news()
                for _, _, delivery in batch:
                    delivery.ack()
                now = self._clock.monotonic_ns()
                if now >= state_due or said != self._detail:
                    said = self._detail
                    self._presence.ready(said)
                    state_due = now + _STATE_EVERY
                await self._sleep()
        finally:
            await cancel_and_wait(*helpers)

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    async def _sleep(self) -> None:
        if self._inbox:
            return
        deadline = self._core.deadline()
        wait = _STATE_EVERY
        if deadline is not None:
            wait = min(wait, max(0, deadline - self._clock.monotonic_ns()))
        with suppress(TimeoutError):
            async with asyncio.timeout(wait / SECOND):
                await self._wake.wait()

    # -- one turn ----------------------------------------------------------------------------------------------------

    def _taken(self) -> list[tuple[str, Result, Delivery]]:
        return [self._inbox.popleft() for _ in range(min(_BATCH, len(self._inbox)))]

    def _turn(self, store: Store, batch: list[tuple[str, Result, Delivery]]) -> bool:
        """On the worker's thread: a picture takes longer than an event loop may. Returns whether there are posts."""
        changes = Changes()
        now = self._clock.monotonic_ns()
        self._carry_out(self._core.expire(now), changes)
        for task, result, _ in batch:
            self._hear(task, result, changes)
            seen = read_result(result, task=task, cameras=self._cameras, wall_ns=self._clock.wall_ns())
            if isinstance(seen, str):
                self.counts[seen] += 1
            else:
                self._carry_out(self._core.handle(seen, now), changes)
        if changes:
            self.counts["dropped"] += store.commit(changes, max_waiting=self._settings.max_waiting)
        return bool(changes.drafts)

    def _hear(self, task: str, result: Result, changes: Changes) -> None:
        for one in result.answer.outputs if result.answer is not None else ():
            if (task, one.label) not in self._heard and len(self._heard) < _MAX_HEARD:
                self._heard.add((task, one.label))
                changes.heard.append((task, one.label))

    def _carry_out(self, actions: tuple[Action, ...], changes: Changes) -> None:
        for action in actions:
            match action:
                case Post():
                    draft = self._draft(action)
                    if draft is not None:
                        changes.drafts.append(draft)
                        self.counts["posts"] += 1
                case Save(sighting, _):
                    changes.save[sighting.key] = sighting
                case Forget(key, _):
                    changes.save[key] = None
                case Remember(request_id):
                    changes.remember.append(request_id)
                case Ignored(outcome, _):
                    self.counts[outcome] += 1

    def _draft(self, post: Post) -> Draft | None:
        """A post with its picture; None when the frame is gone or is no picture: a post without one is no post."""
        seen, settings = post.seen, self._settings
        try:
            picture = clean(self._frames.read(seen.frame), side=settings.max_side, max_bytes=settings.max_picture_bytes)
        except FrameUnavailable as error:
            self.counts[f"frame-{error.reason}"] += 1
            return None
        except (PeerError, OSError) as error:
            self.counts["no-picture"] += 1
            _log.warning("a post without a usable picture is left out: %s", error)
            return None
        said = words(
            settings.text,
            seen.best,
            camera=seen.camera,
            task=seen.task,
            node=self._topics.node,
            at_ms=seen.at_ms,
            zone=None,
        )
        return Draft(
            request_id=seen.request_id,
            sighting_id=post.sighting_id,
            ordinal=post.ordinal,
            task=seen.task,
            camera=seen.camera,
            label=seen.label,
            text=said.text,
            alt=said.alt,
            picture=picture,
            frame=seen.frame.sha256,
            at_ms=seen.at_ms,
        )

    # -- what arrives ------------------------------------------------------------------------------------------------

    def _arrived(self, task: str, letters: DeadLetters, delivery: Delivery) -> None:
        try:
            message = decode(delivery.payload)
        except Malformed as error:
            self.counts["malformed"] += 1
            letters.send(delivery, str(error))
            return
        if not isinstance(message, Result):
            self.counts["not-a-result"] += 1
            letters.send(delivery, f"This is of the kind {type(message).__name__}, and only results belong here.")
            return
        self.counts["results"] += 1
        self._inbox.append((task, message, delivery))
        self._wake.set()

    def _say(self, detail: str) -> None:
        """Called from the outgoing thread: a sentence is exchanged as a whole."""
        self._detail = detail

    def _counted(self) -> dict[str, int]:
        sent = {} if self._outgoing is None else {**dict(self._outgoing.counts), "waiting": self._outgoing.waiting}
        return {**dict(self.counts), **sent, "open": len(self._core.open)}

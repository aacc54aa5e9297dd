"""The alerts role: official results in; alerts, notices, snapshots and the device's availability out.

The order of work for a result: decide (pure), commit (durable), acknowledge, publish, forget on PUBACK.
This role also owns what is true of the whole device: `availability` (retained; the last will says offline) and `info`.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from roost_broker.bus import Bus, Delivery
from roost_broker.cancellation import cancel_and_wait
from roost_broker.clock import SECOND, Clock, boot_id
from roost_broker.deadletter import DeadLetters
from roost_broker.errors import Malformed, QueueFull
from roost_broker.frames import FrameStore
from roost_broker.headers import new_header
from roost_broker.messages import Result, decode
from roost_broker.presence import RolePresence
from roost_broker.starting import started_before
from roost_broker.topics import NodeTopics, TaskTopics
from roost_edge.alerts.camera_watch import CameraWatch
from roost_edge.alerts.device import Device, availability, info
from roost_edge.alerts.notice_desk import NoticeDesk
from roost_edge.alerts.outbox import Changes, Outbox
from roost_edge.alerts.postman import Postman
from roost_edge.alerts.reading import read_result
from roost_edge.alerts.settings import AlertSettings
from roost_edge.alerts.sightings import Action, Announce, Forget, Ignored, Picture, Remember, Save, Sightings
from roost_edge.alerts.snapshots import Snapshots
from roost_edge.alerts.telling import how_alerts_stand
from roost_edge.alerts.writing import write_alert
from roost_edge.desk.questions import Question
from roost_edge.desk.replying import Replies
from roost_edge.discovery.announcer import DiscoveryAnnouncer

ASKED: Final = "asked"
"""Tag of a request that somebody asked for: its picture is shown whatever it shows."""
_BATCH = 64  # results decided and committed in one transaction
_STATE_EVERY = 10 * SECOND  # how often the role's counts are published, and the longest sleep


class AlertsRole:
    """See the module's docstring. `bus` is unstarted and carries `availability_will`; `outbox` is this role's file."""

    def __init__(
        self,
        bus: Bus,
        topics: NodeTopics,
        tasks: Sequence[TaskTopics],
        settings: AlertSettings,
        frames: FrameStore,
        *,
        device: Device,
        outbox: Path,
        clock: Clock,
        session: int,
        role: str = "alerts",
        discovery: DiscoveryAnnouncer | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._bus = bus
        self._topics = topics
        self._tasks = tuple(tasks)
        self._settings = settings
        self._device = device
        self._outbox_path = outbox
        self._clock = clock
        self._session = session
        self._cameras = frozenset(device.cameras)
        self._core = Sightings(settings)
        self._watch = CameraWatch(bus, topics, device.cameras, outbox.parent / "switches", role=role, clock=clock)
        self._replies = Replies(bus, topics, role, clock, self.counts)
        self._notices = NoticeDesk(
            *(topics, settings, device.zone, self._cameras), replies=self._replies, clock=clock, counts=self.counts
        )
        self._discovery = discovery
        bare = discovery is not None and discovery.enabled
        self._snapshots = Snapshots(bus, topics, frames, settings, clock, self.counts, bare=bare)
        self._inbox: deque[tuple[str, Result, Delivery]] = deque()  # bounded by the session's receive maximum
        self._wake = asyncio.Event()
        self._presence = RolePresence(
            bus,
            topics,
            role,
            session=session,
            clock=clock,
            counts=lambda: {**self.counts, "open": len(self._core.open)},
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises when the outbox cannot be read or written: then nothing may be acknowledged."""
        outbox = Outbox(self._outbox_path, boot=boot_id(), max_waiting=self._settings.max_waiting)
        postman = Postman(
            self._bus,
            outbox,
            self.counts,
            expiry_s=self._settings.expiry_s,
            clock=self._clock,
            notify=self._wake.set,
        )
        try:
            await self._live(outbox, postman, stop)
        except Exception as error:
            self._presence.failed(str(error) or type(error).__name__)
            self._say_available("offline")
            raise
        finally:
            await self._bus.stop()
            try:
                await postman.clear()
            finally:
                outbox.close()

    async def _live(self, outbox: Outbox, postman: Postman, stop: asyncio.Event) -> None:
        """From restoring what was kept to being told to stop."""
        kept = outbox.load()
        self._core.restore(kept.sightings, kept.remembered, self._clock.monotonic_ns(), same_boot=kept.same_boot)
        self._notices.restore(kept.rules, same_boot=kept.same_boot)
        self._watch.restore(kept.cameras)
        for task in self._tasks:
            letters = DeadLetters(self._bus, task.deadletter, "alerts", self._clock)
            self._bus.subscribe(task.all_results, partial(self._arrived, task.task, letters))
        self._watch.listen()
        self._replies.listen("alerts", lambda asked: self._replies.answer(asked, self._standing()))
        self._replies.listen("notice", self._test_asked)
        if self._discovery is not None:
            self._discovery.listen(self._wake.set)
        self._bus.on_connection(partial(self._connection_changed, postman))
        self._presence.starting()
        if await started_before(self._bus, stop):
            await self._work(outbox, postman, stop)
            self._presence.stopped()
            self._say_available("offline")

    async def _work(self, outbox: Outbox, postman: Postman, stop: asyncio.Event) -> None:
        helpers = (asyncio.ensure_future(self._snapshots.run()), asyncio.ensure_future(self._wake_at(stop)))
        for helper in helpers:
            helper.add_done_callback(lambda _: self._wake.set())
        self._presence.ready()
        state_due = self._clock.monotonic_ns() + _STATE_EVERY
        try:
            while not stop.is_set():
                self._wake.clear()
                if helpers[0].done():
                    helpers[0].result()  # its defect ends the role: an edge dies loudly
                await self._turn(outbox, postman)
                now = self._clock.monotonic_ns()
                if now >= state_due:
                    self._presence.publish()
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
        # The state's interval also bounds how late a step of the wall clock is noticed by the rules.
        wait = min(_STATE_EVERY, self._notices.due_in() or _STATE_EVERY)
        for deadline in (self._core.deadline(), None if self._discovery is None else self._discovery.deadline()):
            if deadline is not None:
                wait = min(wait, max(0, deadline - self._clock.monotonic_ns()))
        with suppress(TimeoutError):
            async with asyncio.timeout(wait / SECOND):
                await self._wake.wait()

    async def _turn(self, outbox: Outbox, postman: Postman) -> None:
        changes = Changes()
        now, muted = self._clock.monotonic_ns(), self._watch.muted
        if self._discovery is not None:
            self._discovery.expire(now)
        self._carry_out(self._core.expire(now), changes)
        self._notices.expire(changes, muted=muted)
        batch = [self._inbox.popleft() for _ in range(min(_BATCH, len(self._inbox)))]
        for task, result, _ in batch:
            seen = read_result(result, task=task, cameras=self._cameras, wall_ns=self._clock.wall_ns())
            if isinstance(seen, str):
                self.counts[seen] += 1
                continue
            self._notices.result(seen, now, changes, muted=muted)
            if seen.camera in muted:
                self.counts["switched-off"] += 1
            else:
                self._carry_out(self._core.handle(seen, now), changes)
            if ASKED in seen.tags and seen.frame is not None:  # somebody waits for just this picture
                self._snapshots.want(Picture(seen.camera, seen.label or "unknown", seen.frame, seen.request_id))
        self._watch.opened(self._core.open)
        if changes:
            self.counts["dropped"] += await asyncio.to_thread(
                outbox.commit, changes, monotonic_ns=now, wall_ns=self._clock.wall_ns()
            )
            postman.posted()
        for _, _, delivery in batch:
            delivery.ack()
        await postman.deliver()

    def _carry_out(self, actions: tuple[Action, ...], changes: Changes) -> None:
        for action in actions:
            match action:
                case Announce(kind, sighting, _):
                    header = new_header(self._clock, self._topics.node, "alerts")
                    changes.letters.append(write_alert(action, self._topics, header))
                    self.counts[kind] += 1
                    if kind != "end":
                        changes.cameras[sighting.camera] = self._watch.seen(sighting)
                case Save(sighting, _):
                    changes.save[sighting.key] = sighting
                case Forget(key, _):
                    changes.save[key] = None
                case Remember(request_id):
                    changes.remember.append(request_id)
                case Picture():
                    self._snapshots.want(action)
                case Ignored(outcome, _):
                    self.counts[outcome] += 1

    def _test_asked(self, asked: Question) -> None:
        if self._notices.test(asked):
            self._wake.set()

    def _standing(self) -> dict[str, Any]:
        return how_alerts_stand(
            counts=self.counts,
            sightings=self._core.open,
            rules=self._settings.rules,
            memory=self._notices.memory,
            switches={name: switch.state for name, switch in self._watch.switches.items()},
            absence_due_ns=self._notices.due_in(),
        )

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

    def _connection_changed(self, postman: Postman, connected: bool) -> None:
        if not connected:
            return
        self._say_available("online")
        names = [task.task for task in self._tasks]
        self._publish(self._topics.info, info(self._topics, self._device, names, self._clock))
        self._snapshots.republish()
        postman.start_over()

    def _say_available(self, state: Literal["online", "offline"]) -> None:
        self._publish(self._topics.availability, availability(self._topics, state, self._session, self._clock))

    def _publish(self, topic: str, payload: bytes) -> None:
        try:
            self._bus.publish(topic, payload, retain=True)
        except QueueFull:
            self.counts["queue-full"] += 1  # said again at the next connection

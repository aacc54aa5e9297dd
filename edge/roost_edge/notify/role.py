"""The role notify: notices in; telephones, mail and chats out.

1. A notice is kept, then acknowledged, then sent to each address; who has it is kept at once (see `queue`).
2. What fails is tried again, later each time, until it expires. One service that fails delays no other.
3. An address is never logged. Services are spoken to by a child process (`courier`): what hangs there is ended.
"""

import asyncio
import base64
import contextlib
import logging
from collections import Counter
from pathlib import Path

from roost_broker.bus import Bus, Delivery
from roost_broker.cancellation import cancel_and_wait
from roost_broker.clock import SECOND, Clock, boot_id
from roost_broker.deadletter import DeadLetters
from roost_broker.errors import Malformed, Misuse
from roost_broker.frames import FrameStore
from roost_broker.messages import Notice, decode
from roost_broker.presence import RolePresence
from roost_broker.starting import started_before
from roost_broker.topics import NodeTopics
from roost_broker.worker import Worker
from roost_edge.notify import courier
from roost_edge.notify.addresses import Address
from roost_edge.notify.queue import Queue, Waiting
from roost_edge.notify.sending import Errand
from roost_edge.notify.settings import NotifySettings
from roost_edge.notify.turns import Turns

_STATE_EVERY_S = 10.0
_log = logging.getLogger(__name__)


class NotifyRole:
    """See the module's rules. `bus` is not started yet; `queue` is this role's own file."""

    def __init__(
        self,
        bus: Bus,
        device: NodeTopics,
        settings: NotifySettings,
        addresses: tuple[Address, ...],
        frames: FrameStore,
        *,
        queue: Path,
        clock: Clock,
        session: int,
        role: str = "notify",
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._bus = bus
        self._device = device
        self._settings = settings
        self._addresses = addresses
        self._frames = frames
        self._queue_path = queue
        self._clock = clock
        self._turns = Turns(settings)
        self._inbox: asyncio.Queue[tuple[Notice, Delivery]] = asyncio.Queue()  # bounded by the receive maximum
        self._wake = asyncio.Event()
        self._waiting = 0
        self._letters = DeadLetters(bus, device.deadletter, role, clock, node=device.node)
        self._disk = Worker("notices on disk")
        self._presence = RolePresence(
            bus, device, role, session=session, clock=clock, counts=lambda: {**self.counts, "waiting": self._waiting}
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises when the queue cannot be used, or no address can."""
        queue = Queue(self._queue_path, boot=boot_id(), max_waiting=self._settings.max_waiting)
        self._bus.subscribe(self._device.notices, self._heard)
        self._presence.starting()
        try:
            if not await started_before(self._bus, stop):
                return
            self._addresses = await courier.usable(self._addresses, self._settings.timeout_s)
            if not self._addresses:
                raise Misuse("apprise understands none of the addresses.", "See the lines before this one.")
            self._presence.ready(f"{len(self._addresses)} addresses")
            await self._first_end(stop, queue)
            self._presence.stopped()
        except Exception as error:
            self._presence.failed(str(error) or type(error).__name__)
            raise
        finally:
            await self._bus.stop()
            await self._disk.call(queue.close)
            self._disk.stop()

    async def _first_end(self, stop: asyncio.Event, queue: Queue) -> None:
        work = (self._keep(queue), self._send(queue), self._report(), stop.wait())
        tasks = [asyncio.ensure_future(one) for one in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            await cancel_and_wait(*tasks)

    def _heard(self, delivery: Delivery) -> None:
        try:
            message = decode(delivery.payload)
        except Malformed as error:
            self.counts["malformed"] += 1
            self._letters.send(delivery, str(error))
            return
        if not isinstance(message, Notice):
            self.counts["malformed"] += 1
            self._letters.send(delivery, f"This is of the kind {type(message).__name__}, and only notices belong here.")
            return
        self.counts["notices"] += 1
        if self._settings.rules and message.rule not in self._settings.rules and message.kind != "test":
            self.counts["other-rules"] += 1
            delivery.ack()
            return
        self._inbox.put_nowait((message, delivery))

    async def _keep(self, queue: Queue) -> None:
        while True:
            notice, delivery = await self._inbox.get()
            times = {"monotonic_ns": self._clock.monotonic_ns(), "wall_ns": self._clock.wall_ns()}
            new, dropped = await self._disk.call(queue.add, notice.message_id, delivery.payload, **times)
            self.counts["dropped"] += dropped
            self.counts["repeated"] += not new
            delivery.ack()
            self._wake.set()

    async def _send(self, queue: Queue) -> None:
        while True:
            self._wake.clear()
            now = self._clock.monotonic_ns()
            times = {"monotonic_ns": now, "wall_ns": self._clock.wall_ns()}
            waiting = {one.seq: one for one in await self._disk.call(queue.waiting, **times)}
            for old in [seq for seq, one in waiting.items() if one.age_s >= self._settings.expiry_s]:
                await self._done(queue, old, "expired")
                del waiting[old]
            self._waiting = len(waiting)
            seq = self._turns.next(waiting, now)
            if seq is not None:
                await self._try(queue, waiting[seq])
                continue
            deadline = self._turns.deadline(waiting, now)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if deadline is None else max(0.0, (deadline - now) / SECOND)):
                    await self._wake.wait()

    async def _try(self, queue: Queue, waiting: Waiting) -> None:
        notice = decode(waiting.body)
        assert isinstance(notice, Notice)  # noqa: S101 -- narrows the type: only notices were kept
        self._turns.begins(waiting.seq, self._clock.monotonic_ns())
        told = waiting.told
        errand = await self._errand(notice, tuple(one for one in self._addresses if one.key not in told))
        lines = {one.key: one for one in errand.addresses}
        async with contextlib.aclosing(courier.carried(errand, self._settings.timeout_s)) as news:
            async for key, how in news:
                if how == "sent" and key in lines:
                    told |= {key}
                    self.counts["sent"] += 1
                    await self._disk.call(queue.told, waiting.seq, told)
        for address in errand.addresses:
            if address.key not in told:
                self.counts["failed"] += 1
                _log.warning("the service on %r did not take the notice of %s", address, notice.rule)
        if all(address.key in told for address in self._addresses):
            await self._done(queue, waiting.seq, "done")
        else:
            self._turns.failed(waiting.seq, self._clock.monotonic_ns())

    async def _done(self, queue: Queue, seq: int, how: str) -> None:
        await self._disk.call(queue.finished, seq)
        self._turns.forget(seq)
        self.counts[how] += 1

    async def _errand(self, notice: Notice, addresses: tuple[Address, ...]) -> Errand:
        settings = self._settings
        bounds = {"width": settings.picture_width, "max_bytes": settings.picture_max_bytes}
        wanted = notice.frame if settings.picture else None
        attached, why = await asyncio.to_thread(courier.picture, self._frames, wanted, **bounds)
        if why:
            self.counts[why] += 1
        title = settings.title or self._device.node
        return Errand(addresses=addresses, title=title, body=notice.text, picture=base64.b64encode(attached).decode())

    async def _report(self) -> None:
        told: Counter[str] = Counter()
        while True:
            await asyncio.sleep(_STATE_EVERY_S)
            if self.counts != told:
                told = Counter(self.counts)
                self._presence.publish()

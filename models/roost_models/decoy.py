"""The decoy: looks like a model to the flow, answers nothing, archives everything (the book's ch. 3, "Decoy Model").

It reads the same input topic as every model, so what it archives is what they saw, to the byte. It listens to scores
and results too, for one process must write the archive, and whoever asks "what did each model say" wants them joined.

Rules of this module:

1. An input is acknowledged after its receipt has reached the broker, the receipt is given after the commit: capture
   may forget a request only when it is safe. A duplicate is archived once and gets its receipt again.
2. It never publishes a score. Receipts, its own state, and dead letters for inputs it could not read are all it says.
   Unreadable scores and results are the rendezvous' and the requester's to report; here they are only counted.
3. A frame that cannot be had does not hold the record up: archived with the reason, receipt given, counted.
4. A full medium ends the process: without a receipt nothing is lost, and a supervisor's back-off is the retry.

Writing waits for the disk (on an SD card for tens of milliseconds), so it happens in one worker thread; what arrives
meanwhile forms the next batch, one transaction. So batches grow with the load by themselves, and there is no timer.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from roost_broker.bus import Bus, Delivery
from roost_broker.cancellation import within
from roost_broker.clock import Clock
from roost_broker.deadletter import DeadLetters
from roost_broker.diagnosis import Diagnosis, log_step, read
from roost_broker.errors import Malformed, QueueFull
from roost_broker.faults import RUBBISH
from roost_broker.frames import FrameStore
from roost_broker.headers import new_header
from roost_broker.messages import Declined, Message, Receipt, Request, Result, Score, Token, decode, encode
from roost_broker.presence import RolePresence
from roost_broker.refusals import Refusals
from roost_broker.starting import started_before
from roost_broker.topics import TaskTopics, last_level
from roost_broker.tracing import Tracer, span
from roost_models.archive.writing import Archive, Item, Outcome, Written

_log = logging.getLogger(__name__)
_BATCH = 64
_INBOX = 1000
_STATE_EVERY_S = 10.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Arrived:
    delivery: Delivery
    item: Item
    traced_ns: int | None = None
    """When it came, where it is traced."""


class Decoy:
    """See the module's rules. `bus` is unstarted and carries `presence.role_will` for `role`.

    `archive` is open for writing and stays its owner's to close; `frames` is the store that references point into.
    """

    def __init__(
        self,
        bus: Bus,
        topics: TaskTopics,
        archive: Archive,
        frames: FrameStore,
        *,
        clock: Clock,
        node: str,
        session: int,
        role: str = "",
        tracer: Tracer | None = None,
        qa: bool = False,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._bus = bus
        self._topics = topics
        self._archive = archive
        self._frames = frames
        self._clock = clock
        self._node = node
        self._role = role or f"decoy-{topics.task}"
        self._tracer = tracer
        if tracer is not None:
            tracer.counts = self.counts
        self._inbox: deque[_Arrived] = deque()
        self._wake = asyncio.Event()
        self._receipts: set[asyncio.Future[None]] = set()
        self._qa = qa
        self._refusals = Refusals(bus, topics, "decoy", clock, self.counts)
        self._delayed: set[asyncio.TimerHandle] = set()
        self._letters = DeadLetters(bus, topics.deadletter, "decoy", clock)
        self._presence = RolePresence(
            *(bus, topics.device, self._role),
            session=session,
            clock=clock,
            counts=lambda: {**self.counts, **archive.house_keeping()},
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises `ArchiveFull`, and what the database raises: nothing may be acknowledged then."""
        self._bus.subscribe(self._topics.input, self._input_arrived)
        self._bus.subscribe(self._topics.all_scores, self._score_arrived)
        self._bus.subscribe(self._topics.all_results, self._result_arrived)
        self._presence.starting()
        stopping = asyncio.ensure_future(self._wake_at(stop))
        writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="archive")
        try:
            if not await started_before(self._bus, stop):
                return
            self._presence.ready()
            await self._work(stop, writer)
            self._presence.stopped()
        except Exception as error:
            self._presence.failed(str(error))
            raise
        finally:
            stopping.cancel()
            for timer in self._delayed:
                timer.cancel()
            await self._bus.stop()
            writer.shutdown()

    async def _work(self, stop: asyncio.Event, writer: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()

        async def in_writer(work: Callable[[], T]) -> T:
            return await loop.run_in_executor(writer, work)

        state_due = loop.time() + _STATE_EVERY_S
        while not stop.is_set():
            self._wake.clear()
            batch = [self._inbox.popleft() for _ in range(min(_BATCH, len(self._inbox)))]
            if batch:
                began = self._clock.monotonic_ns()
                written = await in_writer(partial(self._archive.write, [one.item for one in batch], self._frames))
                ended = self._clock.monotonic_ns()
                await self._settle(batch, written, stop)
                self._tell(batch, began, ended)
            removed = await in_writer(partial(self._archive.enforce_budget, self._clock.wall_ns()))
            self.counts["frames-removed"] += len(removed.frames)
            if loop.time() >= state_due:
                self._presence.publish()
                state_due = loop.time() + _STATE_EVERY_S
            if not self._inbox and not removed.more:
                with suppress(TimeoutError):
                    await within(self._wake.wait(), max(0.0, state_due - loop.time()))

    def _tell(self, batch: Sequence[_Arrived], began: int, ended: int) -> None:
        """What a traced request met here. The transaction is the whole batch's."""
        for one in batch:
            if self._tracer is not None and one.traced_ns is not None and isinstance(one.item.message, Request):
                together = {"batch": str(len(batch))}
                told = [span("wait", one.traced_ns, began), span("archive", began, ended, together)]
                self._tracer.publish(one.item.message, told)

    async def _settle(self, batch: Sequence[_Arrived], written: Sequence[Written], stop: asyncio.Event) -> None:
        """The batch is safe: receipts for the inputs, acknowledgements for the rest."""
        self.counts["batches"] += 1
        for one, result in zip(batch, written, strict=True):
            message = one.item.message
            kind = type(message).__name__.lower()
            self.counts[kind if result.outcome is Outcome.NEW else f"{kind}-{result.outcome}"] += 1
            if result.note is not None:
                self.counts[f"frame-{result.note}"] += 1
            if isinstance(message, Request):
                await self._give_receipt(one.delivery, message, result, stop)
            else:
                one.delivery.ack()

    async def _give_receipt(self, delivery: Delivery, request: Request, written: Written, stop: asyncio.Event) -> None:
        head = new_header(self._clock, self._node, "decoy")
        payload = encode(
            Receipt(
                timestamp=head.timestamp,
                message_id=head.message_id,
                provenance=head.provenance,
                request_id=request.request_id,
                saw=written.saw,
                duplicate=written.outcome is not Outcome.NEW,
            )
        )
        if request.diagnostics is not None and (fault := self._diagnosis_of(request).fault) is not None:
            payload = RUBBISH if fault.kind == "wrong" else payload
        while True:
            try:
                published = self._bus.publish(self._topics.receipts, payload)
            except QueueFull:
                # Full of what is not ours, or we are told to stop: without a receipt the input will come again.
                if not self._receipts or stop.is_set():
                    self.counts["receipt-not-sent"] += 1
                    return
                stopping = asyncio.ensure_future(stop.wait())
                waiting: set[asyncio.Future[Any]] = {*self._receipts, stopping}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
            else:
                break
        self._receipts.add(published)
        published.add_done_callback(partial(self._receipt_done, delivery))

    def _receipt_done(self, delivery: Delivery, published: "asyncio.Future[None]") -> None:
        self._receipts.discard(published)
        if not published.cancelled() and published.exception() is None:
            self.counts["receipts"] += 1
            delivery.ack()

    # -- what arrives ------------------------------------------------------------------------------------------

    def _input_arrived(self, delivery: Delivery) -> None:
        try:
            message = decode(delivery.payload)
            if isinstance(message, Token):  # of a hand-over: not ours, and nothing to archive
                self._leave(delivery, "tokens")
                return
            if not isinstance(message, Request):
                raise Malformed(f"A {type(message).__name__} is no request.")
        except Malformed as error:
            self.counts["request-unreadable"] += 1
            self._letters.send(delivery, str(error))
            return
        if message.diagnostics is None:
            self._collect(delivery, message)
        else:
            self._collect_diagnosed(delivery, message)

    def _collect_diagnosed(self, delivery: Delivery, request: Request) -> None:
        """A request that asks something of the decoy itself: lines in its log, or a fault (QA)."""
        diagnosis = self._diagnosis_of(request)
        self._refusals.note(diagnosis, request.request_id)
        fault = diagnosis.fault
        log_step(_log, diagnosis, request.request_id, "decoy: taken", fault=str(fault or ""))
        if fault is not None:
            self.counts[f"fault-{fault.kind}"] += 1
        if fault is not None and fault.kind == "error":
            self._letters.send(delivery, "An error on purpose: the request asked the decoy for it.")
        elif fault is not None and fault.kind == "drop":
            delivery.ack()
        elif fault is not None and fault.kind == "slow" and len(self._delayed) < _INBOX:

            def due() -> None:
                self._delayed.discard(timer)
                self._collect(delivery, request)

            timer = asyncio.get_running_loop().call_later(fault.delay_ms / 1000, due)
            self._delayed.add(timer)
        else:
            self._collect(delivery, request)

    def _diagnosis_of(self, request: Request) -> Diagnosis:
        return read(request.diagnostics, qa=self._qa, component="decoy")

    def _score_arrived(self, delivery: Delivery) -> None:
        message = _readable(delivery)
        if isinstance(message, Token):
            self._leave(delivery, "tokens")
        elif not isinstance(message, Score | Declined):
            self._leave(delivery, "score-unreadable")
        elif message.model != last_level(delivery.topic):
            self._leave(delivery, "score-on-other-topic")
        else:
            self._collect(delivery, message)

    def _result_arrived(self, delivery: Delivery) -> None:
        message = _readable(delivery)
        if isinstance(message, Result):
            self._collect(delivery, message)
        else:
            self._leave(delivery, "result-unreadable")

    def _leave(self, delivery: Delivery, why: str) -> None:
        self.counts[why] += 1
        delivery.ack()

    def _collect(self, delivery: Delivery, message: Request | Score | Declined | Result) -> None:
        if len(self._inbox) >= _INBOX:  # only after many reconnections at once; not acknowledged, so it comes again
            self.counts["inbox-full"] += 1
            return
        item = Item(delivery.payload, message, self._topics.task, self._clock.wall_ns())
        self._inbox.append(_Arrived(delivery, item, self._traced_ns(message)))
        self._wake.set()

    def _traced_ns(self, message: Message) -> int | None:
        if self._tracer is None or not isinstance(message, Request):
            return None
        wanted = self._tracer.wants(message.request_id, message.diagnostics)
        return self._clock.monotonic_ns() if wanted else None

    # -- beginning and end -------------------------------------------------------------------------------------

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()


def _readable(delivery: Delivery) -> Message | None:
    try:
        return decode(delivery.payload)
    except Malformed:
        return None

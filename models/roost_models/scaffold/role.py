"""The scaffold: everything around a model that its author need not write (promises V1, V6, V8, V12, V15).

It answers each request of its task's input topic once: with a score, or by declining with a reason, as soon as that
is known. Rules:

1. The policy (`queue_policy`) decides what is evaluated and what is declined; it is asked `expire` on every wake.
2. The model computes in one thread of its own (`roost_broker.worker`, `inference.evaluation`); the loop never waits
   for it.
3. An input is acknowledged only when what follows from it has reached the broker.
4. A request delivered again gets the same bytes again while they are remembered (`answered`).
5. Until the model is warm and its goldens are right, requests are declined `not-ready`: its first answer is as fast
   as its hundredth (`inference.warming`).
6. A replica takes its own part alone (`partition`), and any model only what `[sample]` asks of it (`sampling`).
7. A token is passed on behind the last words on the requests before it (`marks`).
8. A model with internal state observes every request of its part, in order (`observing`).
9. Nothing a model raises ends the process; an evaluation or observation that never ends does, so that it is started
   afresh.

What it never does: take part in selection, or know whether it is champion or canary.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from typing import Any

from roost_broker.bus import Bus
from roost_broker.cancellation import within
from roost_broker.clock import MS, Clock
from roost_broker.errors import Misuse, RoostError
from roost_broker.faults import Fault
from roost_broker.frames import FrameStore
from roost_broker.topics import TaskTopics
from roost_broker.tracing import Tracer
from roost_broker.worker import Worker
from roost_models.bundle.folder import Bundle
from roost_models.inference.predictor import Predictor
from roost_models.inference.warming import ModelFailed, WarmModel, warm_up
from roost_models.internal_state.rebuild import StatePlace
from roost_models.internal_state.remembering import Remembering
from roost_models.scaffold.partition import Partition
from roost_models.scaffold.presence import ModelPresence
from roost_models.scaffold.request_desk import RequestDesk
from roost_models.scaffold.settings import ScaffoldSettings as ScaffoldSettings
from roost_models.scaffold.settings import receive_maximum as receive_maximum

_log = logging.getLogger(__name__)
_LAST_WORD_S = 1.0


class Scaffold:
    """One model of one task; see the module. What each request meets is in `request_desk`."""

    def __init__(
        self,
        bus: Bus,
        topics: TaskTopics,
        model: str,
        bundle: Bundle,
        frames: FrameStore,
        *,
        clock: Clock,
        node: str,
        session: int,
        faults: Fault | None = None,
        settings: ScaffoldSettings | None = None,
        tracer: Tracer | None = None,
        partition: Partition | None = None,
        internal_state: StatePlace | None = None,
    ) -> None:
        self._bus = bus
        self._topics = topics
        self._model = model
        self._bundle = bundle
        self._clock = clock
        self._settings = settings or ScaffoldSettings()
        self._partition = partition or Partition()
        if self._partition.shared and not bundle.manifest.pure:
            raise Misuse(
                f"Model {model} remembers what it has seen, and of its replicas each would see something else.",
                'Give its settings a key, such as `key = "camera"`.',
            )
        if bundle.manifest.internal_state is not None and internal_state is None:
            raise Misuse(
                f"Model {model} keeps internal state, and has no place for it.", "Name a folder and the archive."
            )
        self._internal_state = internal_state
        self._remembering: Remembering | None = None
        self._thread = Worker(f"model {model}")
        self._desk = RequestDesk(
            bus,
            topics,
            model,
            bundle,
            frames,
            self._thread,
            clock=clock,
            node=node,
            faults=faults,
            settings=self._settings,
            tracer=tracer,
            partition=self._partition,
        )
        self._presence = ModelPresence(
            bus,
            topics,
            model,
            bundle,
            session=session,
            clock=clock,
            counts=self._all_counts,
            outputs=self._desk.outputs,
            replica=self._partition.replica,
        )

    @property
    def counts(self) -> Counter[str]:
        """What its state publishes; see `request_desk`."""
        return self._desk.counts

    def _all_counts(self) -> Counter[str]:
        of_state = Counter[str]() if self._remembering is None else self._remembering.counts
        return Counter({**self._desk.counts, **of_state})

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set. Raises when the model cannot serve: `ModelFailed`, `Misuse`, `Malformed`."""
        self._bus.subscribe(self._topics.schedule, self._desk.sample.on_schedule)
        self._bus.subscribe(self._partition.filter(self._topics, self._model), self._desk.on_input)
        stopping = asyncio.ensure_future(stop.wait())
        self._presence.begin("starting")
        try:
            if await _before(stopping, asyncio.ensure_future(self._bus.start())):
                await self._serve(stopping)
            if self._partition.shared:
                self._desk.dismiss()
            await self._last_word("stopped", "")
        except Exception as error:  # a disk that cannot be read, too: nobody may go on believing in `ready`
            await self._last_word("failed", str(error) or type(error).__name__)
            raise
        finally:
            stopping.cancel()
            self._desk.close()  # before the state is saved: what is observed later would be neither saved nor delivered
            if self._desk.observing is not None:
                await self._desk.observing.close()
            self._thread.stop()
            await self._bus.stop()

    async def _serve(self, stopping: "asyncio.Future[Any]") -> None:
        self._presence.set("warming")
        loading = self._thread.call(lambda: warm_up(self._bundle, self._clock.monotonic_ns))
        if not await _before(stopping, loading):
            return
        warm = loading.result()
        remembering = asyncio.ensure_future(self._remember(warm.predictor))
        if not await _before(stopping, remembering):
            return
        self._desk.open(warm, None if self._remembering is None else self._remembering.past)
        self._presence.runtime = warm.predictor.runtime
        self._presence.set("ready", remembering.result())
        _log.info("model %s is ready: %s", self._model, warm.predictor.runtime, extra={"fields": _in_ms(warm)})
        await _before(stopping, asyncio.ensure_future(self._watch()))

    async def _remember(self, predictor: Predictor) -> str:
        """Bring the model's internal state up to date, if it has any; a sentence about it for the model's state."""
        place, observing = self._internal_state, self._desk.observing
        if observing is None or place is None:
            return ""
        began = self._clock.monotonic_ns()
        takes, part = self._partition.takes, self._partition.part
        self._remembering = await self._thread.call(lambda: Remembering(self._bundle, predictor, place, takes, part))
        found = await observing.open(self._remembering)
        took_ms = (self._clock.monotonic_ns() - began) // MS
        whence = "from its snapshot and" if found.from_snapshot else "from"
        return f"Internal state {whence} {found.rolled_forward} archived requests in {took_ms} ms."

    async def _watch(self) -> None:
        """Publish counts that have changed or are old; give up on an evaluation or observation that never ends."""
        told: Counter[str] = Counter()
        told_at = self._clock.monotonic_ns()
        while True:
            await asyncio.sleep(self._settings.state_interval_ms / 1000)
            self._desk.send_unsent()
            if self._desk.busy_since is not None:
                lasts_ms = (self._clock.monotonic_ns() - self._desk.busy_since) // MS
                if lasts_ms > self._settings.max_evaluation_ms:
                    raise ModelFailed(
                        f"Model {self._model} has not ended what it began {lasts_ms} ms ago.",
                        "It is started afresh; if it hangs again, take the bundle out of the schedule.",
                    )
            counts, now = self._all_counts(), self._clock.monotonic_ns()
            if counts != told or now - told_at >= self._settings.state_interval_ms * MS * 3:
                told, told_at = counts, now
                self._presence.publish()

    async def _last_word(self, state: str, detail: str) -> None:
        """Publish the final state, and give it a bounded time to arrive."""
        done = self._presence.set("failed" if state == "failed" else "stopped", detail)
        if done is not None and self._bus.connected:
            with contextlib.suppress(TimeoutError, RoostError):
                await within(asyncio.shield(done), _LAST_WORD_S)


def _in_ms(warm: WarmModel) -> dict[str, float]:
    """What warming measured, for the log."""
    return {f"batch_{size}_ms": round(cost / MS, 3) for size, cost in warm.costs.items() if cost}


async def _before(stopping: "asyncio.Future[Any]", work: "asyncio.Future[Any]") -> bool:
    """Wait for `work`, and raise what it raises; False when `stopping` came first."""
    try:
        done, _ = await asyncio.wait({stopping, work}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not work.done():
            work.cancel()
    if work not in done:
        return False
    work.result()
    return True

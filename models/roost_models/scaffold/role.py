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
6. Nothing a model raises ends the process; an evaluation that never ends does, so that it is started afresh.

What it never does: take part in selection, or know whether it is champion or canary.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from typing import Any

from roost_broker.bus import Bus
from roost_broker.clock import MS, Clock
from roost_broker.errors import RoostError
from roost_broker.frames import FrameStore
from roost_broker.topics import TaskTopics
from roost_broker.worker import Worker
from roost_models.bundle.folder import Bundle
from roost_models.inference.warming import ModelFailed, warmed_predictor
from roost_models.scaffold.faults import Faults
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
        faults: Faults | None = None,
        settings: ScaffoldSettings | None = None,
    ) -> None:
        self._bus = bus
        self._topics = topics
        self._model = model
        self._bundle = bundle
        self._clock = clock
        self._settings = settings or ScaffoldSettings()
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
        )
        self._presence = ModelPresence(
            bus, topics, model, bundle, session=session, clock=clock, counts=lambda: self._desk.counts
        )

    @property
    def counts(self) -> Counter[str]:
        """What its state publishes; see `request_desk`."""
        return self._desk.counts

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set. Raises when the model cannot serve: `ModelFailed`, `Misuse`, `Malformed`."""
        self._bus.subscribe(self._topics.input, self._desk.on_input)
        stopping = asyncio.ensure_future(stop.wait())
        self._presence.begin("starting")
        try:
            if await _before(stopping, asyncio.ensure_future(self._bus.start())):
                await self._serve(stopping)
            await self._last_word("stopped", "")
        except Exception as error:  # a disk that cannot be read, too: nobody may go on believing in `ready`
            await self._last_word("failed", str(error) or type(error).__name__)
            raise
        finally:
            stopping.cancel()
            self._desk.close()
            self._thread.stop()
            await self._bus.stop()

    async def _serve(self, stopping: "asyncio.Future[Any]") -> None:
        self._presence.set("warming")
        loading = self._thread.call(lambda: warmed_predictor(self._bundle))
        if not await _before(stopping, loading):
            return
        predictor = loading.result()
        self._desk.open(predictor)
        self._presence.runtime = predictor.runtime
        self._presence.set("ready")
        _log.info("model %s is ready: %s", self._model, predictor.runtime)
        await _before(stopping, asyncio.ensure_future(self._watch()))

    async def _watch(self) -> None:
        """Publish counts when they have changed; give up on an evaluation that never ends."""
        told: Counter[str] = Counter()
        while True:
            await asyncio.sleep(self._settings.state_interval_ms / 1000)
            self._desk.send_unsent()
            if self._desk.busy_since is not None:
                lasts_ms = (self._clock.monotonic_ns() - self._desk.busy_since) // MS
                if lasts_ms > self._settings.max_evaluation_ms:
                    raise ModelFailed(
                        f"An evaluation of model {self._model} has not ended after {lasts_ms} ms.",
                        "It is started afresh; if it hangs again, take the bundle out of the schedule.",
                    )
            if self._desk.counts != told:
                told = Counter(self._desk.counts)
                self._presence.publish()

    async def _last_word(self, state: str, detail: str) -> None:
        """Publish the final state, and give it a bounded time to arrive."""
        done = self._presence.set("failed" if state == "failed" else "stopped", detail)
        if done is not None and self._bus.connected:
            with contextlib.suppress(TimeoutError, RoostError):
                await asyncio.wait_for(asyncio.shield(done), _LAST_WORD_S)


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

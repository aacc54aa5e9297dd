"""One device under load, one thing that goes wrong, and a requester with a watch who judges it (promise V4).

The requester asks as a camera does, at a fixed rate whatever happens, and asks again as capture does (its own
`Redelivery`): requests that a killed broker has forgotten are its to repeat.
"""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from msgspec import structs
from task_device import NODE, SLA_MS, Device, schedule

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SystemClock, boot_id
from roost_broker.ids import new_id
from roost_broker.messages import Input, Issued, Request, Result, decode, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_edge.capture import redelivery as again
from roost_edge.capture.settings import CaptureSettings
from roost_edge.processes.supervisor import Supervisor

CLOCK = SystemClock()
ANSWERS = """
def predict(image, context):
    return {"here": 1.0}
"""
CHAMPION, FAST = "model-nest-champion", "model-nest-fast"
FLOODERS = 4
PATIENCE_S = 15.0
"""Who has no answer so long after the last request has lost it."""


class PatientRequester:
    """Asks until answered. `sent`, `at` and `told` are by request id, times in seconds."""

    def __init__(self, device: Device) -> None:
        self.topics = device.topics.task("nest")
        self.sent: dict[str, float] = {}
        self.at: dict[str, float] = {}
        self.told: defaultdict[str, dict[str, Result]] = defaultdict(dict)
        self._requests: dict[str, Request] = {}
        self._redelivery = again.Redelivery(CaptureSettings())
        self._news = asyncio.Event()
        self.bus = MqttBus(device.broker.settings(), f"{NODE}-patient")
        self.bus.subscribe(self.topics.results("patient"), self._answered)
        self.bus.on_connection(lambda up: self._tell(again.LinkChanged(up)))

    @property
    def open(self) -> int:
        return len(self.sent) - len(self.told)

    def ask(self) -> None:
        wall = CLOCK.wall_ns()
        request = Request(
            timestamp=wall // MS,
            message_id=new_id(wall),
            request_id=new_id(wall),
            return_address=self.topics.results("patient"),
            deadline_ms=SLA_MS,
            issued=Issued(boot=boot_id(), seq=len(self.sent), monotonic_ns=CLOCK.monotonic_ns()),
            input=Input(values={"number": len(self.sent)}),
        )
        self._requests[request.request_id] = request
        self.sent[request.request_id] = time.monotonic()
        self._tell(again.Accepted(request.request_id, receipt=True))

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def look_after_it(self) -> None:
        """Ask again whatever is due; for ever."""
        while True:
            due = self._redelivery.deadline()
            pause = 0.05 if due is None else max(0.0, (due - CLOCK.monotonic_ns()) / 1e9)
            await asyncio.sleep(min(pause, 0.05))
            self._act(self._redelivery.expire(CLOCK.monotonic_ns()))

    def _answered(self, delivery: Delivery) -> None:
        result = decode(delivery.payload)
        assert isinstance(result, Result)
        self.at.setdefault(result.request_id, time.monotonic())
        self.told[result.request_id].setdefault(result.message_id, result)
        self._tell(again.ResultSeen(result.request_id))
        delivery.ack()
        self._news.set()

    def _tell(self, event: again.Event) -> None:
        self._act(self._redelivery.handle(event, CLOCK.monotonic_ns()))

    def _act(self, actions: tuple[again.Action, ...]) -> None:
        for action in actions:
            if isinstance(action, again.Publish):
                request = self._requests[action.request_id]
                assert request.issued is not None
                issued = structs.replace(request.issued, attempt=action.attempt)
                payload = encode(structs.replace(request, issued=issued))
                done = self.bus.publish(self.topics.raw, payload)
                done.add_done_callback(partial(self._published, action.request_id))

    def _published(self, request_id: str, _done: "asyncio.Future[None]") -> None:
        self._tell(again.PublicationEnded(request_id))


@dataclass
class Verdict:
    """What the requester found. `in_time` are answers within the SLA, by cause."""

    asked: int = 0
    in_time: Counter[str] = field(default_factory=Counter)
    too_late: int = 0
    lost: int = 0
    doubled: int = 0
    slowest_ms: float = 0.0
    recovery_s: float | None = None
    """From what went wrong to the first answer as before; None where it never is as before."""
    flooded: int = 0

    @property
    def share_in_time(self) -> float:
        return sum(self.in_time.values()) / self.asked if self.asked else 0.0


def judge(requester: PatientRequester, broke_at: float, *, recovers: bool) -> Verdict:
    verdict = Verdict(asked=len(requester.sent))
    good: list[float] = []
    for request_id, sent in requester.sent.items():
        told = requester.told.get(request_id)
        if not told:
            verdict.lost += 1
            continue
        took_ms = (requester.at[request_id] - sent) * 1000
        cause = next(iter(told.values())).cause
        verdict.slowest_ms = max(verdict.slowest_ms, took_ms)
        verdict.doubled += len(told) > 1
        if took_ms <= SLA_MS:
            verdict.in_time[cause] += 1
        else:
            verdict.too_late += 1
        if sent >= broke_at and cause == "preferred":
            good.append(requester.at[request_id] - broke_at)
    if recovers and good:
        verdict.recovery_s = min(good)
    return verdict


class Trouble:
    """What a fault may do: to the processes, to the broker."""

    def __init__(self, device: Device, supervisor: Supervisor) -> None:
        self.device, self.supervisor = device, supervisor
        self.flooder: subprocess.Popen[bytes] | None = None

    async def nothing(self) -> None:
        pass

    async def stop_champion(self) -> None:
        self.supervisor.kill(CHAMPION, signal.SIGSTOP)

    async def resume_champion(self) -> None:
        self.supervisor.kill(CHAMPION, signal.SIGCONT)

    async def kill_champion(self) -> None:
        self.supervisor.kill(CHAMPION, signal.SIGKILL)

    async def kill_both_for_good(self) -> None:
        for role in (CHAMPION, FAST):
            self.supervisor.kill(role, signal.SIGKILL, restart=False)

    async def restart_broker(self) -> None:
        await asyncio.to_thread(self.device.broker.stop)
        await asyncio.to_thread(self.device.broker.start)

    async def kill_broker(self) -> None:
        await asyncio.to_thread(self.device.broker.kill)
        (self.device.broker.folder / "mosquitto.db").unlink(missing_ok=True)
        await asyncio.to_thread(self.device.broker.start)

    async def flood(self, rate: float) -> None:
        command = [sys.executable, str(Path(__file__).with_name("flooder_child.py"))]
        arguments = [str(self.device.broker.port), NODE, "nest", str(FLOODERS), str(rate)]
        self.flooder = await asyncio.to_thread(subprocess.Popen, [*command, *arguments], stdout=subprocess.PIPE)
        assert self.flooder.stdout is not None
        assert await asyncio.to_thread(self.flooder.stdout.readline) == b"ready\n"

    async def stop_flood(self) -> int:
        """How many words the broker took."""
        flooder, self.flooder = self.flooder, None
        if flooder is None:
            return 0
        flooder.terminate()
        said, _ = await asyncio.to_thread(flooder.communicate)
        return int(said or 0)


@dataclass(frozen=True)
class Fault:
    """`begin` after a third of the time, `end` after two thirds; `from_start` is a fault of the champion's process."""

    begin: Callable[[Trouble], Awaitable[None]] = Trouble.nothing
    end: Callable[[Trouble], Awaitable[None]] = Trouble.nothing
    from_start: str = ""
    recovers: bool = True
    causes: frozenset[str] = frozenset({"preferred", "fallback"})
    """Whatever else would be wrong."""
    floods: bool = False


FAULTS = {
    "none": Fault(causes=frozenset({"preferred"})),
    "champion stopped": Fault(Trouble.stop_champion, Trouble.resume_champion),
    "champion killed": Fault(Trouble.kill_champion),
    "champion slow": Fault(from_start="slow:60000", recovers=False, causes=frozenset({"fallback"})),
    "champion wrong": Fault(from_start="wrong", recovers=False, causes=frozenset({"fallback"})),
    "four models flooding": Fault(floods=True, causes=frozenset({"preferred", "fallback"})),
    "fast model gone too": Fault(
        Trouble.kill_both_for_good, recovers=False, causes=frozenset({"preferred", "fallback", "default"})
    ),
    "broker restarted": Fault(Trouble.restart_broker),
    "broker killed": Fault(Trouble.kill_broker),
}


@asynccontextmanager
async def _asking(requester: PatientRequester) -> AsyncIterator[None]:
    await requester.bus.start()
    looking = asyncio.create_task(requester.look_after_it())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await requester.bus.stop()


async def _load(requester: PatientRequester, rate: float, seconds: float) -> None:
    began = time.monotonic()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        requester.ask()


async def play(
    folder: Path, broker: PrivateBroker, fault: Fault, *, rate: float, seconds: float, flood: float
) -> Verdict:
    """A device of its own, asked `rate` times a second for so long; `flood` is words a second of all flooders."""
    device = Device(folder, broker, qa=True)
    device.task(schedule((0, ["champion"]), (500, ["fast"])), champion=ANSWERS, fast=ANSWERS)
    faults = {CHAMPION: fault.from_start} if fault.from_start else None
    requester = PatientRequester(device)
    flooded = 0
    async with device.up(faults=faults) as supervisor, _asking(requester):
        trouble = Trouble(device, supervisor)
        try:
            loading = asyncio.create_task(_load(requester, rate, seconds))
            await asyncio.sleep(seconds / 3)
            broke_at = time.monotonic()
            await (trouble.flood(flood) if fault.floods else fault.begin(trouble))
            await asyncio.sleep(max(0.0, broke_at + seconds / 3 - time.monotonic()))
            await fault.end(trouble)
            await loading
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    await requester.until(lambda: requester.open == 0)
        finally:
            flooded = await trouble.stop_flood()
    verdict = judge(requester, broke_at, recovers=fault.recovers)
    verdict.flooded = flooded
    return verdict

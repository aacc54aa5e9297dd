"""S4: a role that takes more memory than it may is ended by that, and nobody waits for it.

The bound is the kernel's own (RLIMIT_AS), put on the running process; the model leaks outside of Python and does not
look whether it got what it asked for, as native code does: it ends by a signal, as by the kernel's killer under
systemd's MemoryMax. A group of processes with a bound in common (cgroup) is systemd's to make, and not made here.
"""

import resource
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from requester import Requester
from whole_device import SLA_MS, Observer, judge_camera, make

from roost_broker.clock import MS, SECOND, SystemClock, boot_id
from roost_broker.ids import new_id
from roost_broker.messages import Input, Issued, Request, encode
from roost_broker.mosquitto import PrivateBroker
from roost_edge.processes.supervisor import Supervisor

pytestmark = [pytest.mark.broker, pytest.mark.processes]
Run: TypeAlias = Callable[..., Any]

CLOCK = SystemClock()
CHAMPION = "model-nest-champion"
ROOM = 200_000_000
LEAKING = """
import ctypes

native = ctypes.CDLL(None)
native.malloc.restype, native.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
native.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]


def take(size):
    native.memset(native.malloc(size), 1, min(size, 1_000_000))


def predict(image, context):
    take(2**60 if (context.values or {}).get("number") == -1 else 40_000_000)
    return {"here": 1.0}
"""
"""Forty megabytes of each request are never given back; one request asks for more than any machine has."""


def bound_memory(pid: int) -> None:
    """From now on it may have so much more than it has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + ROOM
    resource.prlimit(pid, resource.RLIMIT_AS, (most, most))


class Bounded:
    """The champion under its bound, again after each start."""

    def __init__(self, supervisor: Supervisor, observer: Observer) -> None:
        self._supervisor, self._observer = supervisor, observer

    @property
    def ends(self) -> int:
        return self._supervisor.restarts(CHAMPION)

    async def ready(self) -> None:
        """The process that is there now has loaded its model, and has its bound."""
        await self._observer.until(
            lambda: self._supervisor.state(CHAMPION) == "ready" and self._supervisor.pid(CHAMPION) is not None
        )
        pid = self._supervisor.pid(CHAMPION)
        assert pid is not None
        bound_memory(pid)


@asynccontextmanager
async def leaking(
    folder: Path, broker: PrivateBroker
) -> AsyncIterator[tuple[Supervisor, Bounded, Requester, Observer]]:
    """A whole device whose champion leaks and is bounded, and somebody who asks it and somebody who watches it."""
    device = make(folder, broker, champion=LEAKING)
    async with Observer(device) as observer, Requester(device, sla_ms=SLA_MS) as asker, device.up() as supervisor:
        yield supervisor, Bounded(supervisor, observer), asker, observer


def test_a_model_over_its_memory_is_started_again_and_again_and_every_answer_comes_in_time(
    run: Run, tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def story() -> None:
        async with leaking(tmp_path, own_mosquitto) as (supervisor, champion, asker, observer):
            for ended in range(3):
                await champion.ready()
                while champion.ends == ended:
                    await asker.answered(*asker.ask_many(2))
            await champion.ready()
            await asker.answered(asker.ask())
            await observer.let_camera_rest(supervisor)
            others = {role.name: supervisor.restarts(role.name) for role in supervisor.roles if role.name != CHAMPION}
            assert set(others.values()) == {0}, others
            judge(asker, observer)
            judge_camera(supervisor, observer)

    run(story(), timeout=120)


def judge(asker: Requester, observer: Observer) -> None:
    """Each request has one answer in its time: of the preferred model while it lives, else of the other."""
    asker.assert_each_answered_once_in_time()
    causes = {result.cause for told in observer.results.values() for result in told.values()}
    assert causes == {"preferred", "fallback"}


def test_a_request_that_no_memory_suffices_for_is_answered_by_another_and_ends_its_model_no_longer_than_its_time(
    run: Run, tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    """It comes again at each start of the model, for nobody has dealt with it; until its time is over."""

    async def story() -> None:
        async with leaking(tmp_path, own_mosquitto) as (supervisor, champion, asker, observer):
            [answer] = await asker.answered(ask_too_much(asker))
            assert answer.cause == "fallback"
            while (await asker.answered(asker.ask()))[0].cause != "preferred":
                pass
            await observer.let_camera_rest(supervisor)
            assert champion.ends >= 1
            asker.assert_each_answered_once_in_time()
            judge_camera(supervisor, observer)

    run(story(), timeout=120)


def ask_too_much(asker: Requester) -> str:
    """A question for which the champion wants more than there is; nobody waits for it long."""
    wall = CLOCK.wall_ns()
    request = Request(
        timestamp=wall // MS,
        message_id=new_id(wall),
        request_id=new_id(wall),
        return_address=asker.address,
        deadline_ms=4_000,
        issued=Issued(boot=boot_id(), seq=len(asker.sent), monotonic_ns=CLOCK.monotonic_ns()),
        input=Input(values={"number": -1}),
    )
    asker.sent[request.request_id] = CLOCK.monotonic_ns() / SECOND
    asker.bus.publish(asker.topics.raw, encode(request))
    return request.request_id

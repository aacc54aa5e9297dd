"""A device whose rendezvous servers and injectors hand over, on a virtual clock, with a camera that asks again."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from coop import BOOT, LADDER, Coop
from stories import played

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SECOND, VirtualClock
from roost_broker.errors import RoostError
from roost_broker.memory import MemoryBus
from roost_broker.messages import Request, Result, RoleState, Token, decode, encode
from roost_broker.presence import role_will
from roost_rendezvous.handover.conducting import HandOver
from roost_rendezvous.handover.conductor import Ended, HandoverPolicy, Tell
from roost_rendezvous.handover.slots import OTHER_SLOT, role_name
from roost_rendezvous.injector.role import StateInjector
from roost_rendezvous.server.role import RendezvousServer, ServerSettings

POLICY = HandoverPolicy(
    start_ns=5 * SECOND, snapshot_ns=5 * SECOND, transition_ns=5 * SECOND, finish_ns=30 * SECOND, remove_ns=5 * SECOND
)


class Handing(Coop):
    """`roles` are the processes that run, by role name; `marked` is who was remembered to be in charge."""

    def __init__(self, folder: Path, clock: VirtualClock) -> None:
        super().__init__(folder, clock)
        self.shells: dict[str, RendezvousServer | StateInjector] = {}
        self.marked: dict[str, str] = {}
        self.taken_over = asyncio.Event()
        self.steps: list[Tell] = []
        self.sessions: dict[str, int] = {}
        self.asked: dict[str, int] = {}
        self.inputs: list[Request | Token] = []

    # processes

    def start(self, component: str, slot: str = "", *, standby: bool = False, resumes: bool = False) -> None:
        role = role_name(component, "nest", slot)
        session = self.sessions[role] = self.sessions.get(role, 0) + 1
        bus = MemoryBus(self.broker, role, will=role_will(self.topics, role, session, self.clock))
        shell: RendezvousServer | StateInjector
        common: dict[str, Any] = {"clock": self.clock, "node": self.topics.node, "session": session, "role": role}
        folder = self.folder / "handover"
        if component == "rendezvous":
            shell = RendezvousServer(
                bus,
                self.task(),
                None if standby else LADDER,
                journal=self.folder / "journal",
                settings=ServerSettings(grace_ms=3000),
                boot=BOOT,
                slot=slot,
                standby=standby,
                resumes=resumes,
                handover=folder,
                in_charge=lambda name: self.mark(component, name),
                **common,
            )
        else:
            shell = StateInjector(
                bus,
                self.task(),
                standby=standby,
                watching=MemoryBus(self.broker, f"{role}-watch") if standby else None,
                snapshots=folder,
                boot=BOOT,
                in_charge=lambda name: self.mark(component, name),
                **common,
            )
        stop = asyncio.Event()
        self.shells[role] = shell
        self._tasks[role] = asyncio.ensure_future(shell.run(stop)), stop

    def runs(self, role: str) -> bool:
        return role in self._tasks and not self._tasks[role][0].done()

    def mark(self, component: str, name: str) -> None:
        self.marked[component] = name
        self.taken_over.set()

    async def kill(self, role: str) -> None:
        """As kill -9: the connection breaks first, so nothing it does from then on is seen by anybody."""
        self.broker.cut(role, hold=True)
        running, _ = self._tasks.pop(role)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        self.broker.restore(role)

    # a hand-over

    async def hand_over(self, component: Any = "rendezvous", slot: str = "", *, stage: Any = None) -> Ended:
        return await self.conducted(component, slot, stage=stage).run()

    def conducted(self, component: Any = "rendezvous", slot: str = "", *, stage: Any = None) -> HandOver:
        return HandOver(
            MemoryBus(self.broker, "upgrade"),
            self.task(),
            component,
            slot,
            stage or Stage(self, component, OTHER_SLOT[slot]),
            folder=self.folder / "handover",
            clock=self.clock,
            policy=POLICY,
            tell=self.steps.append,
        )

    # a camera

    async def begin(self) -> None:
        """Everybody is there: injector, server, two models, and somebody who looks on."""
        await self.watch("roost/#")
        self.start("rendezvous")
        self.start("injector")
        await asyncio.sleep(1)

    def ask(self, number: int, *, attempt: int = 1, request: Request | None = None) -> Request:
        request = request or self.request(requester="door")
        assert request.issued is not None
        again = msgspec.structs.replace(
            request, issued=msgspec.structs.replace(request.issued, attempt=attempt), tags={"camera": f"{number % 3}"}
        )
        self.asked.setdefault(request.request_id, self.clock.monotonic_ns())
        self._buses[0].publish(self.task().raw, encode(again))
        return again

    async def load(self, seconds: float, *, every_ms: int = 20, again_after_ms: int = 0) -> None:
        """Steady requests; with `again_after_ms` each is asked a second time, answered or not."""
        sent: list[tuple[int, Request]] = []
        begin = self.clock.monotonic_ns()
        number = 0
        while self.clock.monotonic_ns() - begin < seconds * SECOND:
            sent.append((self.clock.monotonic_ns(), self.ask(number)))
            number += 1
            while again_after_ms and sent and self.clock.monotonic_ns() - sent[0][0] >= again_after_ms * MS:
                self.ask(number, attempt=2, request=sent.pop(0)[1])
            await asyncio.sleep(every_ms / 1000)

    async def ask_again_what_is_open(self, number: int = 0) -> None:
        """As a camera does whose requests are not answered."""
        for request in [one for one in self.said(Request) if one.request_id not in self.results()]:
            self.ask(number, attempt=2, request=request)

    # judgement

    def answers(self) -> dict[str, set[str]]:
        """Message ids of the results, by request."""
        return {request_id: {result.message_id for _, result in given} for request_id, given in self.results().items()}

    def assert_each_answered_once(self) -> None:
        answers = self.answers()
        assert answers.keys() == self.asked.keys(), f"{len(self.asked.keys() - answers.keys())} lost"
        assert {len(ids) for ids in answers.values()} == {1}, "answered with two tongues"

    def latencies_ms(self) -> list[float]:
        results = self.results()
        return [(results[request_id][0][0] - at) / MS for request_id, at in self.asked.items()]

    def state(self, role: str) -> str:
        payload = self.broker.retained(self.topics.role(role))
        message = decode(payload) if payload else None
        assert isinstance(message, RoleState)
        return message.state

    def order_of_results(self) -> dict[str, list[int]]:
        """Numbers of the first results, in the order they came, by key (camera)."""
        seen: set[str] = set()
        order: dict[str, list[int]] = {}
        for result in self.said(Result):
            if result.request_id not in seen:
                seen.add(result.request_id)
                order.setdefault(result.tags["camera"], []).append(result.input.values["number"])
        return order

    async def input_order(self) -> None:
        """Keep what is put on input, in order."""

        def keep(delivery: Delivery) -> None:
            message = decode(delivery.payload)
            assert isinstance(message, Request | Token)
            self.inputs.append(message)
            delivery.ack()

        await self.bus("input-reader", {self.task().input: keep})


class Stage:
    """Starts and ends the processes of a `Handing`, as a supervisor would."""

    def __init__(self, world: Handing, component: str, slot: str) -> None:
        self.world, self.component, self.slot = world, component, slot
        self.forgotten: list[str] = []

    async def start(self, role: str) -> None:
        assert role == role_name(self.component, "nest", self.slot)
        self.world.start(self.component, self.slot, standby=True)

    async def remove(self, role: str) -> None:
        await asyncio.sleep(0.1)  # one that is being killed is dead by then
        running, stop = self.world._tasks.pop(role, (None, None))
        if running is not None and stop is not None:
            stop.set()
            await asyncio.gather(running, return_exceptions=True)

    async def forget(self, role: str) -> None:
        self.forgotten.append(role)
        bus = MemoryBus(self.world.broker, role)
        await bus.start()
        await bus.stop(forget=True)


class Refusing(Stage):
    """A supervisor that cannot start anything."""

    async def start(self, role: str) -> None:
        raise RoostError(f"{role} cannot be started.", "Do it by hand.")


def play(folder: Path, story: Any) -> Handing:
    """A story on a fresh device, in virtual time."""
    clock = VirtualClock(monotonic_ns=5000 * SECOND)
    return played(Handing(folder, clock), story)

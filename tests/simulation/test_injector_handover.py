"""One injector hands over to the next under load, in virtual time: nothing lost, doubled or out of order."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from coop import Coop
from stories import played

from roost_broker.bus import Delivery, Will
from roost_broker.clock import VirtualClock
from roost_broker.errors import Misuse
from roost_broker.ids import new_id
from roost_broker.memory import MemoryBus
from roost_broker.messages import DeadLetter, Diagnostics, RoleState, Token, encode
from roost_broker.presence import role_will
from roost_rendezvous.injector.role import StateInjector
from roost_rendezvous.injector.settings import StateValue

OLD, NEW = "injector-nest", "injector-nest-b"
COUNTER = StateValue(topic="outside/counter", type="number")


class HandingOver(Coop):
    """A device on which one injector after the other runs; `inputs` is what came on input, in order."""

    async def begin(self) -> None:
        self.inputs: list[tuple[int, str, dict[str, Any]]] = []
        self.injectors: dict[str, StateInjector] = {}
        self.asked = 0
        await self.watch("roost/coop-1/roles/+", "roost/coop-1/nest/deadletter")

        def keep(delivery: Delivery) -> None:
            loose = msgspec.json.decode(delivery.payload)
            if loose["schema"] == "roost.request/1":
                self.inputs.append((loose["issued"]["seq"], "request", loose))
            else:
                self.inputs.append((0, f"{loose['kind']} {loose['component']}", loose))
            delivery.ack()

        await self.bus("reader", {self.task().input: keep})
        self.outside = await self.bus("outside")

    async def injector(
        self, role: str, *, standby: bool = False, receive_maximum: int = 64, qa: bool = False
    ) -> asyncio.Event:
        will: Will = role_will(self.topics, role, 1, self.clock)
        injector = StateInjector(
            MemoryBus(self.broker, role, will=will, receive_maximum=receive_maximum),
            self.task(),
            clock=self.clock,
            node="coop-1",
            session=1,
            role=role,
            values={"counter": COUNTER},
            listening=MemoryBus(self.broker, f"{role}-state"),
            standby=standby,
            watching=MemoryBus(self.broker, f"{role}-watch") if standby else None,
            snapshots=self.folder,
            boot="b" * 32,
            qa=qa,
        )
        self.injectors[role] = injector
        stop = asyncio.Event()
        self._tasks[role] = asyncio.ensure_future(injector.run(stop)), stop
        await asyncio.sleep(0.1)
        return stop

    async def kill(self, role: str, *, hold: bool = True) -> None:
        """As kill -9: the connections break first."""
        running, _ = self._tasks.pop(role)
        for client_id in (role, f"{role}-state", f"{role}-watch"):
            self.broker.cut(client_id, hold=hold)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    def ask(self, count: int = 1) -> None:
        for _ in range(count):
            self.asked += 1
            self.outside.publish(self.task().raw, encode(self.request()))

    def token(
        self,
        kind: Literal["snapshot", "transition"],
        *,
        component: Literal["injector", "rendezvous"] = "injector",
        old: str = OLD,
        new: str = NEW,
        location: str = "handover",
    ) -> None:
        wall = self.clock.wall_ns()
        token = Token(
            timestamp=wall // 1_000_000,
            message_id=new_id(wall),
            kind=kind,
            component=component,
            handover_id=new_id(wall),
            old=old,
            new=new,
            location=location,
        )
        self.outside.publish(self.task().raw, encode(token))

    async def load(self, count: int, *, gap_s: float = 0.001, burst: int = 1) -> None:
        for _ in range(count // burst):
            self.ask(burst)
            await asyncio.sleep(gap_s)

    def numbers(self) -> list[int]:
        return [number for number, kind, _ in self.inputs if kind == "request"]

    def assert_complete(self) -> None:
        assert self.numbers() == list(range(1, self.asked + 1))
        assert self.said(DeadLetter) == []


def play(tmp_path: Path, story: Callable[[HandingOver], Any]) -> HandingOver:
    async def begun(coop: HandingOver) -> None:
        await coop.begin()
        await story(coop)

    return played(HandingOver(tmp_path, VirtualClock()), begun)


@pytest.mark.parametrize("burst", [1, 10, 200])
def test_under_load_the_successor_goes_on_exactly_where_the_old_one_ended(tmp_path: Path, burst: int) -> None:
    async def story(coop: HandingOver) -> None:
        stop = await coop.injector(OLD)
        coop.outside.publish("outside/counter", b"7")
        await coop.load(400, burst=burst)
        await coop.injector(NEW, standby=True)
        loading = asyncio.ensure_future(coop.load(1200, burst=burst))
        await asyncio.sleep(0.0015)
        coop.token("snapshot")
        await asyncio.sleep(0.0015)
        coop.token("transition")
        await loading
        await asyncio.sleep(2)
        assert stop.is_set(), "the old one has ended in order by itself"
        coop.assert_complete()
        assert coop.broker.waiting(OLD) == 0
        counts = coop.injectors[NEW].counts
        assert (counts["took-over-token"], counts["snapshot-read"]) == (1, 1)
        # exactly one injector's hop, and the state is there on both sides of the token
        assert {len(loose["provenance"]["path"]) for _, kind, loose in coop.inputs if kind == "request"} == {1}
        assert {loose["state"]["counter"] for _, kind, loose in coop.inputs if kind == "request"} == {7}
        kinds = [kind for _, kind, _ in coop.inputs if kind != "request"]
        assert kinds == ["snapshot injector", "transition injector"]
        place = [kind for _, kind, _ in coop.inputs].index("transition injector")
        injected_by_old = coop.injectors[OLD].counts["injected"]
        assert place == injected_by_old - 1  # all before it are the old one's, none behind it

    states = [
        (state.role, state.state, state.detail) for state in play(tmp_path, story).said(RoleState) if state.role == OLD
    ]
    assert states[-1] == (OLD, "stopped", "handed over")


def test_the_old_ones_session_is_forgotten_and_a_second_hand_over_goes_back(tmp_path: Path) -> None:
    async def story(coop: HandingOver) -> None:
        await coop.injector(OLD)
        for old, new in ((OLD, NEW), (NEW, OLD), (OLD, NEW)):
            await coop.injector(new, standby=True)
            loading = asyncio.ensure_future(coop.load(300))
            await asyncio.sleep(0.05)
            coop.token("snapshot", old=old, new=new)
            coop.token("transition", old=old, new=new)
            await loading
            await asyncio.sleep(1)
            assert coop.broker.waiting(old) == 0
        coop.assert_complete()

    play(tmp_path, story)


def test_values_and_what_requests_were_given_outlive_the_hand_over(tmp_path: Path) -> None:
    async def story(coop: HandingOver) -> None:
        await coop.injector(OLD)
        coop.outside.publish("outside/counter", b"7")  # not retained: the successor never hears it
        await asyncio.sleep(0.1)
        request = encode(coop.request())
        coop.outside.publish(coop.task().raw, request)
        await asyncio.sleep(10)
        await coop.injector(NEW, standby=True)
        coop.token("snapshot")
        coop.token("transition")
        await asyncio.sleep(1)
        coop.ask()
        coop.outside.publish(coop.task().raw, request)  # asked again
        await asyncio.sleep(1)
        first, fresh, again = [loose for _, kind, loose in coop.inputs if kind == "request"]
        assert fresh["state"] == {"counter": 7}
        assert fresh["stateAgeMs"]["counter"] >= 11_000
        assert again == first

    play(tmp_path, story)


@pytest.mark.parametrize("moment", ["before the token", "with the token", "restarts at once"])
def test_an_old_one_killed_in_the_middle_loses_nothing(tmp_path: Path, moment: str) -> None:
    async def story(coop: HandingOver) -> None:
        await coop.injector(OLD)
        await coop.load(100)
        await coop.injector(NEW, standby=True)
        loading = asyncio.ensure_future(coop.load(600))
        await asyncio.sleep(0.0505)
        coop.token("snapshot")
        await asyncio.sleep(0.05)
        if moment == "with the token":
            coop.token("transition")
        await coop.kill(OLD)
        if moment != "with the token":
            await asyncio.sleep(0.05)
            coop.token("transition")
        await loading
        await asyncio.sleep(2)
        coop.assert_complete()
        if moment == "restarts at once":  # it finds what it had not acknowledged, and its own last word
            for client_id in (OLD, f"{OLD}-state"):
                coop.broker.restore(client_id)
            stop = await coop.injector(OLD)
            await asyncio.sleep(2)
            assert stop.is_set()
            assert set(coop.numbers()) == set(range(1, coop.asked + 1))
            by_number: dict[int, set[str]] = {}
            for number, _, loose in coop.inputs:
                by_number.setdefault(number, set()).add(loose.get("requestId", ""))
            assert all(len(ids) == 1 for number, ids in by_number.items() if number)

    play(tmp_path, story)


def test_an_old_one_that_hangs_is_waited_for_a_second_and_nothing_is_lost(tmp_path: Path) -> None:
    async def story(coop: HandingOver) -> None:
        await coop.injector(OLD)
        await coop.injector(NEW, standby=True)
        await coop.load(50)
        coop.injectors[OLD]._bus.publish = hang  # type: ignore[method-assign]  # a process that was stopped
        loading = asyncio.ensure_future(coop.load(500, gap_s=0.004))
        await asyncio.sleep(0.1)
        before = coop.clock.monotonic_ns()
        coop.token("transition")
        while not coop.injectors[NEW].counts["took-over-waited"]:  # noqa: ASYNC110 - the moment is what is asked
            await asyncio.sleep(0.001)
        assert 1_000_000_000 <= coop.clock.monotonic_ns() - before < 1_010_000_000
        await loading
        await asyncio.sleep(1)
        coop.assert_complete()
        await coop.kill(OLD)

    def hang(*_: object, **__: object) -> "asyncio.Future[None]":
        return asyncio.get_running_loop().create_future()

    play(tmp_path, story)


def test_a_successor_killed_while_it_stands_by_costs_nothing(tmp_path: Path) -> None:
    async def story(coop: HandingOver) -> None:
        await coop.injector(OLD)
        await coop.injector(NEW, standby=True)
        loading = asyncio.ensure_future(coop.load(300))
        await asyncio.sleep(0.1)
        await coop.kill(NEW)
        coop.token("snapshot")
        await loading
        await asyncio.sleep(1)
        coop.assert_complete()

    play(tmp_path, story)


@pytest.mark.parametrize("whose", [OLD, NEW, f"{NEW}-watch"])
@pytest.mark.parametrize("at_ms", [95, 100, 101, 102])
def test_a_connection_broken_around_the_token_loses_nothing(tmp_path: Path, whose: str, at_ms: int) -> None:
    async def story(coop: HandingOver) -> None:
        await coop.injector(OLD)
        await coop.injector(NEW, standby=True)
        loading = asyncio.ensure_future(coop.load(300))
        asyncio.get_running_loop().call_later(at_ms / 1000, coop.broker.cut, whose)
        await asyncio.sleep(0.1)
        coop.token("snapshot")
        coop.token("transition")
        await loading
        await asyncio.sleep(3)
        assert set(coop.numbers()) == set(range(1, coop.asked + 1))
        repeated = len(coop.numbers()) - coop.asked
        assert repeated == 0 or whose == OLD, "what was not acknowledged comes again, as ever"

    play(tmp_path, story)


def test_tokens_for_the_rendezvous_pass_in_line_and_never_to_the_dead_letters(tmp_path: Path) -> None:
    async def story(coop: HandingOver) -> None:
        await coop.injector(OLD)
        for kind in ("snapshot", "transition"):
            coop.ask(3)
            coop.token(kind, component="rendezvous", old="rendezvous-nest", new="rendezvous-nest-b")
        coop.ask(3)
        await asyncio.sleep(1)
        coop.assert_complete()
        kinds = [kind.split()[0] for _, kind, _ in coop.inputs]
        assert kinds == ["request"] * 3 + ["snapshot"] + ["request"] * 3 + ["transition"] + ["request"] * 3

    play(tmp_path, story)


@pytest.mark.parametrize("location", ["../outside", "/etc", "a\0b"])
def test_a_token_cannot_make_the_injector_write_elsewhere_and_is_passed_on_all_the_same(
    tmp_path: Path, location: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()

    async def story(coop: HandingOver) -> None:
        await coop.injector(OLD)
        coop.token("snapshot", location=location)
        coop.ask()
        await asyncio.sleep(1)
        assert coop.injectors[OLD].counts["snapshot-failed"] == 1
        assert [kind for _, kind, _ in coop.inputs] == ["snapshot injector", "request"]

    play(folder, story)
    assert list(tmp_path.rglob("injector-*.json")) == []


def test_requests_delayed_on_purpose_are_not_lost_with_the_session(tmp_path: Path) -> None:
    async def story(coop: HandingOver) -> None:
        await coop.injector(OLD, qa=True)
        await coop.injector(NEW, standby=True)
        coop.asked += 1
        slow = Diagnostics(faults=[{"component": "injector", "fault": "slow:60000"}])
        coop.outside.publish(coop.task().raw, encode(coop.request(diagnostics=slow)))
        coop.token("transition")
        coop.ask(3)
        await asyncio.sleep(2)
        coop.assert_complete()

    play(tmp_path, story)


def test_a_snapshot_that_is_lost_does_not_stop_the_hand_over(tmp_path: Path) -> None:
    async def story(coop: HandingOver) -> None:
        await coop.injector(OLD)
        coop.outside.publish("outside/counter", b"7")
        await coop.injector(NEW, standby=True)
        (tmp_path / "handover").write_text("a file where the folder should be")
        coop.token("snapshot")
        coop.token("transition")
        coop.ask(5)
        await asyncio.sleep(1)
        coop.assert_complete()
        assert coop.injectors[OLD].counts["snapshot-failed"] == coop.injectors[NEW].counts["snapshot-failed"] == 1

    play(tmp_path, story)


def test_a_successor_without_eyes_is_misuse(tmp_path: Path) -> None:
    coop = HandingOver(tmp_path, VirtualClock())
    bus = MemoryBus(coop.broker, NEW)
    with pytest.raises(Misuse, match="watch"):
        StateInjector(bus, coop.task(), clock=coop.clock, node="coop-1", session=1, standby=True)

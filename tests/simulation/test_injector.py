"""The state injector between raw and input, in virtual time."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from coop import Coop
from stories import played

from roost_broker.bus import Delivery
from roost_broker.clock import VirtualClock
from roost_broker.memory import MemoryBus
from roost_broker.messages import DeadLetter, Request, RoleState, Token, encode, with_fields
from roost_rendezvous.injector.role import StateInjector


class Injected(Coop):
    """A device with an injector; `inputs` are the deliveries on input."""

    inputs: list[Delivery]
    injector: StateInjector

    async def begin(self, **bus_options: Any) -> asyncio.Event:
        self.inputs = []
        await self.watch("roost/coop-1/nest/deadletter", "roost/coop-1/roles/+")

        def keep(delivery: Delivery) -> None:
            self.inputs.append(delivery)
            delivery.ack()

        await self.bus("reader", {self.task().input: keep})
        bus = MemoryBus(self.broker, "injector-nest", **bus_options)
        self.injector = StateInjector(bus, self.task(), clock=self.clock, node="coop-1", session=1)
        stop = asyncio.Event()
        self._tasks["injector"] = asyncio.ensure_future(self.injector.run(stop)), stop
        await asyncio.sleep(0.1)
        return stop


def play(tmp_path: Path, story: Any) -> Injected:
    return played(Injected(tmp_path, VirtualClock()), story)


def test_a_request_passes_with_its_state_unknown_fields_and_one_more_hop(tmp_path: Path) -> None:
    async def story(coop: Injected) -> None:
        await coop.begin()
        request = msgspec.structs.replace(coop.request(), state={"door": "open"})
        raw = with_fields(encode(request), madeUp={"later": [1, 2.5]}, provenance={"path": [], "mine": "kept"})
        await coop.bus("asker")
        await coop._buses[-1].publish(coop.task().raw, raw, response_topic="a/b", correlation_data=b"c")
        await asyncio.sleep(1)

    [delivery] = play(tmp_path, story).inputs
    loose = msgspec.json.decode(delivery.payload)
    assert loose["madeUp"] == {"later": [1, 2.5]}
    assert loose["state"] == {"door": "open"}
    assert loose["provenance"]["mine"] == "kept"
    assert [hop["component"] for hop in loose["provenance"]["path"]] == ["injector"]
    assert (delivery.response_topic, delivery.correlation_data) == ("a/b", b"c")
    assert isinstance(msgspec.json.decode(delivery.payload, type=Request), Request)


def test_what_is_no_request_goes_to_the_dead_letters(tmp_path: Path) -> None:
    async def story(coop: Injected) -> None:
        await coop.begin()
        asker = await coop.bus("asker")
        asker.publish(coop.task().raw, b"rubbish")
        asker.publish(coop.task().raw, encode(coop.request())[:-1] + b',"odd":"\xff"}')  # a field nobody reads
        asker.publish(coop.task().raw, encode(coop.request()))
        await asyncio.sleep(1)
        assert coop.broker.waiting("injector-nest") == 0

    coop = play(tmp_path, story)
    assert len(coop.said(DeadLetter)) == 2
    assert len(coop.inputs) == 1


def test_a_full_queue_is_waited_for_and_keeps_the_order(tmp_path: Path) -> None:
    async def story(coop: Injected) -> None:
        await coop.begin(max_queued=2)
        asker = await coop.bus("asker")
        for _ in range(50):
            asker.publish(coop.task().raw, encode(coop.request()))
        await asyncio.sleep(60)
        assert coop.broker.waiting("injector-nest") == 0

    coop = play(tmp_path, story)
    numbers = [msgspec.json.decode(delivery.payload)["issued"]["seq"] for delivery in coop.inputs]
    assert numbers == list(range(1, 51))


def test_a_broken_connection_loses_no_request(tmp_path: Path) -> None:
    async def story(coop: Injected) -> None:
        await coop.begin()
        asker = await coop.bus("asker")
        for number in range(50):
            asker.publish(coop.task().raw, encode(coop.request()))
            if number % 10 == 5:
                coop.broker.cut("injector-nest")
            await asyncio.sleep(0.01)
        await asyncio.sleep(5)

    coop = play(tmp_path, story)
    assert {msgspec.json.decode(delivery.payload)["issued"]["seq"] for delivery in coop.inputs} == set(range(1, 51))


def test_the_role_says_starting_ready_and_stopped(tmp_path: Path) -> None:
    async def story(coop: Injected) -> None:
        stop = await coop.begin()
        stop.set()
        await asyncio.sleep(1)

    states = play(tmp_path, story).said(RoleState)
    assert list(dict.fromkeys(state.state for state in states)) == ["starting", "ready", "stopped"]
    assert {state.role for state in states} == {"injector-nest"}


def test_a_defect_ends_the_role_loudly(tmp_path: Path) -> None:
    async def story(coop: Injected) -> None:
        await coop.begin()
        running, _ = coop._tasks["injector"]
        coop.clock.wall_ns = broken  # type: ignore[method-assign]  # the defect
        coop._buses[0].publish(coop.task().raw, payload)
        with pytest.raises(ZeroDivisionError):
            await running

    def broken() -> int:
        raise ZeroDivisionError("a defect")

    payload = encode(Coop(tmp_path, VirtualClock()).request())
    play(tmp_path, story)


def test_a_flood_while_the_queue_is_full_is_bounded(tmp_path: Path) -> None:
    async def story(coop: Injected) -> None:
        await coop.begin(max_queued=2)
        asker = await coop.bus("asker")
        payload = encode(coop.request())
        for _ in range(3):
            for _ in range(900):
                asker.publish(coop.task().raw, payload, qos=0)  # knows no receive maximum
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.sleep(60)
        assert coop.injector.counts["dropped"] > 0
        assert coop.injector.counts["dropped"] + len(coop.inputs) == 2700

    play(tmp_path, story)


def test_a_defect_in_what_follows_an_input_ends_the_role_loudly(tmp_path: Path) -> None:
    async def story(coop: Injected) -> None:
        def stumble(role: str) -> None:
            raise ZeroDivisionError(role)

        bus = MemoryBus(coop.broker, "injector-nest")
        injector = StateInjector(
            bus, coop.task(), clock=coop.clock, node="coop-1", session=1, in_charge=stumble, role="injector-nest"
        )
        running = asyncio.ensure_future(injector.run(asyncio.Event()))
        await asyncio.sleep(0.1)
        token = Token(
            timestamp=0,
            message_id="0" * 32,
            kind="transition",
            component="injector",
            handover_id="1" * 32,
            old="injector-nest",
            new="injector-nest-b",
        )
        asker = await coop.bus("asker")
        await asker.publish(coop.task().raw, encode(token))
        with pytest.raises(ZeroDivisionError, match="injector-nest-b"):
            async with asyncio.timeout(60):
                await running

    play(tmp_path, story)

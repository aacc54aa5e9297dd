"""What the injector adds, and that everybody sees the same: the race of D2 and V9 in virtual time."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from coop import Coop, StubModel
from stories import played

from roost_broker.bus import Delivery
from roost_broker.clock import VirtualClock
from roost_broker.memory import MemoryBus
from roost_broker.messages import Event, InjectedState, Output, Request, RoleState, Score, decode, encode
from roost_rendezvous.injector.role import StateInjector
from roost_rendezvous.injector.settings import StateValue

DOOR = StateValue(topic="zigbee2mqtt/door", pointer="/contact", type="bool")
COUNTER = StateValue(topic="outside/counter", type="number", stale_after_s=60)


class Stateful(Coop):
    """A device whose injector adds values, and a reader that keeps what is on input."""

    async def begin(self, **values: StateValue) -> StateInjector:
        self.inputs: dict[str, bytes] = {}
        await self.watch("roost/coop-1/event", "roost/coop-1/roles/+", self.task().state)

        def keep(delivery: Delivery) -> None:
            message = decode(delivery.payload)
            assert isinstance(message, Request)
            self.inputs[message.request_id] = delivery.payload
            delivery.ack()

        await self.bus("decoy", {self.task().input: keep})
        self.outside = await self.bus("outside")
        injector = StateInjector(
            MemoryBus(self.broker, "injector-nest"),
            self.task(),
            clock=self.clock,
            node="coop-1",
            session=1,
            values=values,
            listening=MemoryBus(self.broker, "injector-nest-state"),
        )
        stop = asyncio.Event()
        self._tasks["injector"] = asyncio.ensure_future(injector.run(stop)), stop
        await asyncio.sleep(0.1)
        return injector

    async def asked(self, **fields: Any) -> Request:
        """Ask, and return what everybody behind the injector saw."""
        request = msgspec.structs.replace(self.request(), **fields)
        self.outside.publish(self.task().raw, encode(request))
        await asyncio.sleep(0.1)
        seen = decode(self.inputs[request.request_id])
        assert isinstance(seen, Request)
        return seen


def play(tmp_path: Path, story: Callable[[Stateful], Any]) -> Stateful:
    return played(Stateful(tmp_path, VirtualClock()), story)


def test_values_of_topics_are_added_with_their_age_and_follow_the_topic(tmp_path: Path) -> None:
    async def story(coop: Stateful) -> None:
        before = await coop.bus("sensor")
        await before.publish("zigbee2mqtt/door", b'{"contact":true}', retain=True)
        await coop.begin(door=DOOR, counter=COUNTER)
        first = await coop.asked()
        assert first.state == {"door": True}
        assert 0 <= first.state_age_ms["door"] <= 200
        coop.outside.publish("outside/counter", b"7")
        coop.outside.publish("zigbee2mqtt/door", b'{"contact":false}')
        await asyncio.sleep(30)
        second = await coop.asked()
        assert second.state == {"door": False, "counter": 7}
        assert second.state_age_ms["counter"] == second.state_age_ms["door"] == 30_000
        await asyncio.sleep(40)
        assert (await coop.asked()).state == {"door": False}, "the counter is stale"

    play(tmp_path, story)


def test_a_request_is_not_delayed_by_values_that_never_come(tmp_path: Path) -> None:
    async def story(coop: Stateful) -> None:
        await coop.begin(door=DOOR, light=StateValue(topic="nobody/here", when_stale="default", default="dim"))
        before = coop.clock.monotonic_ns()
        request = coop.request()
        coop.outside.publish(coop.task().raw, encode(request))
        while request.request_id not in coop.inputs:  # noqa: ASYNC110 - turns of the loop, without time
            await asyncio.sleep(0)
        assert coop.clock.monotonic_ns() == before
        seen = decode(coop.inputs[request.request_id])
        assert isinstance(seen, Request)
        assert (seen.state, seen.state_age_ms) == ({"light": "dim"}, {})

    play(tmp_path, story)


def test_own_names_win_over_what_a_request_brings_and_the_collision_is_counted(tmp_path: Path) -> None:
    async def story(coop: Stateful) -> None:
        injector = await coop.begin(door=DOOR, counter=COUNTER)
        coop.outside.publish("outside/counter", b"7")
        brought = {"door": "forged", "counter": -1, "moon": "full"}
        seen = await coop.asked(state=brought, state_age_ms={"door": 1, "moon": 2})
        assert seen.state == {"counter": 7, "moon": "full"}
        assert seen.state_age_ms.keys() == {"counter", "moon"}
        assert injector.counts["state-overridden"] == 2

    play(tmp_path, story)


def test_an_unreadable_value_is_an_event_and_stands_in_the_roles_state_and_the_flow_goes_on(tmp_path: Path) -> None:
    async def story(coop: Stateful) -> None:
        injector = await coop.begin(counter=COUNTER)
        for payload in (b"7", b"seven", b"\xff", b"x" * 70_000):
            coop.outside.publish("outside/counter", payload)
        assert (await coop.asked()).state == {"counter": 7}
        await asyncio.sleep(6)
        assert injector.counts["state-unreadable"] == 3

    coop = play(tmp_path, story)
    [event] = coop.said(Event)
    assert (event.kind, event.data["name"]) == ("state-unreadable", "counter")
    assert "seven" in event.detail
    assert any("counter is unreadable (70000 bytes" in state.detail for state in coop.said(RoleState))


def test_what_would_be_added_now_is_retained_for_people(tmp_path: Path) -> None:
    async def story(coop: Stateful) -> None:
        await coop.begin(door=DOOR, counter=COUNTER)
        coop.outside.publish("outside/counter", b"7")
        await asyncio.sleep(6.1)

    summary = play(tmp_path, story).said(InjectedState)[-1]
    assert summary.values["counter"].value == 7
    assert 5_000 < (summary.values["counter"].age_ms or 0) <= 6_100
    assert (summary.values["door"].condition, summary.values["door"].value) == ("missing", None)
    assert summary.values["door"].source == "topic zigbee2mqtt/door"


def test_computed_values_need_a_clock_that_is_set(tmp_path: Path) -> None:
    light = StateValue(computed="daylight", latitude=52.5, longitude=13.4)

    async def story(coop: Stateful) -> None:
        coop.clock.step_wall(-coop.clock.wall_ns())
        await coop.begin(light=light)
        assert (await coop.asked()).state == {}
        coop.clock.step_wall(1_734_782_400 * 10**9 + 86_400 * 365 * 10**9)  # a noon in December
        assert (await coop.asked()).state == {"light": "day"}

    play(tmp_path, story)


def test_a_request_without_room_for_the_state_is_passed_on_without_it(tmp_path: Path) -> None:
    async def story(coop: Stateful) -> None:
        injector = await coop.begin(counter=COUNTER, word=StateValue(topic="outside/word", max_bytes=10_000))
        coop.outside.publish("outside/word", b"w" * 9_000)
        await asyncio.sleep(0.1)
        tags = {f"t{number}": "x" * 1000 for number in range(95)}
        assert (await coop.asked(tags=tags)).state == {}
        assert injector.counts["state-no-room"] == 1
        assert (await coop.asked()).state == {"word": "w" * 9_000}

    play(tmp_path, story)


def test_a_request_asked_again_has_the_same_bytes_although_the_world_has_changed(tmp_path: Path) -> None:
    async def story(coop: Stateful) -> None:
        await coop.begin(counter=COUNTER)
        seen: list[bytes] = []

        def keep(delivery: Delivery) -> None:
            seen.append(delivery.payload)
            delivery.ack()

        await coop.bus("reader", {coop.task().input: keep})
        request = encode(coop.request())
        for number in range(3):
            coop.outside.publish("outside/counter", b"%d" % number)
            await asyncio.sleep(1)
            coop.outside.publish(coop.task().raw, request)
            await asyncio.sleep(1)
        assert len(seen) == 3
        assert len(set(seen)) == 1

    play(tmp_path, story)


def test_whatever_changes_while_models_compute_each_used_the_state_that_is_archived(tmp_path: Path) -> None:
    """D2, V9: the value changes between requests, between request and model, and while each model computes."""
    used: defaultdict[str, dict[str, tuple[object, str]]] = defaultdict(dict)

    def reads_then_thinks(delay_ms: int) -> Callable[[StubModel, Request], None]:
        def behave(model: StubModel, request: Request) -> None:
            asyncio.get_running_loop().call_later(delay_ms / 1000, answer, model, request)

        def answer(model: StubModel, request: Request) -> None:  # what it uses is what it has been given
            used[request.request_id][model.name] = (request.state, digests[model.name][request.request_id])
            outputs = [Output(label=str(request.state["counter"]), score=1.0)]
            wall = model.coop.clock.wall_ns()
            score = Score(
                timestamp=wall // 1_000_000,
                message_id=request.message_id,
                request_id=request.request_id,
                model=model.name,
                version="1",
                outputs=outputs,
            )
            model.bus.publish(model.topics.scores(model.name), encode(score))

        return behave

    digests: defaultdict[str, dict[str, str]] = defaultdict(dict)

    class Digesting(StubModel):
        def arrived(self, delivery: Delivery) -> None:
            message = decode(delivery.payload)
            assert isinstance(message, Request)
            digests[self.name][message.request_id] = hashlib.sha256(delivery.payload).hexdigest()
            super().arrived(delivery)

    async def story(coop: Stateful) -> None:
        await coop.begin(counter=COUNTER)
        coop.outside.publish("outside/counter", b"0")
        models = [Digesting(coop, name, "nest", reads_then_thinks(ms)) for name, ms in (("a", 0), ("b", 7), ("c", 900))]
        for model in models:
            model.bus = await coop.bus(f"model-nest-{model.name}", {coop.task().input: model.arrived})
        changer = await coop.bus("changer")

        async def change() -> None:
            for number in range(1, 3000):
                changer.publish("outside/counter", b"%d" % number)
                await asyncio.sleep(0.0007)

        changing = asyncio.ensure_future(change())
        for _ in range(1000):
            coop.outside.publish(coop.task().raw, encode(coop.request()))
            await asyncio.sleep(0.002)
        await changing
        await asyncio.sleep(2)
        assert len(coop.inputs) == 1000
        for request_id, payload in coop.inputs.items():
            archived = decode(payload)
            assert isinstance(archived, Request)
            digest = hashlib.sha256(payload).hexdigest()
            assert used[request_id] == dict.fromkeys("abc", (archived.state, digest))
        values = {request["state"]["counter"] for request in map(msgspec.json.decode, coop.inputs.values())}
        assert len(values) > 900, "the value did change all the time"

    play(tmp_path, story)

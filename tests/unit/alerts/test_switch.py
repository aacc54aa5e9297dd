"""A switch of a camera on the memory bus."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roost_broker.clock import SystemClock
from roost_broker.deadletter import DeadLetters
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import DeadLetter, SwitchState, decode
from roost_broker.topics import NodeTopics
from roost_edge.switches.switch import ALERTS, Switch, read, read_order

NODE = NodeTopics("coop-1")
NEST = NODE.camera("nest")
CLOCK = SystemClock()


@pytest.mark.parametrize(
    ("payload", "on"),
    [
        (b"on", True),
        (b" OFF\n", False),
        (b'{"state": "ON"}', True),
        (b'{"state":"off","transition":3}', False),
        (b"toggle", None),
        (b"", None),
        (b"1", None),
        (b"\xff\xfe", None),
        (b'{"state": 1}', None),
        (b"{" * 900, None),
        (b"on" + b" " * 1_000, None),
    ],
)
def test_an_order_is_one_word(payload: bytes, on: bool | None) -> None:
    assert read_order(payload) is on


class Scene:
    """A switch, and somebody who turns it."""

    def __init__(self, file: Path) -> None:
        self.broker = MemoryBroker()
        self.bus, self.person = MemoryBus(self.broker, "alerts"), MemoryBus(self.broker, "person")
        letters = DeadLetters(self.bus, NODE.deadletter, "alerts", CLOCK, node=NODE.node)
        self.switch = Switch(self.bus, NEST, ALERTS, file, role="alerts", clock=CLOCK, letters=letters)
        self.heard: list[Any] = []
        self.news = asyncio.Event()
        self.switch.listen()
        self.person.subscribe("roost/#", self._hear)

    def _hear(self, delivery: Any) -> None:
        if not delivery.topic.endswith("/set"):
            self.heard.append(decode(delivery.payload))
        self.news.set()
        delivery.ack()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.news.clear()
            await self.news.wait()

    @property
    def states(self) -> list[str]:
        return [one.state for one in self.heard if isinstance(one, SwitchState)]

    async def __aenter__(self) -> "Scene":
        await self.bus.start()
        await self.person.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.person.stop()
        await self.bus.stop()


def test_a_switch_is_turned_told_and_left_as_it_was_for_the_next_process(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "switches" / "nest.alerts.json"

    async def main() -> None:
        async with Scene(file) as scene:
            await scene.until(lambda: scene.states == ["on"])
            for order in (b"off", b"off", b'{"state":"on"}', b"off"):
                scene.person.publish(NEST.switch_set(ALERTS), order)
            await scene.until(lambda: scene.states == ["on", "off", "off", "on", "off"])
            assert not scene.switch.on
        async with Scene(file) as scene:
            await scene.until(lambda: scene.states == ["off"])

    run(main())
    assert read(file) is False


def test_what_is_no_order_is_put_aside_and_a_retained_one_is_nobodys(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        scene = Scene(tmp_path / "s.json")
        await scene.person.start()
        await scene.person.publish(NEST.switch_set(ALERTS), b"off", retain=True)
        await scene.bus.start()
        scene.person.publish(NEST.switch_set(ALERTS), b"explode")
        await scene.until(lambda: any(isinstance(one, DeadLetter) for one in scene.heard))
        assert scene.switch.on
        assert scene.switch.counts == {"retained": 1, "malformed": 1}
        await scene.bus.stop()
        await scene.person.stop()

    run(main())


def test_an_order_that_cannot_be_kept_is_not_obeyed_and_stays_with_the_broker(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "folder" / "s.json"
    file.parent.write_text("a file where a folder should be", encoding="utf-8")

    async def main() -> None:
        async with Scene(file) as scene:
            scene.person.publish(NEST.switch_set(ALERTS), b"off")
            while not scene.switch.counts["not-kept"]:
                await asyncio.to_thread(lambda: None)
            assert scene.switch.on
            await scene.bus.stop()
            file.parent.unlink()
            again = MemoryBus(scene.broker, "alerts")
            letters = DeadLetters(again, NODE.deadletter, "alerts", CLOCK, node=NODE.node)
            switch = Switch(again, NEST, ALERTS, file, role="alerts", clock=CLOCK, letters=letters)
            switch.listen()
            await again.start()
            await scene.until(lambda: scene.states[-1:] == ["off"])
            await again.stop()

    run(main())


@pytest.mark.parametrize("text", ["", "{", '{"on": 1}', '{"off": true}'])
def test_a_file_that_cannot_be_read_is_a_switch_that_nobody_turned(tmp_path: Path, text: str) -> None:
    file = tmp_path / "s.json"
    file.write_text(text, encoding="utf-8")
    assert read(file) is True

"""When the device announces itself."""

import asyncio
from collections.abc import Callable
from typing import Any

from roost_broker.clock import SECOND, VirtualClock
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_edge.discovery.announcer import DiscoveryAnnouncer
from roost_edge.discovery.settings import DiscoverySettings

TOPIC = "homeassistant/device/roost-coop-1/config"


class Scene:
    """A device and a Home Assistant on one broker; time stands still unless it is told."""

    def __init__(self, **settings: Any) -> None:
        self.broker, self.clock = MemoryBroker(), VirtualClock()
        self.device, self.home = MemoryBus(self.broker, "device"), MemoryBus(self.broker, "home")
        wish = DiscoverySettings(jitter_s=10, **settings)
        self.announcer = DiscoveryAnnouncer(self.device, TOPIC, b"{}", wish, clock=self.clock, spread=lambda: 0.25)
        self.woken = asyncio.Event()
        self.announcer.listen(self.woken.set)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Give others their turns: nobody says on a bus that the broker has kept something."""
        while not condition():
            await asyncio.to_thread(lambda: None)

    async def born(self, payload: bytes = b"online", *, retain: bool = False) -> None:
        await self.home.publish("homeassistant/status", payload, retain=retain)


def test_the_document_is_retained_and_comes_anew_when_the_broker_forgot_it(run: Any) -> None:
    async def main() -> None:
        scene = Scene()
        await scene.device.start()
        for _ in range(2):
            await scene.until(lambda: scene.broker.retained(TOPIC) == b"{}")
            scene.broker.stop()
            scene.broker.start(forget=True)
        assert scene.announcer.counts["announced"] >= 2
        await scene.device.stop()

    run(main())


def test_after_a_birth_it_is_announced_within_the_jitter_and_once(run: Any) -> None:
    async def main() -> None:
        scene = Scene()
        await scene.device.start()
        await scene.home.start()
        await scene.born()
        await scene.woken.wait()
        await scene.born()
        due = scene.announcer.deadline()
        assert due == scene.clock.monotonic_ns() + 2_500_000_000
        scene.announcer.expire(due - 1)
        assert scene.announcer.counts["announced"] == 1
        scene.announcer.expire(due)
        scene.announcer.expire(due + SECOND)
        assert (scene.announcer.counts["announced"], scene.announcer.deadline()) == (2, None)
        await scene.home.stop()
        await scene.device.stop()

    run(main())


def test_a_retained_birth_and_a_death_are_no_birth(run: Any) -> None:
    async def main() -> None:
        scene = Scene()
        await scene.home.start()
        await scene.born(retain=True)
        await scene.device.start()
        await scene.born(b"offline")
        await scene.until(lambda: scene.announcer.counts["birth-ignored"] == 2)
        assert scene.announcer.deadline() is None
        await scene.home.stop()
        await scene.device.stop()

    run(main())


def test_switched_off_it_takes_back_what_was_announced(run: Any) -> None:
    async def main() -> None:
        scene = Scene(enabled=False)
        await scene.home.start()
        await scene.home.publish(TOPIC, b"{}", retain=True)
        await scene.device.start()
        await scene.until(lambda: not scene.broker.retained(TOPIC))
        await scene.home.stop()
        await scene.device.stop()

    run(main())

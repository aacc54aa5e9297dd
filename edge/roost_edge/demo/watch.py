"""The demo's eyes: a plain subscriber to all topics of the device, as any stranger's would be."""

import asyncio
from collections.abc import Callable

from roost_broker.bus import Bus, Delivery
from roost_broker.topics import NodeTopics
from roost_edge.demo.view_model import ViewModel


class Watcher:
    """Feeds a view model. `bus` is not started; whoever made it stops it."""

    def __init__(self, bus: Bus, device: NodeTopics, view: ViewModel) -> None:
        self.view = view
        self._news = asyncio.Event()
        bus.subscribe(f"{device.root}/#", self._take)

    async def until(self, condition: Callable[[], bool], *, timeout_s: float) -> bool:
        """Wait for something to be so; False when it was not in time. Looked at on every message, and now and then."""
        end = asyncio.get_running_loop().time() + timeout_s
        while not condition():
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            self._news.clear()
            try:
                async with asyncio.timeout(min(left, 0.25)):
                    await self._news.wait()
            except TimeoutError:
                continue
        return True

    def _take(self, delivery: Delivery) -> None:
        self.view.take(delivery.topic, delivery.payload)
        delivery.ack()
        self._news.set()

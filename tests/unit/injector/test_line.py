"""What waits for room when the connection is lost."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from roost_broker.bus import Delivery
from roost_broker.errors import Misuse
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_rendezvous.injector.line import Line, Outgoing

Run = Callable[..., Any]


def test_after_a_lost_connection_only_what_does_not_come_again_still_waits(run: Run) -> None:
    async def story() -> None:
        broker = MemoryBroker()
        bus = MemoryBus(broker, "injector", max_queued=1)
        reader = MemoryBus(broker, "reader")
        seen: list[bytes] = []
        acknowledged: list[bytes] = []
        everything = asyncio.Event()

        def keep(delivery: Delivery) -> None:
            seen.append(delivery.payload)
            delivery.ack()
            if len(seen) == 2:
                everything.set()

        reader.subscribe("input", keep)
        await reader.start()
        await bus.start()
        taken: list[Outgoing] = []
        defects: list[Exception] = []
        line = Line(
            bus,
            "input",
            Counter(),
            taken=taken.append,
            refused=lambda delivery, why: None,
            defect=defects.append,
        )
        line.add(Outgoing(Delivery("raw", b""), b"sent"))
        line.add(Outgoing(Delivery("raw", b"", _ack=lambda: acknowledged.append(b"again")), b"comes again"))
        line.add(Outgoing(Delivery("raw", b""), b"known only here"))
        line.lost()
        line.resume()
        await everything.wait()
        assert seen == [b"sent", b"known only here"]
        assert [item.payload for item in taken] == seen
        assert acknowledged == []
        assert defects == []
        line.close()
        await bus.stop()
        await reader.stop()

    run(story())


def test_a_defect_in_what_follows_a_publication_is_told(run: Run) -> None:
    async def story() -> None:
        told: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

        def stumble(_: Outgoing) -> None:
            raise ZeroDivisionError

        bus = MemoryBus(MemoryBroker(), "injector")
        await bus.start()
        line = Line(bus, "input", Counter(), taken=stumble, refused=lambda delivery, why: None, defect=told.set_result)
        line.add(Outgoing(Delivery("raw", b""), b"sent"))
        assert isinstance(await told, ZeroDivisionError)
        line.close()
        await bus.stop()

    run(story())


def test_a_defect_when_sending_is_tried_again_is_told(run: Run) -> None:
    async def story() -> None:
        told: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        bus = MemoryBus(MemoryBroker(), "injector", max_queued=1)
        line = Line(
            bus,
            "input",
            Counter(),
            taken=lambda item: None,
            refused=lambda delivery, why: None,
            defect=told.set_result,
        )
        line.add(Outgoing(Delivery("raw", b""), b"fills the queue, for the bus was not started"))
        line.add(Outgoing(Delivery("raw", b""), b"waits"))
        await bus.stop()  # from here on publishing is misuse
        assert isinstance(await told, Misuse)
        line.close()

    run(story())

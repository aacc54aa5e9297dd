"""The rendezvous server in virtual time: addresses, requesters, clocks and messages that are not a device's own."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from coop import BOOT, Coop, after
from stories import Story, ask

from roost_broker.messages import DeadLetter, Event, encode


@pytest.mark.parametrize(
    "address",
    [
        "roost/coop-1/nest/input",
        "roost/coop-1/nest/schedule",
        "roost/coop-1/nest/results/#",
        "roost/coop-1/nest/results/+",
        "elsewhere/coop-1/nest/results/door",
        "roost/../nest/results/door",
        "$SYS/coop-1/nest/results/door",
        "roost/results/door",
    ],
)
def test_a_return_address_outside_the_results_is_refused_and_dead_lettered(
    play: Callable[[Story], Coop], address: str
) -> None:
    async def story(coop: Coop) -> None:
        server = await coop.server()
        request = coop.request(return_address=address)
        await coop._buses[0].publish(coop.task().input, encode(request))
        await asyncio.sleep(3)
        assert server.counts["dead-letters"] == 1
        assert coop.broker.waiting("rendezvous-nest") == 0

    coop = play(story)
    assert not coop.results()
    [letter] = coop.said(DeadLetter)
    assert "return address" in letter.reason


def test_a_requester_from_outside_gets_its_correlation_data_back(play: Callable[[Story], Coop]) -> None:
    got: list[tuple[str, bytes | None]] = []

    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.model("champion", after(20))

        def keep(delivery: Any) -> None:
            got.append((delivery.topic, delivery.correlation_data))
            delivery.ack()

        await coop.bus("outsider", {"roost/coop-1/nest/response/+": keep})
        request = coop.request()
        await coop._buses[0].publish(
            coop.task().input,
            encode(request),
            response_topic="roost/coop-1/nest/response/outsider",
            correlation_data=b"\x00 mine",
        )
        await asyncio.sleep(1)
        await coop._buses[0].publish(coop.task().input, encode(request))
        await asyncio.sleep(1)

    coop = play(story)
    assert got == [("roost/coop-1/nest/response/outsider", b"\x00 mine")] * 2, "the repeated one from the journal"
    assert [topic for topic, _ in coop.bytes_seen if topic.endswith("/results/door")]


def test_what_cannot_be_read_goes_to_the_dead_letters_and_disturbs_nobody(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        server = await coop.server()
        await coop.model("champion", after(20))
        bus = coop._buses[0]
        for topic in (coop.task().input, coop.task().scores("x"), coop.task().model_state("x")):
            for payload in (b"rubbish", b"[" * 50_000, encode(Event(timestamp=1, message_id="a" * 32, kind="odd"))):
                bus.publish(topic, payload)
        await ask(coop, coop.request())
        await asyncio.sleep(1)
        assert server.counts["dead-letters"] == 9
        assert coop.broker.waiting("rendezvous-nest") == 0

    coop = play(story)
    assert coop.only_result().cause == "preferred"
    assert len(coop.said(DeadLetter)) == 9


def test_the_boot_of_another_machine_is_not_compared(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.model("champion", after(20))
        request = coop.request(issued_ns=1)
        assert request.issued is not None
        foreign = msgspec.structs.replace(request.issued, boot="f" * 32)
        await ask(coop, msgspec.structs.replace(request, issued=foreign))
        await asyncio.sleep(3)

    result = play(story).only_result()
    assert (result.late, result.cause) == (False, "preferred")
    assert result.elapsed_ms < 100
    assert BOOT != "f" * 32


def test_a_cleared_state_of_something_that_is_no_model_goes_to_the_dead_letters(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        server = await coop.server()
        await coop._buses[0].publish("roost/coop-1/nest/models/no model at all/state", b"")
        await coop._buses[0].publish(coop.task().model_state("old"), b"")
        await asyncio.sleep(1)
        assert server.counts["dead-letters"] == 1

    [letter] = play(story).said(DeadLetter)
    assert "no model at all" in letter.reason

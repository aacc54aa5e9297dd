"""The rendezvous server in virtual time: it, or the broker, dies and returns, and no answer is lost or changed."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from coop import Coop, after
from stories import Story, ask

from roost_broker.clock import SECOND


def test_a_killed_server_returns_and_no_request_is_lost_or_answered_with_two_tongues(
    play: Callable[[Story], Coop],
) -> None:
    sent: list[str] = []

    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.model("champion", after(120))
        await coop.model("fast", after(5))
        for number in range(60):
            request = coop.request()
            sent.append(request.request_id)
            await ask(coop, request)
            await asyncio.sleep(0.03)
            if number in (20, 40):
                await coop.kill_server()
                await asyncio.sleep(0.2)
                await coop.server(session=number)
        await asyncio.sleep(3)

    coop = play(story)
    results = coop.results()
    assert set(results) == set(sent)
    for given in results.values():
        assert len({result.message_id for _, result in given}) == 1
        assert given[0][1].cause in ("preferred", "fallback"), "scores held with the broker came again"


def test_a_request_repeated_after_a_restart_gets_the_same_bytes(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.model("champion", after(20))
        request = coop.request()
        await ask(coop, request)
        await asyncio.sleep(1)
        await ask(coop, request)
        await asyncio.sleep(1)
        await coop.stop_server()
        await coop.server(session=2)
        await ask(coop, request)
        await asyncio.sleep(1)

    coop = play(story)
    payloads = [payload for topic, payload in coop.bytes_seen if topic.endswith("/results/door")]
    assert len(payloads) == 3
    assert len(set(payloads)) == 1


def test_a_request_from_before_an_outage_is_answered_and_says_late(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.model("champion", after(20))
        await ask(coop, coop.request(issued_ns=coop.clock.monotonic_ns() - 60 * SECOND))
        await asyncio.sleep(3)

    result = play(story).only_result()
    assert (result.late, result.cause) == (True, "preferred")
    assert result.elapsed_ms > 60_000


def test_a_long_outage_of_the_broker_loses_no_answer(play: Callable[[Story], Coop]) -> None:
    sent: list[str] = []

    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.model("champion", after(50))
        for _ in range(5):
            request = coop.request()
            sent.append(request.request_id)
            await ask(coop, request)
        await asyncio.sleep(0.02)
        coop.broker.stop()
        await asyncio.sleep(10)
        coop.broker.start()
        await asyncio.sleep(3)

    coop = play(story)
    results = coop.results()
    assert set(results) == set(sent)
    assert all(len({result.message_id for _, result in given}) == 1 for given in results.values())


def test_a_defect_ends_the_role_loudly(play: Callable[[Story], Coop], tmp_path: Path) -> None:
    async def story(coop: Coop) -> None:
        server = await coop.server()
        running, _ = coop._tasks.pop("rendezvous-nest")

        def broken(*_: object) -> None:
            raise ZeroDivisionError("a defect")

        assert server._desk.core is not None
        server._desk.core.handle = broken  # type: ignore[method-assign,assignment]  # the defect
        await ask(coop, coop.request())
        with pytest.raises(ZeroDivisionError):
            await running

    play(story)


def test_a_repeated_request_whose_answer_is_lost_is_answered_anew(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        server = await coop.server(journal_bytes=100_000)
        await coop.model("champion", after(20))
        first = coop.request()
        await ask(coop, first)
        for _ in range(400):  # more bytes than the journal keeps, fewer answers than are remembered
            await ask(coop, coop.request())
        await asyncio.sleep(1)
        await ask(coop, first)
        await asyncio.sleep(1)
        assert server.counts["repeated-request-forgotten"] == 1
        assert coop.broker.waiting("rendezvous-nest") == 0
        assert len(coop.results()[first.request_id]) == 2

    play(story)


def test_results_that_found_the_queue_full_leave_as_soon_as_there_is_room(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server(max_queued=2)
        for _ in range(60):  # their defaults are all due at one moment
            await ask(coop, coop.request(issued_ns=begin))
        await asyncio.sleep(10)

    begin = 5000 * SECOND
    coop = play(story)
    given = [at for [(at, _)] in coop.results().values()]
    assert len(given) == 60
    assert max(given) - begin <= 2 * SECOND, "the SLA"

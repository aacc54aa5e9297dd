"""A cancellation always arrives, in whatever moment it comes."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from roost_broker.cancellation import cancel_and_wait, within

Run: TypeAlias = Callable[..., Any]
TURNS = range(6)
"""Turns of the event loop between what is waited for and the cancellation; wait_for() of 3.11 loses it at up to two."""


@pytest.mark.parametrize("turns", TURNS)
def test_a_cancellation_beside_what_is_waited_for_is_not_lost(turns: int, run: Run) -> None:
    async def story() -> bool:
        news, never = asyncio.Event(), asyncio.Event()

        async def reader() -> None:
            await within(news.wait(), 60)
            await never.wait()

        reading = asyncio.ensure_future(reader())
        await asyncio.sleep(0)
        news.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait({reading}, timeout=10)
        lost = not reading.done()
        never.set()
        return lost

    assert not run(story())


@pytest.mark.parametrize("turns", TURNS)
def test_nothing_is_lost_of_a_queue_whose_reader_runs_out_of_time(turns: int, run: Run) -> None:
    async def story() -> list[int]:
        queue = asyncio.Queue[int]()
        got = []
        for number in range(3):
            reading = asyncio.ensure_future(within(queue.get(), 60))
            await asyncio.sleep(0)
            queue.put_nowait(number)
            for _ in range(turns):
                await asyncio.sleep(0)
            reading.cancel()
            [told] = await asyncio.gather(reading, return_exceptions=True)
            if isinstance(told, int):
                got.append(told)
        while not queue.empty():
            got.append(queue.get_nowait())
        return got

    assert run(story()) == [0, 1, 2]


def test_too_late_is_said(run: Run) -> None:
    with pytest.raises(TimeoutError):
        run(within(asyncio.Event().wait(), 0))


def test_without_a_bound_it_waits(run: Run) -> None:
    assert run(within(asyncio.sleep(0, "done"), None)) == "done"


def test_who_loses_its_cancellation_is_cancelled_again(run: Run) -> None:
    async def story() -> list[str]:
        seen: list[str] = []

        async def forgetful() -> None:
            while len(seen) < 3:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    seen.append("lost")

        async def defective() -> None:
            raise ValueError

        tasks = asyncio.ensure_future(forgetful()), asyncio.ensure_future(defective())
        await asyncio.sleep(0)
        await cancel_and_wait(*tasks, again_s=0)
        return seen

    assert run(story()) == ["lost"] * 3


def test_nobody_to_end_is_no_matter(run: Run) -> None:
    run(cancel_and_wait())

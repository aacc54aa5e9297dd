"""Follows a roll-out until it is over: reports in, ticks, nudges, markers, and somebody who is shown how it stands."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from roost_broker.cancellation import cancel_and_wait, within
from roost_broker.errors import RoostError
from roost_models.rollout.conducting import Conducting
from roost_models.rollout.sources import Heard, Source

_TICK_S = 0.5


async def watch(
    conducting: Conducting,
    source: Source,
    stop: asyncio.Event,
    *,
    shown: Callable[[Conducting], None] = lambda _conducting: None,
    say: Callable[[str], None] = lambda _text: None,
    tick_s: float = _TICK_S,
) -> None:
    """Until it is finished (see `Controller.finished`) or `stop`. Raises what the source raises when it is lost."""
    async with source as connected:
        complaint = ""
        reading = asyncio.ensure_future(_read(conducting, connected.heard()))
        try:
            conducting.resume()
            while not stop.is_set():
                conducting.tick()
                if conducting.to_nudge:
                    conducting.to_nudge = False
                    await _nudge(conducting, connected, say)
                complaint = await _tell(conducting, connected, say, complaint)
                shown(conducting)
                if conducting.controller.finished:
                    return
                if reading.done():
                    reading.result()  # raises why
                    return
                with suppress(TimeoutError):
                    await within(stop.wait(), tick_s)
        finally:
            await cancel_and_wait(reading)


async def _read(conducting: Conducting, reports: AsyncIterator[Heard]) -> None:
    async for heard in reports:
        if heard.is_report:
            conducting.report(heard.payload, heard.node)


async def _nudge(conducting: Conducting, source: Source, say: Callable[[str], None]) -> None:
    nodes = sorted(node for node, _ in conducting.controller.fleet.nodes())
    try:
        await source.nudge(nodes)
    except (RoostError, OSError) as error:  # they look by themselves, only later
        say(f"Devices could not be asked to look: {error}")


async def _tell(conducting: Conducting, source: Source, say: Callable[[str], None], complaint: str) -> str:
    """Let markers stand on the fleet's topics; returns what keeps them from it, which is said once."""
    try:
        for place, marker in conducting.untold():
            await source.tell(place, marker)
            conducting.was_told(place)
    except (RoostError, OSError) as error:  # the next turn tries again, and the next one that watches
        if str(error) != complaint:
            say(f"A marker could not be published yet: {error}")
        return str(error)
    return ""


async def gather(source: Source, seconds: float) -> list[Heard]:
    """The newest of each topic, as far as it comes within so many seconds."""
    found: dict[str, Heard] = {}

    async def read() -> None:
        async for heard in connected.heard():
            found[heard.topic] = heard

    async with source as connected:
        with suppress(TimeoutError):
            await within(read(), seconds)
    return list(found.values())

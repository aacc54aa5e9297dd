"""Waiting for a broker that is not there yet, and being told to stop meanwhile."""

import asyncio

from roost_broker.bus import Bus


async def started_before(bus: Bus, stop: asyncio.Event) -> bool:
    """Start the bus; False when `stop` was set first. Raises what the broker refused us for."""
    starting, stopping = asyncio.ensure_future(bus.start()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            return True
        return False
    finally:
        starting.cancel()
        stopping.cancel()

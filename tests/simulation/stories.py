"""Stories of a device, told in virtual time."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from coop import Coop
from virtual_loop import simulate

from roost_broker.clock import SECOND, VirtualClock
from roost_broker.messages import Request, encode

Story = Callable[[Coop], Coroutine[Any, Any, None]]


def run_story(folder: Path, story: Story) -> Coop:
    """Play `story` to its end on a fresh device in `folder`; everything said on it is kept."""
    clock = VirtualClock(monotonic_ns=5000 * SECOND)
    coop = Coop(folder, clock)

    async def whole() -> None:
        await coop.watch("roost/#")
        try:
            await story(coop)
        finally:
            await coop.close()

    simulate(whole(), clock)
    return coop


async def ask(coop: Coop, request: Request) -> None:
    bus = coop._buses[0]
    await bus.publish(f"roost/coop-1/{request.return_address.split('/')[2]}/input", encode(request))

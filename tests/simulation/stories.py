"""Stories of a device, told in virtual time."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from coop import Coop
from virtual_loop import simulate

from roost_broker.clock import SECOND, VirtualClock
from roost_broker.messages import Request, encode

Story = Callable[[Coop], Coroutine[Any, Any, None]]
C = TypeVar("C", bound=Coop)


def run_story(folder: Path, story: Story) -> Coop:
    """Play `story` to its end on a fresh device in `folder`; everything said on it is kept."""
    clock = VirtualClock(monotonic_ns=5000 * SECOND)

    async def watched(coop: Coop) -> None:
        await coop.watch("roost/#")
        await story(coop)

    return played(Coop(folder, clock), watched)


def played(coop: C, story: Callable[[C], Coroutine[Any, Any, object]]) -> C:
    """Play `story` on a device of any kind, in its virtual time, and close the device at the end."""

    async def whole() -> None:
        try:
            await story(coop)
        finally:
            await coop.close()

    simulate(whole(), coop.clock)
    return coop


async def ask(coop: Coop, request: Request) -> None:
    bus = coop._buses[0]
    await bus.publish(f"roost/coop-1/{request.return_address.split('/')[2]}/input", encode(request))

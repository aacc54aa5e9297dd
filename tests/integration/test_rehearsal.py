"""The book's figures 7-2 and 7-3 through the real flow: a label learnt wrongly, a camera smeared or turned: who was it?

Four days of pictures go through injector, models and rendezvous past the monitor, which learns what is usual. Each
story begins with what it then knew. The world is a heap of pictures, out of which one is taken by chance each time, in
the stories as in the days before: so nothing changes but what the story changes.
"""

import asyncio
import random
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from rehearsal_models import Heap, rendered
from rehearsal_world import Henhouse, days, henhouse, taken

from roost_broker.clock import VirtualClock
from roost_broker.frames import FrameStore
from roost_broker.messages import Alarm
from roost_broker.mosquitto import PrivateBroker
from roost_edge.sources.faults import CameraFault

pytestmark = [pytest.mark.broker, pytest.mark.processes]
HISTORY = 1_400
BEFORE, AFTER = 10, 60


class Learnt(NamedTuple):
    """A device after days in which nothing happened. Its champion is the one that was trained wrongly."""

    heap: Heap
    folder: Path
    monotonic_ns: int
    wall_ns: int


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Learnt:
    """Once for all stories."""
    folder = tmp_path_factory.mktemp("learnt")
    heap = rendered(folder)
    pictures = taken(heap.folders, FrameStore(folder / "frames"))
    clock, chance = VirtualClock(monotonic_ns=10**15), random.Random(1)

    async def main() -> None:
        async with henhouse(folder, broker, clock, heap.wrong, heap.canary) as house:
            await days(house, pictures, HISTORY, chance)
            while house.open:  # by chance, as often as the budget says: it ends by itself
                await days(house, pictures, 10, chance)
            await house.rest()

    with PrivateBroker(folder / "mosquitto") as broker:
        asyncio.run(main())
    return Learnt(heap, folder, clock.monotonic_ns(), clock.wall_ns())


def told(
    learnt: Learnt,
    folder: Path,
    broker: PrivateBroker,
    change: Callable[[Henhouse], Awaitable[None]],
    *faults: CameraFault,
) -> Alarm | None:
    """The alarm that followed the change; beforehand there is none."""
    shutil.copytree(learnt.folder / "analytics", folder / "analytics")
    clock, heap = VirtualClock(learnt.monotonic_ns, learnt.wall_ns), learnt.heap
    store = FrameStore(folder / "frames")
    plain, after = taken(heap.folders, store), taken(heap.folders, store, *faults)
    chance = random.Random(5)

    async def main() -> Alarm | None:
        async with henhouse(folder, broker, clock, heap.wrong, heap.canary) as house:
            await days(house, plain, BEFORE, chance)
            assert house.opened == []
            await change(house)
            await days(house, after, AFTER, chance, until_alarm=True)
            await house.rest()
            return house.opened[0] if house.opened else None

    return asyncio.run(main())


async def nothing(house: Henhouse) -> None:
    """The models stay as they are."""


def test_a_corrected_model_is_told_as_the_model_and_named_first(
    learnt: Learnt, tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def correct(house: Henhouse) -> None:
        await house.end("champion")
        await house.start_model("champion", learnt.heap.right)

    alarm = told(learnt, tmp_path, own_mosquitto, correct)
    assert alarm is not None
    assert alarm.alarm.verdict == "model", alarm.alarm.reasons
    assert alarm.alarm.signals[0].about == "champion"
    assert any("champion 1.1.0 speaks" in marker.text for marker in alarm.alarm.markers)


@pytest.mark.parametrize(
    "fault",
    [CameraFault(kind="blur", blur=0.03), CameraFault(kind="turn", turn_deg=35.0)],
    ids=["smeared", "turned"],
)
def test_a_camera_that_sees_otherwise_is_told_as_the_camera_or_the_world(
    learnt: Learnt, tmp_path: Path, own_mosquitto: PrivateBroker, fault: CameraFault
) -> None:
    alarm = told(learnt, tmp_path, own_mosquitto, nothing, fault)
    assert alarm is not None
    assert alarm.alarm.verdict in ("camera", "world"), alarm.alarm.reasons


def test_nobody_is_called_while_nothing_happens(learnt: Learnt, tmp_path: Path, own_mosquitto: PrivateBroker) -> None:
    assert told(learnt, tmp_path, own_mosquitto, nothing) is None

"""A monitor that finds a long journal: ready at once, told to end at any moment, and its bounds."""

import asyncio
from pathlib import Path

from monitor_world import NEST, World

from roost_broker.clock import SECOND, SystemClock, boot_id
from roost_broker.ids import new_id
from roost_broker.messages import Alarms, RoleState
from roost_broker.tracing import Tracer, span
from roost_rendezvous.analytics.watch.observed import Traced, pack
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.monitor.journal import Head, Journal, rows_of, unpacked
from roost_rendezvous.monitor.role import Monitor

LONG = 1_500
BEGIN = (SystemClock().wall_ns() // SECOND - LONG - 60) * SECOND


def left_behind(folder: Path, count: int = LONG) -> None:
    """A journal without a save: one observation a second, with a look each."""
    journal = Journal(folder / "journal.db")
    observed = [
        Traced(BEGIN + n * SECOND, f"{n}", "nest", f"{n}", "decoy", {"write": float(n % 7)}) for n in range(count)
    ]
    journal.write([pack(one) for one in observed], [], {"reached": BEGIN + (count - 1) * SECOND})
    journal.close()


def found(folder: Path) -> tuple[Head, list[int], int]:
    """How a journal stands, the numbers in it, and how far the time of its save has come."""
    journal = Journal(folder / "journal.db")
    head, saved = journal.head(), journal.saved()
    numbers = [number for number, _ in journal.page(0, head.newest, 10 * LONG)]
    journal.close()
    return head, numbers, unpacked(saved)["core"]["now"] if saved is not None else 0


async def in_the_middle(monitor: Monitor, most: int = LONG) -> int:
    """Give way until some is handled and some is not."""
    async with asyncio.timeout(240):
        while not 0 < monitor.counts["watch-behind"] < most:  # noqa: ASYNC110  # nobody tells of this moment
            await asyncio.sleep(0)
    return monitor.counts["watch-behind"]


async def ends(world: World, monitor: Monitor, session: int) -> None:
    """Run it, and tell it to end in the middle."""
    stop = asyncio.Event()
    running = asyncio.ensure_future(monitor.run(stop))
    await in_the_middle(monitor)
    stop.set()
    async with asyncio.timeout(240):
        await running


def test_told_to_end_while_it_begins_it_ends_and_what_was_not_handled_is_left(tmp_path: Path) -> None:
    left_behind(tmp_path)
    world = World(tmp_path)

    async def main() -> None:
        stop = asyncio.Event()
        stop.set()
        await world.monitor(1).run(stop)

    world.run(main)
    head, numbers, _ = found(tmp_path)
    assert head.upto < LONG
    assert numbers == list(range(head.upto + 1, LONG + 1))


def test_told_to_end_in_the_middle_it_saves_what_was_handled_and_the_next_one_goes_on_from_there(
    tmp_path: Path,
) -> None:
    left_behind(tmp_path)
    world = World(tmp_path)

    async def main() -> None:
        await ends(world, world.monitor(1), 1)
        head, numbers, reached = found(tmp_path)
        assert 0 < head.upto < LONG
        assert numbers == list(range(head.upto + 1, LONG + 1))
        # Number n was heard n - 1 seconds after the beginning; the look before the next one may have been, too.
        assert BEGIN + (head.upto - 1) * SECOND <= reached <= BEGIN + head.upto * SECOND

        world.heard.clear()

        async def done() -> None:
            await world.until(
                lambda: any(
                    isinstance(one, RoleState)
                    and (one.counts.get("watch-again"), one.counts.get("watch-behind")) == (LONG - head.upto, 0)
                    for one in world.heard
                )
            )

        monitor = await world.monitored(done, 2)
        assert monitor.counts["watch-again"] == LONG - head.upto

    world.run(main)
    head, numbers, _ = found(tmp_path)
    assert (head.upto, numbers) == (head.newest, [])


def test_while_it_catches_up_traces_are_kept_and_nothing_is_said_of_the_present(tmp_path: Path) -> None:
    left_behind(tmp_path)
    world = World(tmp_path)
    clock = SystemClock()

    async def story() -> None:
        tracer = Tracer(world.bus, NEST, "decoy", clock, node="coop-1", share=1.0, on_demand=False, boot=boot_id())
        tracer.tell(new_id(clock.wall_ns()), None, [span("write", 0, SECOND)])
        await world.until(world.says("stored", 1))
        assert not any(isinstance(one, Alarms) for one in world.heard)
        await world.until(lambda: any(isinstance(one, Alarms) for one in world.heard))
        await world.until(world.says("watch-again", LONG))

    async def main() -> None:
        await world.monitored(story, 1)

    world.run(main)


def test_more_than_the_next_start_could_handle_is_left_to_the_broker_and_comes_when_there_is_room(
    tmp_path: Path,
) -> None:
    left_behind(tmp_path)
    world = World(tmp_path, settings=AnalyticsSettings(settle_ms=100, look_s=1, journal_rows=100))

    async def story() -> None:
        for number in range(100):
            world.ask(number)
        await world.until(world.says("watch-again", 600))
        assert found(tmp_path)[0].newest == LONG
        await world.until(world.says("watch-rows", 100))

    async def main() -> None:
        monitor = await world.monitored(story, 1)
        assert monitor.counts["watch-not-kept"] == 0

    world.run(main)
    assert len(list(rows_of(tmp_path / "journal.db"))) == 100

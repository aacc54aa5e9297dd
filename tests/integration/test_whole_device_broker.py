"""S4: the broker of a device is gone for a day, and comes back.

Real processes whose clocks, the steady one too, are put a day ahead while the broker is away (`stepped_clock`). What
happens once in a while all day long (an attempt to reach the broker every ten seconds, a picture that is not asked
about) happens here for some seconds; that none of it adds up is looked for in what the processes hold and say.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from device_folder import write_pictures
from stepped_clock import DAY_S, SteppedClock
from whole_device import CAMERA, PICTURES, Observer, figures, judge_camera, make, memory_kb

from roost_broker.messages import Notice, StoreState
from roost_broker.mosquitto import PrivateBroker
from roost_edge.processes.supervisor import Supervisor

pytestmark = [pytest.mark.broker, pytest.mark.processes]
Run: TypeAlias = Callable[..., Any]

MOST_OPEN, ALL = 12, 40
CAPTURING = f"max_open = {MOST_OPEN}\nmax_requests = {ALL}"
MOST_MEMORY_KB, MOST_WORDS = 20_000, 5_000
"""What a role may have grown by after many vain attempts, in memory and in its log (bytes)."""
SECTIONS = """
[alerts]
end_after_s = 3600.0
[alerts.rules.here]
labels = ["here"]
cooldown_s = 0.0
"""


class Nobody:
    """Stands where the broker stood: counts who comes, and hangs up."""

    def __init__(self) -> None:
        self.came = 0
        self._news = asyncio.Event()

    async def stand(self, port: int) -> None:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", port)

    def _meet(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        self._news.set()
        writer.transport.abort()

    async def until_came(self, times: int) -> None:
        while self.came < times:
            self._news.clear()
            await self._news.wait()

    async def leave(self) -> None:
        self._server.close()
        await self._server.wait_closed()


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - without a broker nobody tells us anything
        await asyncio.sleep(0.05)


def said(supervisor: Supervisor) -> dict[str, int]:
    """Bytes in each role's log."""
    layout = supervisor.settings.layout
    return {role.name: layout.log(role.name).stat().st_size for role in supervisor.roles}


def held(supervisor: Supervisor) -> dict[str, int]:
    """Memory of each role in kB."""
    return {role.name: memory_kb(supervisor.pid(role.name) or 0) for role in supervisor.roles}


def growth(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in before}


def test_after_a_day_without_its_broker_a_device_answers_what_it_had_asked_and_rings_nobody_for_yesterday(
    run: Run, tmp_path: Path
) -> None:
    """
    1. The device works. 2. Its broker goes. 3. The camera asks until its bound. 4. A day passes; all come again and
    again to where the broker was. 5. It is back: what was asked is answered, by models; new things are, too.
    """
    clock = SteppedClock(tmp_path, both=True)

    async def story(broker: PrivateBroker) -> None:
        write_pictures(tmp_path, *range(0, 250, 25))
        device = make(tmp_path, broker, camera=PICTURES, more=SECTIONS, capture=CAPTURING)
        async with Observer(device) as observer, device.up() as supervisor:
            await observer.more_of_camera()
            pids = {role.name: supervisor.pid(role.name) for role in supervisor.roles}
            await asyncio.to_thread(broker.stop, 60)
            under_way = requests(supervisor)  # the broker may have had these
            nobody = Nobody()
            await nobody.stand(broker.port)
            await until(lambda: figures(supervisor).open == MOST_OPEN)
            await nobody.until_came(2 * len(pids))
            memory, words = held(supervisor), said(supervisor)
            yesterdays = requests(supervisor)
            unanswered = requests(supervisor, " WHERE result_wall_ms IS NULL")
            clock.step_to(DAY_S)
            await nobody.until_came(6 * len(pids))
            assert requests(supervisor) == yesterdays, "the camera waits at its bound, however long it takes"
            assert max(growth(memory, held(supervisor)).values()) < MOST_MEMORY_KB
            assert max(growth(words, said(supervisor)).values()) < MOST_WORDS
            await nobody.leave()
            await asyncio.to_thread(broker.start)
            await observer.camera_finished(supervisor)
            fresh = requests(supervisor) - yesterdays
            await observer.until(lambda: fresh <= rung(observer))  # what is seen now is news
            assert {role.name: supervisor.pid(role.name) for role in supervisor.roles} == pids, "nobody ended for it"
        judge_camera(supervisor, observer)
        judge_answers(observer, unanswered - under_way)
        judge_watch(observer)
        assert not unanswered & rung(observer), "what was seen yesterday is news no longer"

    with clock.for_children(), PrivateBroker(tmp_path / "broker") as broker:
        run(story(broker), timeout=120)


def requests(supervisor: Supervisor, which: str = "") -> set[str]:
    """Of the camera's log."""
    with closing(sqlite3.connect(supervisor.settings.layout.requests(CAMERA))) as log:
        return {row[0] for row in log.execute(f"SELECT request_id FROM requests{which}")}  # noqa: S608  # our own words


def rung(observer: Observer) -> set[str | None]:
    """Requests for which a telephone rang."""
    found = observer.heard[observer.device.topics.notices]
    return {one.request_id for one in found if isinstance(one, Notice)}


def judge_answers(observer: Observer, held_up: set[str]) -> None:
    """Each of them by a model: a day is no reason to give it up."""
    answers = {result.request_id: result for result in observer.of_camera()}
    assert len(answers) == ALL
    assert held_up
    assert {answers[one].cause for one in held_up} <= {"preferred", "fallback"}


def judge_watch(observer: Observer) -> None:
    """Who could not be heard is not said to keep no house."""
    told = [one for one in observer.heard[observer.device.topics.store] if isinstance(one, StoreState)]
    assert told
    assert [alarm for one in told for alarm in one.alarms] == []

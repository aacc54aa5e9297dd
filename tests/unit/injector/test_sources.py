"""Files and commands as they are: a real loop, real processes, no waiting for the clock."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roost_broker.bus import Delivery
from roost_broker.clock import SystemClock
from roost_broker.errors import Misuse
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_rendezvous.injector.keeper import StateKeeper
from roost_rendezvous.injector.settings import StateValue
from roost_rendezvous.injector.sources import StateSources, run_command

CLOCK = SystemClock()
Run = Callable[..., Any]


class World:
    """Sources of some values, and what they came to."""

    def __init__(self, **values: StateValue) -> None:
        self.keeper = StateKeeper(values)
        self.problems: list[tuple[str, str]] = []
        self.broker = MemoryBroker()
        self.bus = MemoryBus(self.broker, "injector-nest-state")
        self.sources = StateSources(
            self.keeper, self.bus, clock=CLOCK, problem=lambda name, why: self.problems.append((name, why))
        )

    def state(self) -> dict[str, Any]:
        given = self.keeper.take(os.urandom(4).hex(), CLOCK.monotonic_ns(), 0)
        return {name: msgspec.json.decode(value) for name, value in given.state.items()}

    def age_ms(self, name: str) -> int:
        return self.keeper.take(os.urandom(4).hex(), CLOCK.monotonic_ns(), 0).ages[name]

    async def until(self, condition: Callable[[], object]) -> None:
        running = asyncio.ensure_future(self.sources.run())
        try:
            while not condition():
                assert not running.done(), running
                await asyncio.sleep(0.001)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def script(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def test_a_file_is_read_again_and_a_number_in_it_scaled(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "temp"
    path.write_text("48312\n")
    world = World(cpu=StateValue(file=str(path), type="number", scale=0.001, every_s=0.1))

    async def story() -> None:
        def changed() -> bool:
            if world.state() == {"cpu": 48.312}:
                path.write_text("50000\n")
            return world.state() == {"cpu": 50}

        await world.until(changed)

    run(story())
    assert world.keeper.counts["state-read"] >= 2


def test_a_file_dated_by_itself_ages_from_its_last_change(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "word"
    path.write_text("open")
    an_hour_ago = CLOCK.wall_ns() - 3600 * 10**9
    os.utime(path, ns=(an_hour_ago, an_hour_ago))
    world = World(old=StateValue(file=str(path), dated_by="file"), new=StateValue(file=str(path)))
    run(world.until(lambda: len(world.state()) == 2))
    assert world.age_ms("old") >= 3_600_000
    assert world.age_ms("new") < 60_000


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "endless"])
def test_what_cannot_be_read_is_told_once_and_tried_again(run: Run, tmp_path: Path, kind: str) -> None:
    path = {"missing": tmp_path / "none", "folder": tmp_path, "endless": Path("/dev/zero")}.get(kind, tmp_path / "pipe")
    if kind == "pipe":
        os.mkfifo(path)
    world = World(value=StateValue(file=str(path), every_s=0.1))
    run(world.until(lambda: world.keeper.counts["state-unreadable"] >= 2))
    assert [name for name, _ in world.problems] == ["value"]
    assert world.state() == {}


def test_what_a_command_prints_is_the_value(run: Run) -> None:
    world = World(
        word=StateValue(command=script("print('{\"a\": [1, 2]}')"), pointer="/a/1"),
        argument=StateValue(command=("echo", "$HOME; rm", "`x`")),
    )
    run(world.until(lambda: len(world.state()) == 2))
    assert world.state() == {"word": 2, "argument": "$HOME; rm `x`"}  # no shell has seen it


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (script("import sys; print(1); sys.exit(3)"), "status 3"),
        (script("print('x' * 100_000)"), "more than"),
        (("roost-no-such-program",), "No such file"),
    ],
)
def test_a_command_that_fails_or_says_too_much_gives_no_value(run: Run, command: tuple[str, ...], why: str) -> None:
    world = World(value=StateValue(command=command))
    run(world.until(lambda: world.problems))
    assert why in world.problems[0][1]
    assert world.state() == {}


def test_a_command_that_hangs_is_killed_with_all_it_started_and_the_loop_goes_on(run: Run, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hanging = (
        "import os, pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(pids)!r}).write_text(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(600)\n"
    )

    async def story() -> int:
        turns = 0
        running = asyncio.ensure_future(run_command(script(hanging), 1.0))
        while not running.done():
            turns += 1
            await asyncio.sleep(0.01)
        with pytest.raises(ValueError, match="not done within 1 s"):
            running.result()
        return turns

    assert run(story()) >= 20, "the loop went on meanwhile"
    first, second = map(int, pids.read_text().split())
    for pid in (first, second):
        assert not alive(pid)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def test_a_cancelled_command_leaves_no_process(run: Run, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    hanging = f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(600)"
    world = World(value=StateValue(command=script(hanging), timeout_s=60))
    run(world.until(lambda: pid.exists() and pid.read_text()))
    assert not alive(int(pid.read_text()))


def test_two_values_share_a_topic_and_a_retained_word_told_again_gets_no_younger(run: Run) -> None:
    world = World(
        warm=StateValue(topic="z/sensor", pointer="/temperature", type="number"),
        damp=StateValue(topic="z/sensor", pointer="/humidity", type="number"),
        live=StateValue(topic="z/door", retained=False),
    )

    async def story() -> None:
        teller = MemoryBus(world.broker, "teller")
        await teller.start()
        await teller.publish("z/sensor", b'{"temperature": 21.5, "humidity": 40}', retain=True)
        await teller.publish("z/door", b"open", retain=True)
        await world.until(lambda: len(world.state()) == 2)
        assert world.state() == {"warm": 21.5, "damp": 40}
        before = world.keeper.export()["values"]["warm"].at
        for payload, retained in ((b'{"temperature": 21.5, "humidity": 40}', True), (b"", False)):
            world.sources._heard(("warm", "damp"), Delivery("z/sensor", payload, retained=retained))
        assert world.keeper.export()["values"]["warm"].at == before
        world.sources._heard(("live",), Delivery("z/door", b"closed"))
        assert world.state()["live"] == "closed"
        await teller.stop()

    run(story())
    assert world.problems == []


def test_a_topic_without_a_bus_to_hear_it_is_misuse() -> None:
    with pytest.raises(Misuse, match="bus"):
        StateSources(StateKeeper({"a": StateValue(topic="t")}), None, clock=CLOCK, problem=lambda name, why: None)

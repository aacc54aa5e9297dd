"""The supervisor with real roles and a real broker: all start, a killed one returns, nobody is left."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from device_folder import write_bundle, write_pictures, write_schedule, write_settings
from process_end import ended_within

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SECOND
from roost_broker.errors import Misuse
from roost_broker.messages import Result, decode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_edge.processes.restart import RestartPolicy
from roost_edge.processes.supervisor import RoleFailed, Supervisor

pytestmark = [pytest.mark.broker, pytest.mark.processes]

NODE = "supervised"
ROOST = "import sys; from roost_edge.cli import main; sys.exit(main())"
QUICK = RestartPolicy(first_ns=20 * MS, ceiling_ns=SECOND, healthy_ns=10 * SECOND, jitter=0.5)
ROLES = {
    "rendezvous-henhouse",
    "decoy-henhouse",
    "monitor",
    "alerts",
    "desk",
    "model-henhouse-bright",
    "injector-henhouse",
    "capture-nest",
}


@pytest.fixture
def settings(tmp_path: Path, own_mosquitto: PrivateBroker) -> Path:
    write_bundle(tmp_path, "bright")
    write_schedule(tmp_path, "bright")
    write_pictures(tmp_path, 10, 240)
    return write_settings(
        tmp_path, node=NODE, port=own_mosquitto.port, bundles={"bright": "bright"}, capture={"interval_ms": 100}
    )


class Changes:
    """What the supervisor told through `on_change`, to be waited for."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self._news = asyncio.Event()

    def __call__(self, role: str, what: str) -> None:
        self.told.append((role, what))
        self._news.set()

    async def until(self, role: str, what: str, *, after: int = 0) -> None:
        """Return when `role` has told something that begins with `what`, `after` being the length of `told` before."""
        while not any(r == role and w.startswith(what) for r, w in self.told[after:]):
            self._news.clear()
            await self._news.wait()


@asynccontextmanager
async def running(settings: Path, changes: Changes | None = None) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(settings, policy=QUICK, on_change=changes or Changes())
    try:
        await supervisor.start()
        await supervisor.wait_ready(60)
        yield supervisor
    finally:
        await supervisor.stop()


def test_every_role_becomes_ready_as_a_process_of_its_own_and_stop_leaves_none(
    run: Callable[..., Any], settings: Path, tmp_path: Path
) -> None:
    async def main() -> list[int | None]:
        async with running(settings) as supervisor:
            assert {role.name for role in supervisor.roles} == ROLES
            pids = [supervisor.pid(name) for name in ROLES]
            assert {supervisor.state(name) for name in ROLES} == {"ready"}
        assert [supervisor.pid(name) for name in ROLES] == [None] * len(ROLES)
        return pids

    pids = run(main(), timeout=120)
    assert None not in pids
    assert len(set(pids)) == len(ROLES)
    assert all(ended_within(pid, 0) for pid in pids)
    assert {path.stem for path in (tmp_path / "data" / "logs").glob("*.log")} == ROLES
    for path in (tmp_path / "data" / "logs").glob("*.log"):
        assert "stopped in order" in path.read_text(encoding="utf-8"), path


def test_the_device_answers_archives_and_replays_to_the_bit(run: Callable[..., Any], settings: Path) -> None:
    async def main() -> Path:
        async with running(settings) as supervisor:
            bus = MqttBus(supervisor.settings.broker, f"{NODE}-listener")
            enough, seen = asyncio.Event(), list[Result]()

            def take(delivery: Delivery) -> None:
                message = decode(delivery.payload)
                assert isinstance(message, Result)
                seen.append(message)
                if len(seen) == 5:
                    enough.set()
                delivery.ack()

            bus.subscribe(supervisor.settings.task_topics("henhouse").all_results, take)
            await bus.start()
            await enough.wait()
            await bus.stop()
            assert {result.cause for result in seen} == {"preferred"}
        return supervisor.settings.layout.archive("henhouse")

    archive = run(main(), timeout=120)
    bundle = settings.parent / "bright"
    done = subprocess.run(
        [sys.executable, "-c", ROOST, "replay", str(archive), "--bundle", str(bundle), "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["exact"] is True
    assert report["identical"] == report["compared"] >= 5


@pytest.mark.parametrize("name", ["rendezvous-henhouse", "model-henhouse-bright"])
def test_a_role_killed_with_9_returns_and_becomes_ready_again(
    run: Callable[..., Any], settings: Path, name: str
) -> None:
    async def main() -> None:
        changes = Changes()
        async with running(settings, changes) as supervisor:
            before, told = supervisor.pid(name), len(changes.told)
            supervisor.kill(name)
            await changes.until(name, "ended by SIGKILL; starts again in", after=told)
            await changes.until(name, "started", after=told)
            await supervisor.wait_ready(60)
            assert supervisor.restarts(name) == 1
            assert supervisor.pid(name) not in (None, before)
            assert sum(supervisor.restarts(role) for role in ROLES) == 1

    run(main(), timeout=120)


def test_a_role_killed_for_good_stays_away(run: Callable[..., Any], settings: Path) -> None:
    async def main() -> None:
        changes = Changes()
        name = "model-henhouse-bright"
        async with running(settings, changes) as supervisor:
            supervisor.kill(name, signal.SIGKILL, restart=False)
            await changes.until(name, "ended by SIGKILL")
            assert supervisor.pid(name) is None
            assert changes.told[-1] == (name, "ended by SIGKILL")
        assert supervisor.restarts(name) == 0

    run(main(), timeout=120)


def test_a_role_that_cannot_start_is_named_with_what_it_said_last(run: Callable[..., Any], settings: Path) -> None:
    (settings.parent / "bright" / "model.py").unlink()

    async def main() -> None:
        supervisor = Supervisor(settings, policy=QUICK)
        try:
            await supervisor.start(settle_s=0.0)
            with pytest.raises(RoleFailed) as caught:
                await supervisor.wait_ready(60)
        finally:
            await supervisor.stop()
        assert caught.value.role == "model-henhouse-bright"
        assert "times in a row instead of becoming ready" in caught.value.problem
        assert "error: File 'model.py' of the manifest is missing." in caught.value.problem
        assert "model-henhouse-bright.log" in caught.value.remedy

    run(main(), timeout=120)


def test_a_role_that_is_paused_is_woken_to_end_in_order(run: Callable[..., Any], settings: Path) -> None:
    async def main() -> tuple[int | None, list[tuple[str, str]]]:
        changes = Changes()
        supervisor = Supervisor(settings, policy=QUICK, on_change=changes)
        await supervisor.start()
        pid = supervisor.pid("decoy-henhouse")
        supervisor.kill("decoy-henhouse", signal.SIGSTOP)
        await supervisor.stop(grace_s=10)
        return pid, changes.told

    pid, told = run(main(), timeout=120)
    assert pid is not None
    assert ended_within(pid, 0)
    assert ("decoy-henhouse", "ended with status 0") in told


def test_a_role_that_does_not_heed_in_time_is_killed(run: Callable[..., Any], settings: Path) -> None:
    async def main() -> tuple[list[int | None], list[tuple[str, str]]]:
        changes = Changes()
        supervisor = Supervisor(settings, policy=QUICK, on_change=changes)
        await supervisor.start()
        await supervisor.wait_ready(60)
        pids = [supervisor.pid(name) for name in ROLES]
        await supervisor.stop(grace_s=0)
        return pids, changes.told

    pids, told = run(main(), timeout=120)
    assert all(pid is not None and ended_within(pid, 0) for pid in pids)
    assert {role for role, what in told if what == "did not stop within 0 s and is killed"} == ROLES


def test_a_fault_needs_qa_and_a_role_that_is_there(settings: Path) -> None:
    with pytest.raises(Misuse, match="qa = true"):
        Supervisor(settings, faults={"model-henhouse-bright": "hang"})
    settings.write_text(settings.read_text().replace("[broker]", "qa = true\n[broker]"), encoding="utf-8")
    with pytest.raises(Misuse, match="no role 'model-henhouse-dark'"):
        Supervisor(settings, faults={"model-henhouse-dark": "hang"})
    supervisor = Supervisor(settings, faults={"model-henhouse-bright": "hang"})
    with pytest.raises(Misuse, match="There is no role 'dark'"):
        supervisor.pid("dark")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def up(settings: Path) -> subprocess.Popen[str]:
    """`roost up`, ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", ROOST, "up", "--settings", str(settings)], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if "roles are ready" in line:
            return process
    process.wait(timeout=10)
    process.stderr.close()
    raise AssertionError("".join(said))


def test_up_ends_in_order_on_ctrl_c_and_leaves_nobody(settings: Path) -> None:
    with up(settings) as process:
        pids = children(process.pid)
        assert len(pids) == len(ROLES)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "All roles have ended." in process.stderr.read()
        assert process.wait(timeout=30) == 0
    assert all(ended_within(pid, 0) for pid in pids)


def test_no_role_outlives_a_supervisor_that_was_killed(settings: Path) -> None:
    with up(settings) as process:
        pids = children(process.pid)
        process.kill()
        assert process.stderr is not None
        process.stderr.read()
    assert len(pids) == len(ROLES)
    assert all(ended_within(pid, 10) for pid in pids)

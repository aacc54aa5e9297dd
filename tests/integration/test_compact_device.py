"""Roles that share a process: real roles, a real broker, and what of them stays apart."""

import asyncio
import json
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from compact_world import running, write_compact
from process_end import ended_within

from roost_broker.bus import Delivery
from roost_broker.messages import RoleState, decode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_edge.processes.own_process import only_one
from roost_edge.processes.supervisor import Supervisor
from roost_edge.processes.together import ASIDE

pytestmark = [pytest.mark.broker, pytest.mark.processes]

NODE = "compact"
BESIDE = ("decoy-henhouse", "monitor", "alerts", "desk")


@pytest.fixture
def settings(tmp_path: Path, own_mosquitto: PrivateBroker) -> Path:
    return write_compact(tmp_path, ("bright",), node=NODE, port=own_mosquitto.port)


class States:
    """The retained states of all roles, to be waited for."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._bus = MqttBus(supervisor.settings.broker, f"{NODE}-watching")
        self._bus.subscribe(supervisor.settings.topics.all_roles, self._take)
        self._news = asyncio.Event()
        self.known: dict[str, RoleState] = {}

    async def __aenter__(self) -> "States":
        await self._bus.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._bus.stop(forget=True)

    async def until(self, names: tuple[str, ...], state: str, *, after: dict[str, int] | None = None) -> dict[str, int]:
        """Return their sessions when all have said `state`, each in a session newer than `after` has it."""
        while True:
            found = {name: self.known[name] for name in names if name in self.known}
            sessions = {name: one.session for name, one in found.items() if one.state == state}
            if len(sessions) == len(names) and all(sessions[n] > (after or {}).get(n, 0) for n in names):
                return sessions
            self._news.clear()
            await self._news.wait()

    def _take(self, delivery: Delivery) -> None:
        if delivery.payload:
            message = decode(delivery.payload)
            assert isinstance(message, RoleState)
            self.known[message.role] = message
            self._news.set()
        delivery.ack()


def test_they_share_a_process_and_each_keeps_its_session_its_state_and_its_name(
    run: Callable[..., Any], settings: Path, tmp_path: Path
) -> None:
    async def main() -> int | None:
        async with running(settings) as supervisor, States(supervisor) as states:
            await supervisor.wait_ready(60)
            await states.until(BESIDE, "ready")
            pids = {supervisor.pid(name) for name in BESIDE}
            assert len(pids) == 1
            assert {supervisor.process_of(name) for name in BESIDE} == {ASIDE}
            others = [role.name for role in supervisor.roles if role.name not in BESIDE]
            assert len({supervisor.pid(name) for name in others} | pids) == len(others) + 1
            told = [states.known[name].usage for name in BESIDE]
            assert all(one is not None and one.memory_bytes < 20_000_000 for one in told)  # a share each, not the whole
        return pids.pop()

    pid = run(main(), timeout=120)
    assert pid is not None
    assert ended_within(pid, 0)
    lines = (tmp_path / "data" / "logs" / f"{ASIDE}.log").read_text(encoding="utf-8").splitlines()
    assert "stopped in order" in lines[-1]
    assert {json.loads(line)["role"] for line in lines} <= {ASIDE, *BESIDE}
    assert not any((tmp_path / "data" / "logs" / f"{name}.log").exists() for name in BESIDE)


def test_when_their_process_is_killed_all_of_them_return(run: Callable[..., Any], settings: Path) -> None:
    async def main() -> None:
        async with running(settings) as supervisor, States(supervisor) as states:
            before = await states.until(BESIDE, "ready")
            supervisor.kill("alerts", signal.SIGKILL)
            after = await states.until(BESIDE, "ready", after=before)
            assert all(after[name] == before[name] + 1 for name in BESIDE)
            assert supervisor.restarts("monitor") == supervisor.restarts("alerts") == 1

    run(main(), timeout=120)


def test_one_that_cannot_work_takes_nobody_with_it_and_comes_when_its_cause_is_gone(
    run: Callable[..., Any], settings: Path
) -> None:
    async def main() -> None:
        others = tuple(name for name in BESIDE if name != "alerts")
        layout = Supervisor(settings).settings.layout
        with ExitStack() as held:
            held.enter_context(only_one(layout.session("alerts.lock"), "Somebody else"))
            async with running(settings, settle_s=1) as supervisor, States(supervisor) as states:
                await states.until(others, "ready")
                assert "alerts" not in states.known
                pid = supervisor.pid("monitor")
                held.close()
                await states.until(BESIDE, "ready")
                assert supervisor.pid("alerts") == pid
                assert supervisor.restarts("alerts") == 0

    run(main(), timeout=120)

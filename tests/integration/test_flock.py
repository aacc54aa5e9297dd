"""The models of a compact device: forked from one process, and each on its own all the same."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from compact_world import running, write_compact
from device_folder import TASK
from process_end import ended_within

from roost_broker.bus import Delivery
from roost_broker.cancellation import within
from roost_broker.errors import Misuse
from roost_broker.messages import ModelState, decode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_edge.processes.own_process import holder
from roost_edge.processes.supervisor import Supervisor
from roost_edge.processes.together import FLOCK
from roost_edge.settings import loading
from roost_models.bundle.writing import seal

pytestmark = [pytest.mark.broker, pytest.mark.processes]

NODE = "flock"
MODELS = ("bright", "dim")
ROLES = tuple(f"model-{TASK}-{name}" for name in MODELS)
PATIENCE_S = 120


@pytest.fixture
def settings(tmp_path: Path, own_mosquitto: PrivateBroker) -> Path:
    return write_compact(tmp_path, MODELS, node=NODE, port=own_mosquitto.port)


class States:
    """The retained states of the models, to be waited for."""

    def __init__(self, settings: Path) -> None:
        loaded = loading.load(settings)
        self._bus = MqttBus(loaded.broker, f"{NODE}-watching")
        for name in MODELS:
            self._bus.subscribe(loaded.task_topics(TASK).model_state(name), self._take)
        self._news = asyncio.Event()
        self.known: dict[str, ModelState] = {}

    async def __aenter__(self) -> "States":
        await self._bus.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._bus.stop(forget=True)

    async def ready(self, name: str, *, after: int = 0) -> int:
        """The session in which this model is ready, newer than `after`."""
        while True:
            one = self.known.get(name)
            if one is not None and one.state == "ready" and one.session > after:
                return one.session
            self._news.clear()
            await within(self._news.wait(), PATIENCE_S)

    def _take(self, delivery: Delivery) -> None:
        if delivery.payload:
            message = decode(delivery.payload)
            assert isinstance(message, ModelState)
            self.known[message.model] = message
            self._news.set()
        delivery.ack()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])


def test_each_model_is_a_process_that_is_killed_and_returns_alone(run: Callable[..., Any], settings: Path) -> None:
    async def main() -> list[int]:
        async with running(settings) as supervisor, States(settings) as states:
            await supervisor.wait_ready(PATIENCE_S)
            before = {name: await states.ready(name) for name in MODELS}
            bright, dim = (supervisor.pid(role) for role in ROLES)
            parent = supervisor.process_pid(ROLES[0])
            assert bright is not None
            assert dim is not None
            assert parent is not None
            assert len({bright, dim, parent}) == 3
            assert parent_of(bright) == parent_of(dim) == parent
            supervisor.kill(ROLES[0], signal.SIGSEGV)  # as a damaged model does
            assert await states.ready("bright", after=before["bright"]) == before["bright"] + 1
            assert supervisor.pid(ROLES[1]) == dim
            assert states.known["dim"].session == before["dim"]
            assert supervisor.process_pid(ROLES[0]) == parent
            assert supervisor.restarts(ROLES[0]) == 0
            with pytest.raises(Misuse, match="cannot be ended alone"):
                supervisor.kill(ROLES[0], restart=False)
            again = supervisor.pid(ROLES[0])
            assert again is not None
            return [parent, dim, again]

    pids = run(main(), timeout=PATIENCE_S)
    assert all(ended_within(pid, 0) for pid in pids)
    log = (settings.parent / "data" / "logs" / f"{FLOCK}.log").read_text(encoding="utf-8")
    assert log.count('"stopped in order"') == 3  # each model and their parent
    assert f"{ROLES[0]} was ended by SIGSEGV" in log


def test_a_model_whose_bundle_cannot_be_loaded_takes_nobody_with_it_and_comes_when_it_is_mended(
    run: Callable[..., Any], settings: Path
) -> None:
    source = settings.parent / "dim"
    shutil.move(source, settings.parent / "away")

    async def main() -> None:
        async with running(settings, settle_s=1) as supervisor, States(settings) as states:
            session = await states.ready("bright")
            pid = supervisor.pid(ROLES[0])
            assert "dim" not in states.known or states.known["dim"].state != "ready"
            shutil.move(settings.parent / "away", source)
            await states.ready("dim")
            assert supervisor.pid(ROLES[0]) == pid
            assert states.known["bright"].session == session

    run(main(), timeout=PATIENCE_S)


def test_when_their_parent_is_killed_its_models_end_with_it_and_all_return(
    run: Callable[..., Any], settings: Path
) -> None:
    async def main() -> None:
        async with running(settings) as supervisor, States(settings) as states:
            before = {name: await states.ready(name) for name in MODELS}
            pids = [supervisor.pid(role) for role in ROLES]
            parent = supervisor.process_pid(ROLES[0])
            assert parent is not None
            os.kill(parent, signal.SIGKILL)
            for name in MODELS:
                await states.ready(name, after=before[name])
            assert all(pid is not None and ended_within(pid, 10) for pid in pids)
            assert supervisor.restarts(ROLES[0]) == 1

    run(main(), timeout=PATIENCE_S)


class Service:
    """A flock started as its unit would, and what it tells the service manager."""

    def __init__(self, settings: Path, watchdog_s: float) -> None:
        address = f"roost-flock-{os.getpid()}-{id(self)}"
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.listening.bind(f"\0{address}")
        self.listening.settimeout(PATIENCE_S)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "roost_edge.daemon", "--name", FLOCK, "--settings", settings],
            env={**os.environ, "NOTIFY_SOCKET": f"@{address}", "WATCHDOG_USEC": str(int(watchdog_s * 1e6))},
            stderr=subprocess.PIPE,
            text=True,
        )

    def hears(self, wanted: str) -> None:
        """Return when it has said a line that begins so."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if any(line.startswith(wanted) for line in self.listening.recv(4096).decode().splitlines()):
                return
        pytest.fail(f"{wanted!r} was not said")

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.listening.close()


@contextlib.contextmanager
def service(settings: Path, *, watchdog_s: float) -> Iterator[Service]:
    with contextlib.closing(Service(settings, watchdog_s)) as made:
        yield made


def test_a_model_that_hangs_is_ended_and_returns_while_the_service_goes_on_telling_that_it_works(
    settings: Path,
) -> None:
    layout = loading.load(settings).layout
    with service(settings, watchdog_s=6) as flock:
        flock.hears(f"STATUS=ready: {ROLES[0]} ready, {ROLES[1]} ready")
        flock.hears("READY=1")
        bright, dim = (holder(layout.session(f"{role}.lock")) for role in ROLES)
        assert bright is not None
        assert dim is not None
        os.kill(bright, signal.SIGSTOP)
        assert ended_within(bright, PATIENCE_S)
        flock.hears("WATCHDOG=1")
        flock.hears(f"STATUS=ready: {ROLES[0]} ready, {ROLES[1]} ready")
        assert holder(layout.session(f"{ROLES[1]}.lock")) == dim
        assert holder(layout.session(f"{ROLES[0]}.lock")) not in (None, bright)
        flock.process.send_signal(signal.SIGTERM)
        flock.hears("STOPPING=1")
        _, said = flock.process.communicate(timeout=PATIENCE_S)
    assert flock.process.returncode == 0
    assert "has said nothing for" in said
    assert said.count('"stopped in order"') == 3


def test_a_model_that_takes_more_memory_than_it_may_is_ended_and_the_others_are_not(settings: Path) -> None:
    source = settings.parent / "dim" / "model.py"
    source.write_text(f"{source.read_text(encoding='utf-8')}\n\nKEPT = b'x' * 200_000_000\n", encoding="utf-8")
    seal(settings.parent / "dim")
    layout = loading.load(settings).layout
    with service(settings, watchdog_s=60) as flock:
        flock.hears("READY=1")
        bright = holder(layout.session(f"{ROLES[0]}.lock"))
        flock.hears(f"STATUS=ready: {ROLES[0]} ready, {ROLES[1]} failed")
        assert holder(layout.session(f"{ROLES[0]}.lock")) == bright
        flock.process.send_signal(signal.SIGTERM)
        _, said = flock.process.communicate(timeout=PATIENCE_S)
    assert f"{ROLES[1]} takes 2" in said
    assert "and may take 160" in said
    assert flock.process.returncode == 0


def test_a_fault_is_not_injected_into_one_of_a_flock(settings: Path) -> None:
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("[node]\n", "[node]\nqa = true\n", 1), encoding="utf-8")
    with pytest.raises(Misuse, match="No fault is injected into"):
        Supervisor(settings, faults={ROLES[0]: "slow:10"})

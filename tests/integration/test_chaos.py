"""kill -9 of the broker and of every role in turn, while a camera goes on asking (issue's promise; S1).

Accepted is what stands in the capture's request log. Afterwards every accepted request is in the archive once and
answered once, whoever died in the meantime.
"""

import asyncio
import signal
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from device_folder import CAMERA, TASK, write_bundle, write_pictures, write_schedule, write_settings
from msgspec import structs

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SECOND
from roost_broker.errors import Malformed
from roost_broker.messages import Result, RoleState, decode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics
from roost_edge.capture.request_summary import summarise
from roost_edge.processes.restart import RestartPolicy
from roost_edge.processes.supervisor import Supervisor
from roost_models.archive.reading import ArchiveReader

pytestmark = [pytest.mark.broker, pytest.mark.processes]

NODE = "chaos"
CAPTURE = f"capture-{CAMERA}"
QUICK = RestartPolicy(first_ns=20 * MS, ceiling_ns=SECOND, healthy_ns=10 * SECOND, jitter=0.5)


class Listener:
    """A stranger with a plain subscription: who was answered, by which messages, and what capture says of itself."""

    def __init__(self, port_of: PrivateBroker) -> None:
        device = NodeTopics(NODE)
        self.answers: dict[str, set[str]] = defaultdict(set)
        self.capture: dict[str, int] = {}
        self.bus = MqttBus(structs.replace(port_of.settings(), session_expiry_s=600), "chaos-listener")
        self._news = asyncio.Event()
        self.bus.subscribe(device.task(TASK).all_results, self._result)
        self.bus.subscribe(device.role(CAPTURE), self._state)

    def _result(self, delivery: Delivery) -> None:
        result = decode(delivery.payload)
        assert isinstance(result, Result)
        self.answers[result.request_id].add(result.message_id)
        delivery.ack()
        self._news.set()

    def _state(self, delivery: Delivery) -> None:
        try:
            state = decode(delivery.payload)
        except Malformed:
            state = None
        if isinstance(state, RoleState):
            self.capture = state.counts
        delivery.ack()
        self._news.set()

    async def until(self, what: Callable[[], bool]) -> None:
        while not what():
            self._news.clear()
            await self._news.wait()

    async def more_answers(self, count: int = 3) -> None:
        wanted = len(self.answers) + count
        await self.until(lambda: len(self.answers) >= wanted)


def write_device(folder: Path, broker: PrivateBroker, *, seconds: float = 0.0) -> Path:
    return write_settings(
        folder,
        node=NODE,
        port=broker.port,
        bundles={"first": "first", "second": "second"},
        capture={"interval_ms": 100, "max_seconds": seconds, "republish_after_ms": 1000},
    )


@pytest.fixture
def device(tmp_path: Path, own_mosquitto: PrivateBroker) -> Path:
    for name in ("first", "second"):
        write_bundle(tmp_path, name)
    write_schedule(tmp_path, "first", "second")
    write_pictures(tmp_path, *range(0, 250, 25))
    return write_device(tmp_path, own_mosquitto)


def accepted(path: Path) -> dict[str, str | None]:
    """Request id → message id of the answer that counts, from capture's own log."""
    with closing(sqlite3.connect(path)) as conn:
        return dict(conn.execute("SELECT request_id, result_message_id FROM requests").fetchall())


def test_everything_is_killed_in_turn_and_nothing_is_lost_or_doubled(
    run: Any, device: Path, own_mosquitto: PrivateBroker
) -> None:
    async def story() -> None:
        listener = Listener(own_mosquitto)
        supervisor = Supervisor(device, policy=QUICK)
        await listener.bus.start()
        await supervisor.start()
        try:
            await supervisor.wait_ready(60)
            await listener.more_answers()
            for role in [role.name for role in supervisor.roles]:
                before = supervisor.pid(role)
                supervisor.kill(role, signal.SIGKILL)
                await listener.more_answers(10)
                if role != CAPTURE:  # it cannot have asked again without being there
                    await supervisor.wait_ready(60)
                assert supervisor.pid(role) not in (before, None)
            for _ in range(2):
                own_mosquitto.kill()
                own_mosquitto.start()
                await listener.more_answers(10)
            # The camera asks no more; what is open is seen to from the log alone.
            write_device(device.parent, own_mosquitto, seconds=0.001)
            supervisor.kill(CAPTURE, signal.SIGTERM)
            await listener.until(lambda: listener.capture.get("finished") == 1 and listener.capture.get("open") == 0)
        finally:
            await supervisor.stop()
            await listener.bus.stop()
        judge(supervisor, listener)

    run(story(), timeout=300)


def judge(supervisor: Supervisor, listener: Listener) -> None:
    layout = supervisor.settings.layout
    log = accepted(layout.requests(CAMERA))
    figures = summarise(layout.requests(CAMERA))
    assert figures.trimmed == 0
    assert len(log) == figures.requests >= 80
    assert figures.open == 0
    assert figures.receipts == figures.answered == figures.requests
    assert figures.second_answers == 0
    with ArchiveReader(layout.archive(TASK)) as archive:
        archived = [item.request_id for item in archive.inputs()]
        stats = archive.stats()
    assert len(archived) == len(set(archived))  # none twice
    assert set(archived) == set(log)  # none missing, none invented
    assert stats.anomalies == {}
    for request_id, messages in listener.answers.items():
        assert messages == {log[request_id]}, "one request, one answer, however often it was sent"

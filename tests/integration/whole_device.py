"""A whole device with a camera, and an observer who hears all that it says: for what must hold of all roles together.

Its SLA is long, so that a machine that is busy breaks no promise here; what is shown is what was answered, how often
and by whom. That answers come quickly is for `scripts/bench`.
"""

import asyncio
import resource
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from msgspec import structs
from task_device import NODE, Device, schedule

from roost_broker.bus import Delivery
from roost_broker.errors import Malformed
from roost_broker.messages import Message, Result, RoleState, decode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_edge.capture.request_summary import RequestSummary, summarise
from roost_edge.processes.supervisor import Supervisor
from roost_models.archive.reading import ArchivedInput, ArchiveReader

TASK, CAMERA = "nest", "yard"
CAPTURE = f"capture-{CAMERA}"
SLA_MS, FALLBACK_MS = 30_000, 8_000
HERE = """
def predict(image, context):
    return {"here": 1.0}
"""
SCENE = """source = "synthetic"
width = 160
height = 120
fps = 10.0
scene = "roost_edge.sources.test_scene:MovingSquare"
"""
PICTURES = """source = "folder"
path = "pictures"
loop = true
"""
"""Each picture of the folder is asked about (see `device_folder.write_pictures`)."""


def make(
    folder: Path,
    broker: PrivateBroker,
    *,
    champion: str = HERE,
    camera: str = SCENE,
    capture: str = "",
    more: str = "",
    qa: bool = False,
) -> Device:
    """One task with two models and a camera; `camera` and `capture` are lines of sections, `more` are sections."""
    device = Device(folder, broker, qa=qa)
    device.task(schedule((0, ["champion"]), (FALLBACK_MS, ["fast"]), sla_ms=SLA_MS), champion=champion, fast=HERE)
    with device.settings.open("a", encoding="utf-8") as file:
        file.write(f'[cameras.{CAMERA}]\ntask = "{TASK}"\n{camera}')
        file.write(f"[cameras.{CAMERA}.capture]\ninterval_ms = 400\n{capture}\n{more}")
    return device


class Observer:
    """Hears everything below the device, and orders its camera. Its clock is the machine's own."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.heard: defaultdict[str, list[Message]] = defaultdict(list)
        self.results: defaultdict[str, dict[str, Result]] = defaultdict(dict)
        """By request, then by message: every answer that the device gave to anybody."""
        settings = structs.replace(device.broker.settings(), session_expiry_s=604_800)
        self.bus = MqttBus(settings, f"{NODE}-observer")
        self.bus.subscribe(f"{device.topics.root}/#", self._arrived)
        self._news = asyncio.Event()

    async def __aenter__(self) -> "Observer":
        await self.bus.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.bus.stop()

    def _arrived(self, delivery: Delivery) -> None:
        delivery.ack()
        with suppress(Malformed):  # switches are words, not messages
            message = decode(delivery.payload)
            self.heard[delivery.topic].append(message)
            if isinstance(message, Result):
                self.results[message.request_id][message.message_id] = message
        self._news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    def of_camera(self) -> list[Result]:
        """Answers to the camera, in the order in which they came."""
        found = self.heard[self.device.topics.task(TASK).results(CAMERA)]
        return [message for message in found if isinstance(message, Result)]

    def counts(self, role: str) -> dict[str, int]:
        """What a role counts, as it said last."""
        said = self.heard[self.device.topics.role(role)]
        return said[-1].counts if said and isinstance(said[-1], RoleState) else {}

    async def more_of_camera(self, count: int = 3, *, such: Callable[[Result], bool] = lambda _: True) -> None:
        """Until the camera has so many more answers of the kind."""
        before = sum(map(such, self.of_camera()))
        await self.until(lambda: sum(map(such, self.of_camera())) >= before + count)

    async def let_camera_rest(self, supervisor: Supervisor) -> None:
        """It asks no more, and what it had asked is archived and answered."""
        camera = self.device.topics.camera(CAMERA)
        await self.bus.publish(camera.switch_set("detection"), b"off")
        await self.until(lambda: any(getattr(one, "state", "") == "off" for one in self.heard[_switch(camera)]))
        await self.until(lambda: self.counts(CAPTURE).get("open") == 0 and self._heard_all(supervisor))

    async def camera_finished(self, supervisor: Supervisor) -> None:
        """It has asked all that it was to ask (`max_requests`), and that is archived and answered."""
        await self.until(lambda: self.counts(CAPTURE).get("finished") == 1 and self._heard_all(supervisor))

    def _heard_all(self, supervisor: Supervisor) -> bool:
        """Nothing is open in the camera's log, and its answers have come to us too."""
        return figures(supervisor).open == 0 and all(one in self.results for one, _ in _logged(supervisor))


def _switch(camera: Any) -> str:
    return str(camera.switch_state("detection"))


def figures(supervisor: Supervisor) -> RequestSummary:
    """What the camera's own log says."""
    return summarise(supervisor.settings.layout.requests(CAMERA))


def judge_camera(supervisor: Supervisor, observer: Observer) -> list[ArchivedInput]:
    """All that the camera accepted is archived once, in its order, and answered once. Returns it as archived."""
    rows = _logged(supervisor)
    with ArchiveReader(supervisor.settings.layout.archive(TASK)) as archive:
        inputs = [item for item in archive.inputs() if item.request.tags.get("camera") == CAMERA]
        stats = archive.stats()
    assert [item.request_id for item in inputs] == [request_id for request_id, _ in rows], "each once, in device order"
    assert stats.anomalies == {}
    answers = {request_id: set(observer.results[request_id]) for request_id, _ in rows}
    assert answers == {request_id: {message_id} for request_id, message_id in rows}, "one request, one answer"
    return inputs


def _logged(supervisor: Supervisor) -> list[tuple[str, str | None]]:
    """What the camera accepted, in its order: request, and the answer that counts."""
    with closing(sqlite3.connect(supervisor.settings.layout.requests(CAMERA))) as log:
        return log.execute("SELECT request_id, result_message_id FROM requests ORDER BY boot, seq").fetchall()


def memory_kb(pid: int) -> int:
    """What a process holds at this moment (VmRSS)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0])


@contextmanager
def many_files(wanted: int) -> Iterator[int]:
    """As many open files as `wanted` for this process and those it starts, where that is allowed; what there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, room), hard))
    try:
        yield max(soft, room) - len(list(Path("/proc/self/fd").iterdir()))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

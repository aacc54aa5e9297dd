"""The alerts role on the memory bus and on a real Mosquitto: what others see of it."""

import asyncio
import base64
import io
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
from PIL import Image

from roost_broker.clock import MS, SECOND, SystemClock, VirtualClock
from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import (
    Answer,
    Availability,
    DeadLetter,
    Info,
    Input,
    Result,
    RoleState,
    Snapshot,
    decode,
    encode,
)
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics
from roost_edge.alerts.device import Device, availability_will
from roost_edge.alerts.role import AlertsRole
from roost_edge.alerts.settings import AlertSettings

NODE = NodeTopics("coop-1")
TASK = NODE.task("henhouse")
CLOCK = SystemClock()
PATIENT = AlertSettings(end_after_s=600, update_interval_s=0, cooldown_s=0)
QUICK = AlertSettings(end_after_s=0.2, update_interval_s=0, cooldown_s=0)


def picture(frames):
    out = io.BytesIO()
    Image.new("RGB", (640, 480), (120, 90, 30)).save(out, "JPEG")
    return frames.put(out.getvalue(), width=640, height=480)


def result(label="egg", *, score=0.9, frame=None, camera="nest", request_id=None):
    wall = CLOCK.wall_ns()
    return Result(
        timestamp=wall // MS,
        message_id=new_id(wall),
        request_id=request_id or new_id(wall),
        cause="preferred",
        answer=Answer(model="champion", version="1", label=label, score=score),
        elapsed_ms=10.0,
        sla_ms=2000,
        tags={"camera": camera},
        input=Input(frame=frame),
    )


class Listener:
    """A stranger who reads the device's topics; `until` waits for what it is told to wait for."""

    def __init__(self, bus):
        self.bus = bus
        self.messages = []
        self._news = asyncio.Event()
        bus.subscribe("roost/#", self._take)

    def _take(self, delivery):
        self.messages.append((delivery.topic, delivery.payload))
        self._news.set()
        delivery.ack()

    def alerts(self):
        return [decode(payload) for topic, payload in self.messages if topic == NODE.camera("nest").events]

    def types(self):
        return [(alert.type, alert.label, alert.requests) for alert in self.alerts()]

    def of(self, kind):
        found = []
        for _, payload in self.messages:
            if isinstance(decode(payload), kind):
                found.append(decode(payload))
        return found

    def on(self, topic):
        return [payload for there, payload in self.messages if there == topic]

    async def until(self, condition):
        async with asyncio.timeout(60):
            while not condition():
                self._news.clear()
                await self._news.wait()


async def eventually(condition):
    """Give other tasks their turns until something is so that nobody says on the broker."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.to_thread(lambda: None)


class Fabric:
    """Buses of one kind. `kind` is memory or mosquitto."""

    def __init__(self, kind, folder):
        self.kind = kind
        self.memory = MemoryBroker()
        self.private = PrivateBroker(folder / "broker")

    def bus(self, client_id, will=None):
        if self.kind == "memory":
            return MemoryBus(self.memory, client_id, will=will)
        return MqttBus(self.private.settings(), client_id, will=will)


@pytest.fixture(params=["memory", pytest.param("mosquitto", marks=pytest.mark.broker)])
def fabric(request, tmp_path):
    made = Fabric(request.param, tmp_path)
    if request.param == "mosquitto":
        made.private.start()
    yield made
    made.private.stop()


@asynccontextmanager
async def listening(bus):
    listener = Listener(bus)
    await bus.start()
    try:
        yield listener
    finally:
        await bus.stop()


def make_role(bus, folder, settings, *, session=1, clock=CLOCK):
    return AlertsRole(
        bus,
        NODE,
        (TASK,),
        settings,
        FrameStore(folder / "frames"),
        device=Device(cameras=("nest",), models={"champion": "1.0"}),
        outbox=folder / "alerts.db",
        clock=clock,
        session=session,
    )


@asynccontextmanager
async def working(fabric, folder, settings, *, session=1):
    bus = fabric.bus("coop-1-alerts", availability_will(NODE, session, CLOCK))
    role, stop = make_role(bus, folder, settings, session=session), asyncio.Event()
    running = asyncio.create_task(role.run(stop))
    try:
        yield role
    finally:
        stop.set()
        await running


def test_results_become_new_update_end_with_a_snapshot_and_the_device_says_who_it_is(fabric, tmp_path):
    async def scene():
        frame = picture(FrameStore(tmp_path / "frames"))
        async with listening(fabric.bus("stranger")) as stranger:
            async with working(fabric, tmp_path, QUICK):
                await stranger.until(lambda: any(state.state == "ready" for state in stranger.of(RoleState)))
                first, second = result(frame=frame, score=0.7), result(frame=frame, score=0.8)
                for message in (result("empty_nest", score=0.1), first, second):
                    stranger.bus.publish(TASK.results("nest"), encode(message))
                await stranger.until(lambda: len(stranger.alerts()) == 3)
                await stranger.until(lambda: stranger.on(NODE.camera("nest").snapshot))
            await stranger.until(lambda: stranger.of(Availability)[-1].state == "offline")
            return stranger, first, second

    stranger, first, second = asyncio.run(scene())
    assert stranger.types() == [("new", "egg", 1), ("update", "egg", 2), ("end", "egg", 2)]
    end = stranger.alerts()[-1]
    assert (end.alert_id, end.request_id, end.score) == (first.request_id, second.request_id, 0.8)
    assert (end.started_at, end.last_at) == (first.timestamp, second.timestamp)
    (info,) = stranger.of(Info)
    assert (info.node, info.tasks, info.cameras, info.models) == ("coop-1", ["henhouse"], ["nest"], {"champion": "1.0"})
    assert [one.state for one in stranger.of(Availability)] == ["online", "offline"]
    (snapshot, *_) = stranger.of(Snapshot)
    assert snapshot.label == "egg"
    shown = Image.open(io.BytesIO(base64.b64decode(snapshot.picture)))
    assert shown.size == (320, 240)


def test_what_is_no_result_goes_to_the_dead_letters_and_the_role_works_on(fabric, tmp_path):
    async def scene():
        async with listening(fabric.bus("stranger")) as stranger, working(fabric, tmp_path, PATIENT):
            await stranger.until(lambda: stranger.of(Info))
            info = encode(stranger.of(Info)[0])
            stranger.bus.publish(TASK.results("nest"), b"{not json")
            stranger.bus.publish(TASK.results("nest"), info)
            stranger.bus.publish(TASK.results("nest"), encode(result()))
            await stranger.until(lambda: stranger.alerts() and len(stranger.on(TASK.deadletter)) == 2)
            return [decode(payload) for payload in stranger.on(TASK.deadletter)]

    letters = asyncio.run(scene())
    assert all(isinstance(letter, DeadLetter) and letter.reader == "alerts" for letter in letters)
    assert letters[1].reason == "This is of the kind Info, and only results belong here."


def test_a_frame_that_is_gone_costs_the_snapshot_and_not_the_alert(tmp_path):
    fabric = Fabric("memory", tmp_path)

    async def scene():
        frames = FrameStore(tmp_path / "frames")
        frame = picture(frames)
        frames.remove(frame.sha256)
        async with listening(fabric.bus("stranger")) as stranger:
            async with working(fabric, tmp_path, QUICK) as role:
                await stranger.until(lambda: stranger.of(Info))
                stranger.bus.publish(TASK.results("nest"), encode(result(frame=frame)))
                await stranger.until(lambda: len(stranger.alerts()) == 2)
            return role.counts

    counts = asyncio.run(scene())
    assert counts["snapshot-frame-missing"] == 1
    assert counts["new"] == 1


def test_a_frame_that_cannot_be_read_costs_the_snapshot_and_not_the_role(tmp_path):
    fabric = Fabric("memory", tmp_path)

    async def scene():
        frames = FrameStore(tmp_path / "frames")
        frame = picture(frames)
        frames.remove(frame.sha256)
        frames.path(frame.sha256).mkdir()  # reading it is an OSError, as on a failing card
        async with listening(fabric.bus("stranger")) as stranger:
            async with working(fabric, tmp_path, QUICK) as role:
                await stranger.until(lambda: stranger.of(Info))
                stranger.bus.publish(TASK.results("nest"), encode(result(frame=frame)))
                await stranger.until(lambda: len(stranger.alerts()) == 2)
                await eventually(lambda: role.counts["snapshot-failed"])
            return role.counts

    assert asyncio.run(scene())["new"] == 1


def test_an_outbox_that_fails_ends_the_role_with_its_reason_and_says_that_nobody_is_there(tmp_path):
    fabric = Fabric("memory", tmp_path)

    async def scene():
        async with listening(fabric.bus("stranger")) as stranger:
            role = make_role(fabric.bus("coop-1-alerts"), tmp_path, PATIENT)
            running = asyncio.create_task(role.run(asyncio.Event()))
            await stranger.until(lambda: stranger.of(Info))
            with sqlite3.connect(tmp_path / "alerts.db") as other:
                other.execute("DROP TABLE sighting")
            other.close()
            stranger.bus.publish(TASK.results("nest"), encode(result()))
            with pytest.raises(sqlite3.OperationalError, match="no such table"):
                await running
            await stranger.until(lambda: stranger.of(Availability)[-1].state == "offline")
            return stranger.of(RoleState)[-1]

    state = asyncio.run(scene())
    assert state.state == "failed"
    assert "no such table" in state.detail


def test_while_the_broker_is_away_sightings_end_and_their_alerts_follow_when_it_is_back(tmp_path):
    fabric = Fabric("memory", tmp_path)

    async def scene():
        async with listening(fabric.bus("stranger")) as stranger, working(fabric, tmp_path, QUICK) as role:
            await stranger.until(lambda: stranger.of(Info))
            stranger.bus.publish(TASK.results("nest"), encode(result()))
            await stranger.until(lambda: stranger.alerts())
            fabric.memory.cut("coop-1-alerts", hold=True)
            await eventually(lambda: role.counts["end"])
            assert stranger.types() == [("new", "egg", 1)]
            fabric.memory.restore("coop-1-alerts")
            await stranger.until(lambda: len(stranger.alerts()) == 2)
            return stranger

    stranger = asyncio.run(scene())
    assert stranger.types() == [("new", "egg", 1), ("end", "egg", 1)]
    assert [one.state for one in stranger.of(Availability)][:3] == ["online", "offline", "online"]


def test_a_broker_that_forgot_everything_is_told_again_what_is_retained(tmp_path):
    fabric = Fabric("memory", tmp_path)

    async def scene():
        frame = picture(FrameStore(tmp_path / "frames"))
        async with listening(fabric.bus("stranger")) as stranger, working(fabric, tmp_path, PATIENT):
            await stranger.until(lambda: stranger.of(Info))
            stranger.bus.publish(TASK.results("nest"), encode(result(frame=frame)))
            await stranger.until(lambda: stranger.on(NODE.camera("nest").snapshot))
            fabric.memory.restart(forget=True)
            await stranger.until(lambda: len(stranger.on(NODE.camera("nest").snapshot)) == 2)
            return [fabric.memory.retained(topic) for topic in (NODE.availability, NODE.info, NODE.role("alerts"))]

    assert all(asyncio.run(scene()))


def test_the_next_process_goes_on_with_the_open_sighting_and_knows_what_was_counted(fabric, tmp_path):
    async def scene():
        async with listening(fabric.bus("stranger")) as stranger:
            first = encode(result())
            async with working(fabric, tmp_path, PATIENT):
                await stranger.until(lambda: stranger.of(Info))
                stranger.bus.publish(TASK.results("nest"), first)
                await stranger.until(lambda: len(stranger.alerts()) == 1)
            async with working(fabric, tmp_path, QUICK, session=2) as role:
                stranger.bus.publish(TASK.results("nest"), first)
                await stranger.until(lambda: stranger.types()[-1][0] == "end")
                await eventually(lambda: role.counts["duplicate"])
            return stranger.types()

    assert asyncio.run(scene()) == [("new", "egg", 1), ("end", "egg", 1)]


def test_an_alert_that_nobody_fetched_expires_at_the_broker(tmp_path):
    async def scene():
        clock = VirtualClock()
        broker = MemoryBroker(clock=clock)
        role, stop = make_role(MemoryBus(broker, "coop-1-alerts"), tmp_path, PATIENT), asyncio.Event()
        phone = MemoryBus(broker, "phone")
        Listener(phone)
        await phone.start()
        await phone.stop()
        running = asyncio.create_task(role.run(stop))
        source = MemoryBus(broker, "source")
        await source.start()
        await eventually(lambda: broker.retained(NODE.info))
        source.publish(TASK.results("nest"), encode(result()))
        await eventually(lambda: role.counts["published"])
        clock.advance(PATIENT.expiry_s * SECOND)
        again = MemoryBus(broker, "phone")
        listener = Listener(again)
        await again.start()
        await listener.until(lambda: listener.of(Info))
        for bus in (source, again):
            await bus.stop()
        stop.set()
        await running
        return listener.alerts()

    assert asyncio.run(scene()) == []


def test_told_to_stop_before_the_broker_was_ever_there_it_stops(tmp_path):
    async def scene():
        broker = MemoryBroker()
        broker.stop()
        stop = asyncio.Event()
        running = asyncio.create_task(make_role(MemoryBus(broker, "coop-1-alerts"), tmp_path, PATIENT).run(stop))
        await asyncio.to_thread(lambda: None)
        stop.set()
        async with asyncio.timeout(60):
            await running

    asyncio.run(scene())


CHILD = """
import asyncio, sys
from pathlib import Path
from roost_broker.clock import SystemClock
from roost_broker.frames import FrameStore
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics
from roost_edge.alerts.device import Device, availability_will
from roost_edge.alerts.role import AlertsRole
from roost_edge.alerts.settings import AlertSettings

folder, port, session, end_after = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
node, clock = NodeTopics("coop-1"), SystemClock()
bus = MqttBus(BrokerSettings(port=port), "coop-1-alerts", will=availability_will(node, session, clock))
role = AlertsRole(
    bus, node, (node.task("henhouse"),),
    AlertSettings(end_after_s=end_after, update_interval_s=0, cooldown_s=0),
    FrameStore(folder / "frames"), device=Device(cameras=("nest",)), outbox=folder / "alerts.db",
    clock=clock, session=session,
)
asyncio.run(role.run(asyncio.Event()))
"""


@pytest.mark.broker
@pytest.mark.processes
def test_killed_with_9_again_and_again_every_result_is_told_in_exactly_one_sighting(tmp_path):
    results = [result(f"label-{number % 5}") for number in range(60)]

    def start(port, session, end_after):
        command = [sys.executable, "-c", CHILD, str(tmp_path), str(port), str(session), str(end_after)]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def counted(alerts):
        newest = {}
        for alert in alerts:
            newest[alert.label] = max(newest.get(alert.label, 0), alert.requests)
        return sum(newest.values())

    async def scene(broker):
        async with listening(MqttBus(broker.settings(), "stranger")) as stranger:
            for session, part in enumerate((results[:20], results[20:40], results[40:], []), start=1):
                # The last process is the first that lets sightings end, so that all results of a label are of one.
                child = start(broker.port, session, 600 if session < 4 else 0.5)
                told = len(stranger.alerts())
                await stranger.until(
                    lambda session=session: (
                        stranger.of(Availability)[-1:] and (stranger.of(Availability)[-1].session == session)
                    )
                )
                for message in part:
                    stranger.bus.publish(TASK.results("nest"), encode(message))
                if session < 4:
                    enough = 60 if session == 3 else 0
                    await stranger.until(
                        lambda told=told, enough=enough: (
                            len(stranger.alerts()) > told + 4 and counted(stranger.alerts()) >= enough
                        )
                    )
                    os.kill(child.pid, signal.SIGKILL)
                    child.wait()
                    continue
                await stranger.until(lambda: sum(alert.type == "end" for alert in stranger.alerts()) >= 5)
                child.kill()
                child.wait()
            return stranger.alerts()

    with PrivateBroker(tmp_path / "broker") as broker:
        alerts = list({alert.message_id: alert for alert in asyncio.run(scene(broker))}.values())
    ends = [alert for alert in alerts if alert.type == "end"]
    news = [alert for alert in alerts if alert.type == "new"]
    assert sorted(alert.label for alert in ends) == [f"label-{n}" for n in range(5)]
    assert sorted(alert.alert_id for alert in news) == sorted(alert.alert_id for alert in ends)
    assert [alert.requests for alert in ends] == [12] * 5
    for end in ends:
        story = [alert.requests for alert in alerts if alert.alert_id == end.alert_id]
        assert story == sorted(story)

"""A roll-out with everything real but the devices: registry, broker, sessions, the controller's shell."""

import asyncio
from pathlib import Path

import pytest
from fleet_world import NAME, TASK, Centre, bundle, simulation

from roost_broker.bus import Delivery
from roost_broker.clock import SystemClock
from roost_broker.messages import Event, decode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_models.rollout import planning, watching
from roost_models.rollout.actions import Command
from roost_models.rollout.conducting import Conducting
from roost_models.rollout.document import BundleRef
from roost_models.rollout.documents import RegistryDocuments
from roost_models.rollout.keeping import RolloutBook
from roost_models.rollout.policy import Baseline, Policy
from roost_models.rollout.progress import Order, Progress
from roost_models.rollout.sources import BrokerSource

pytestmark = [pytest.mark.broker]
DEVICES = 30
QUICK = Policy(min_dwell_s=1.5, settle_s=1, max_dwell_s=60, quiet_s=30, hold_s=5)


def conducting(centre: Centre, new: BundleRef, old: BundleRef, nodes: list[str], rollout_id: str) -> Conducting:
    plan = planning.make(
        QUICK,
        Baseline(previous=0.98),
        devices=len(nodes),
        requests_per_day=100 * 86_400,
        rollout_id=rollout_id,
        nodes=nodes,
    )
    order = Order(rollout_id=rollout_id, task=TASK, bundle=new, previous=old, plan=plan, author="ann")
    book = RolloutBook(centre.layout.rollouts)
    documents = RegistryDocuments(centre.layout.registry)
    return Conducting(Progress(order=order), book, documents, centre.lifecycle, SystemClock())


async def rolled_out(work: Conducting, port: int) -> None:
    work.order(Command("start", "ann", "it is better"))
    async with asyncio.timeout(100):
        await watching.watch(work, BrokerSource(BrokerSettings(port=port)), asyncio.Event(), tick_s=0.1)


def test_a_good_bundle_reaches_every_device_and_a_bad_one_after_it_is_halted_and_taken_back(tmp_path: Path) -> None:
    one, two, bad = (bundle(tmp_path / "made", *what) for what in (("1", 128), ("2", 130), ("3", 60)))
    centre = Centre(tmp_path / "centre")
    old, new, worse = centre.publish(one, two, bad)

    events: list[Event] = []

    def take(delivery: Delivery) -> None:
        delivery.ack()
        event = decode(delivery.payload)
        assert isinstance(event, Event)
        events.append(event)

    async def story(port: int) -> None:
        bus = MqttBus(BrokerSettings(port=port, session_expiry_s=0), "metrics")
        bus.subscribe("roost/centre/event", take)
        await bus.start()
        fleet = simulation(centre, tmp_path, port, one, devices=DEVICES)
        nodes = list(fleet.devices)
        stop = asyncio.Event()
        running = asyncio.ensure_future(fleet.run(stop))

        good = conducting(centre, new, old, nodes, "breeds-2")
        await rolled_out(good, port)
        assert good.controller.progress.state == "complete", good.controller.progress.reason
        assert all(device.active.digest == new.digest for device in fleet.devices.values())

        halted = conducting(centre, worse, new, nodes, "breeds-3")
        await rolled_out(halted, port)
        assert halted.controller.progress.state == "aborted"
        assert "previous" in halted.controller.progress.reason
        assert all(device.active.digest == new.digest for device in fleet.devices.values())
        assert not any(worse.digest in device.ever_served for device in fleet.devices.values())
        stop.set()
        await running
        await bus.stop(forget=True)

    with PrivateBroker(tmp_path / "broker") as broker:
        asyncio.run(story(broker.port))

    phases = {ref.version: centre.lifecycle.phase(ref.digest) for ref in (new, worse)}
    assert phases == {"2": "production", "3": "preproduction"}
    assert [entry.evidence["rollout"] for entry in centre.lifecycle.entries() if "rollout" in entry.evidence][-1] == (
        "breeds-3"
    )
    book = RolloutBook(centre.layout.rollouts)
    assert (book.untold("breeds-2"), book.untold("breeds-3")) == ([], [])
    assert [event.kind for event in events][-1] == "rollout-aborted"
    assert len(events) == len(book.markers("breeds-2")) + len(book.markers("breeds-3"))
    assert [marker.kind for marker in book.markers("breeds-3")] == ["rollout-step", "rollout-aborted"]
    published = centre.registry.rollout(TASK, NAME)
    assert published is not None
    assert (published.rollout_id, published.state) == ("breeds-3", "aborted")

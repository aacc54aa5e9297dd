"""P6 with real processes: a camera that hangs is told of, its process is ended and a fresh one delivers again."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from device_folder import CAMERA, TASK, write_bundle, write_schedule, write_settings

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SECOND
from roost_broker.messages import RoleState, StoreState, decode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_edge.processes.restart import RestartPolicy
from roost_edge.processes.supervisor import Supervisor

pytestmark = [pytest.mark.broker, pytest.mark.processes]

NODE = "hanging"
QUICK = RestartPolicy(first_ns=20 * MS, ceiling_ns=SECOND, healthy_ns=10 * SECOND, jitter=0.5)
SQUARE = {"source": "synthetic", "scene": "roost_edge.sources.test_scene:MovingSquare", "width": 160, "height": 120}
HANGS = f'[[cameras.{CAMERA}.faults]]\nkind = "hang"\nat_frame = 20\n[store]\nlook_s = 1\n'


@pytest.fixture
def settings(tmp_path: Path, own_mosquitto: PrivateBroker) -> Path:
    write_bundle(tmp_path, "bright")
    write_schedule(tmp_path, "bright")
    limits = {"late_s": 0.3, "stall_s": 1.0}
    where = {"node": NODE, "port": own_mosquitto.port, "bundles": {"bright": "bright"}}
    file = write_settings(tmp_path, **where, camera=SQUARE, capture=limits)
    text = file.read_text(encoding="utf-8").replace("[node]\n", "[node]\nqa = true\n")
    file.write_text(text + HANGS, encoding="utf-8")
    return file


def test_a_camera_that_hangs_is_told_of_and_delivers_again_from_a_fresh_process_without_a_person(
    run: Callable[..., Any], settings: Path
) -> None:
    async def main() -> tuple[list[RoleState], list[StoreState]]:
        supervisor = Supervisor(settings, policy=QUICK)
        bus = MqttBus(supervisor.settings.broker, f"{NODE}-listener")
        states, stores, enough = list[RoleState](), list[StoreState](), asyncio.Event()

        def take(delivery: Delivery) -> None:
            delivery.ack()
            message = decode(delivery.payload)
            if isinstance(message, RoleState):
                states.append(message)
            elif isinstance(message, StoreState):
                stores.append(message)
            first = min((state.session for state in states), default=0)
            again = [state for state in states if state.session > first and state.counts.get("frames", 0) > 10]
            if again and any(len(store.keepers) == 2 and not store.alarms for store in stores):
                enough.set()

        bus.subscribe(supervisor.settings.topics.role(f"capture-{CAMERA}"), take)
        bus.subscribe(supervisor.settings.topics.store, take)
        await bus.start()
        try:
            await supervisor.start()
            await enough.wait()
        finally:
            await supervisor.stop()
            await bus.stop()
        return states, stores

    states, stores = run(main(), timeout=120)
    first = [state for state in states if state.session == states[0].session]
    failed = [state.detail for state in first if state.state == "failed"]
    assert "has delivered nothing for 0.3 s. It is given up on after 1 s." in failed[0]
    assert "has delivered nothing for 1 s" in failed[-1]
    assert set(stores[-1].keepers) == {f"decoy-{TASK}", f"capture-{CAMERA}"}

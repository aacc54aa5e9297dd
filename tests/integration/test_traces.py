"""Traces through the whole flow: real processes on a real Mosquitto, one picture asked about, put together again."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from device_folder import write_bundle, write_pictures, write_settings
from requester import Requester
from task_device import Device, schedule

from roost_broker.bus import Delivery
from roost_broker.errors import Malformed
from roost_broker.messages import Diagnostics, RoleState, Trace, decode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics
from roost_edge.processes.supervisor import Supervisor
from roost_rendezvous.traces.knit import Bar, Knit, knit
from roost_rendezvous.traces.store import TraceReader

pytestmark = [pytest.mark.broker, pytest.mark.processes]

NODE = "traced"
ROOST = "import sys; from roost_edge.cli import main; sys.exit(main())"
SLOW_MS = 700
SCHEDULE = """
task = "henhouse"
sla_ms = 2000
ignore = ["third"]
[[step]]
after_ms = 0
accept = ["quick"]
[[step]]
after_ms = 1500
accept = ["quick", "slow"]
[default]
after_ms = 1900
label = "unknown"
"""
ANSWERS = """
def predict(image, context):
    return {"here": 1.0}
"""


@pytest.fixture
def settings(tmp_path: Path, own_mosquitto: PrivateBroker) -> Path:
    """A camera, three models of which one is slow, and a monitor that does not wait long."""
    for name in ("quick", "slow", "third"):
        write_bundle(tmp_path, name)
    write_pictures(tmp_path, 200)
    (tmp_path / "schedule.toml").write_text(SCHEDULE, encoding="utf-8")
    path = write_settings(
        tmp_path,
        node=NODE,
        port=own_mosquitto.port,
        bundles={name: name for name in ("quick", "slow", "third")},
        capture={"max_requests": 1},
    )
    text = path.read_text(encoding="utf-8").replace("[node]\n", "[node]\nqa = true\n")
    path.write_text(text + "[traces]\nsettle_ms = 1500\nflush_ms = 50\n", encoding="utf-8")
    return path


async def heard(port: int, topic: str, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """Messages of a topic until there are enough of them."""
    bus = MqttBus(BrokerSettings(port=port, session_expiry_s=0), f"{NODE}-ear")
    done, found = asyncio.Event(), list[Any]()

    def take(delivery: Delivery) -> None:
        with suppress(Malformed):
            found.append(decode(delivery.payload))
        if enough(found):
            done.set()
        delivery.ack()

    bus.subscribe(topic, take)
    await bus.start()
    await done.wait()
    await bus.stop(forget=True)
    return found


def roost(*words: str, settings: Path) -> str:
    command = [sys.executable, "-c", ROOST, *words, "--settings", str(settings)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def bars_of(whole: Knit) -> dict[tuple[str, str], Bar]:
    return {(bar.component, bar.name): bar for bar in whole.bars}


def test_one_request_gives_one_trace_whose_steps_are_in_order_and_the_slow_model_runs_on_in_it(
    run: Callable[..., Any], settings: Path, own_mosquitto: PrivateBroker
) -> None:
    def ran_on(states: list[RoleState]) -> bool:
        return "ran-on henhouse/slow" in states[-1].counts

    async def main() -> tuple[RoleState, str]:
        supervisor = Supervisor(settings, faults={"model-henhouse-slow": f"slow:{SLOW_MS}"})
        try:
            await supervisor.start()
            await supervisor.wait_ready(60)
            state = (await heard(own_mosquitto.port, NodeTopics(NODE).role("monitor"), ran_on))[-1]
            return state, await asyncio.to_thread(roost, "trace", "last", "--width", "100", settings=settings)
        finally:
            await supervisor.stop()

    state, picture = run(main(), timeout=120)
    reader = TraceReader(settings.parent / "data" / "traces.db")
    [stored] = reader.newest(10)
    reader.close()
    whole = knit(stored.request_id, stored.messages)
    bars = bars_of(whole)
    assert {component for component, _ in bars} == {
        *("capture-nest", "injector", "rendezvous", "decoy"),
        *("model quick", "model slow", "model third"),
    }
    assert not any(bar.by_wall for bar in whole.bars)
    assert whole.trace_parent == f"00-{whole.request_id}-{whole.request_id[16:]}-01"
    steps = [("capture-nest", "trigger"), ("capture-nest", "encode"), ("capture-nest", "store"), ("injector", "inject")]
    order = [bars[step] for step in (*steps, ("model quick", "evaluate"))]
    assert [bar.start_ns for bar in order] == sorted(bar.start_ns for bar in order)
    assert bars["capture-nest", "accept"].end_ns <= bars["injector", "inject"].start_ns
    assert bars["injector", "inject"].end_ns <= bars["rendezvous", "wait"].start_ns
    quick, decided = bars["model quick", "evaluate"], bars["rendezvous", "wait"]
    assert quick.end_ns <= decided.end_ns == whole.answered_ns
    assert bars["rendezvous", "wait"].attributes["model"] == "quick"
    parts = {part.model: part for part in whole.parts}
    assert parts["quick"].official
    assert parts["quick"].ran_on_ns == 0
    assert SLOW_MS / 2 <= parts["slow"].ran_on_ns / 1e6 <= bars["model slow", "evaluate"].end_ns / 1e6
    assert bars["rendezvous", "late"].attributes["model"] == "slow"
    assert state.counts["ran-on henhouse/slow"] == 1
    assert state.counts["ran-on-ms henhouse/slow"] == pytest.approx(parts["slow"].ran_on_ns / 1e6, abs=1)
    assert "★ quick" in picture
    assert re.search(r"▒{10,}", picture)
    assert "slow ran on for" in picture
    totals = json.loads(roost("trace", "--summary", "--json", settings=settings))["ranOn"]
    summed = next(one for one in totals if one["model"] == "slow")
    assert summed["requests"] == 1
    assert summed["seconds"] == pytest.approx(parts["slow"].ran_on_ns / 1e9, abs=0.001)


@pytest.mark.parametrize("qa", [True, False])
def test_at_share_0_only_a_request_that_asks_in_qa_is_traced_and_elsewhere_the_wish_is_refused(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker, qa: bool
) -> None:
    device = Device(tmp_path, own_mosquitto, qa=qa)
    device.task(schedule((0, ["only"])), only=ANSWERS)
    with device.settings.open("a", encoding="utf-8") as file:
        file.write("[traces]\nshare = 0.0\nsettle_ms = 200\nflush_ms = 50\n")
    told = list[Trace]()

    def take(delivery: Delivery) -> None:
        message = decode(delivery.payload)
        assert isinstance(message, Trace)
        told.append(message)
        delivery.ack()

    async def main() -> tuple[str, str, dict[str, int]]:
        ear = MqttBus(BrokerSettings(port=own_mosquitto.port, session_expiry_s=0), f"{NODE}-ear")
        ear.subscribe(device.topics.task("nest").traces, take)
        async with device.up(), Requester(device) as requester:
            await ear.start()
            plain = requester.ask()
            asking = requester.ask(diagnostics=Diagnostics(trace=True))
            await requester.answered(plain, asking)
            await requester.until(lambda: {plain, asking} <= requester.receipts.keys())
            await requester.until(lambda: requester.counts["rendezvous-nest"].get("preferred") == 2)
            counts = dict(requester.counts["rendezvous-nest"])
        await ear.stop()
        return plain, asking, counts

    _plain, asking, counts = run(main(), timeout=120)
    if qa:
        assert {trace.request_id for trace in told} == {asking}
        assert {trace.component for trace in told} >= {"injector", "rendezvous", "model only"}
        assert "diagnostics-refused-trace" not in counts
    else:
        assert told == []
        assert counts["diagnostics-refused-trace"] == 1

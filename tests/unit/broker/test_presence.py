import asyncio
from collections.abc import Callable
from typing import Any

from roost_broker.clock import VirtualClock
from roost_broker.headers import add_hop, new_header
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import RoleState, decode
from roost_broker.presence import RolePresence, role_will
from roost_broker.topics import NodeTopics
from roost_broker.version import VERSION

DEVICE = NodeTopics("coop")


def state(payload: bytes | None) -> RoleState:
    assert payload is not None
    message = decode(payload)
    assert isinstance(message, RoleState)
    return message


def test_a_role_that_is_cut_off_is_gone_and_when_it_returns_it_is_ready_again(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        broker, clock = MemoryBroker(), VirtualClock()
        bus = MemoryBus(broker, "decoy", will=role_will(DEVICE, "decoy", 7, clock))
        counts = {"archived": 3}
        presence = RolePresence(bus, DEVICE, "decoy", session=7, clock=clock, counts=lambda: counts)
        back = asyncio.Event()
        await bus.start()
        ready = presence.ready("at work")
        assert ready is not None
        await ready
        topic = DEVICE.role("decoy")
        first = state(broker.retained(topic))
        assert (first.state, first.session, first.detail, first.counts) == ("ready", 7, "at work", {"archived": 3})
        assert first.version == VERSION
        broker.cut("decoy", hold=True)
        assert (state(broker.retained(topic)).state, state(broker.retained(topic)).session) == ("gone", 7)
        counts["archived"] = 4
        bus.on_connection(lambda up: back.set() if up else None)
        broker.restore("decoy")
        await back.wait()
        stopped = bus.publish("roost/coop/event", b"")  # behind the state
        await stopped
        again = state(broker.retained(topic))
        assert (again.state, again.counts) == ("ready", {"archived": 4})
        presence.stopped()
        await bus.stop()
        assert state(broker.retained(topic)).state == "stopped"

    run(scenario())


def test_nothing_is_said_before_the_first_state_and_a_full_queue_is_no_error(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        bus = MemoryBus(broker, "role", max_queued=1)
        presence = RolePresence(bus, DEVICE, "role", session=1, clock=VirtualClock())
        assert presence.publish() is None
        assert presence.starting() is not None
        assert presence.failed("no camera") is None  # the queue holds one
        await bus.start()
        await bus.stop()
        assert broker.retained(DEVICE.role("role")) is not None

    run(scenario())


def test_a_header_names_the_hop_and_passing_on_keeps_the_newest_32() -> None:
    clock = VirtualClock(wall_ns=1_501_020_498_314_000_000)
    head = new_header(clock, "coop-1", "capture")
    assert head.timestamp == 1_501_020_498_314
    assert int(head.message_id[:12], 16) == head.timestamp
    assert [(hop.node, hop.component, hop.at) for hop in head.provenance.path] == [
        ("coop-1", "capture", head.timestamp)
    ]
    long = head.provenance
    for number in range(40):
        long = add_hop(long, clock, "coop-1", f"c{number}")
    assert len(long.path) == 32
    assert long.path[-1].component == "c39"

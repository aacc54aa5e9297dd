"""S4: ten thousand devices come back at once, as after an outage of what they are all connected to.

Sockets and sessions are real, and so are the servers: Mosquitto, where sessions wait, and NATS, which is what the
gateways of a fleet are connected to. Of each device there is what concerns coming back (`many_devices`). Without TLS:
ten thousand handshakes on both sides would be a test of two cores. That attempts are spread is shown for the policy
itself in `unit/broker/test_reconnect_fleet.py`.
"""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from gateway_world import everything, make_streams
from many_devices import ManyDevices, MqttMember
from many_gateways import GatewayMember
from msgspec import structs
from whole_device import many_files

from roost_broker.centre.nats_server import PrivateNats
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus

pytestmark = [pytest.mark.broker, pytest.mark.processes]
Run: TypeAlias = Callable[..., Any]
MANY, FEWEST = 10_000, 1_000
_OTHER_FILES = 500


@pytest.fixture
def count() -> Iterator[int]:
    """Ten thousand, where this process may open so many sockets; else as many as it may."""
    with many_files(2 * MANY) as files:
        room = min(MANY, files - _OTHER_FILES)
        if room < FEWEST:
            pytest.skip(f"Only {files} files may be open here, and each device is a socket (ulimit -n).")
        yield room


async def publish_to_each(
    broker: PrivateBroker, fleet: ManyDevices[MqttMember], kind: int, word: str, *, retain: bool
) -> None:
    """One message for each device on one of its topics; the broker has them all when this returns."""
    settings = structs.replace(broker.settings(), max_queued=2 * MANY, session_expiry_s=0)
    bus = MqttBus(settings, f"operator-{word}")
    await bus.start()
    told = [
        bus.publish(member.topics[kind], f"{word} {member.name}".encode(), retain=retain) for member in fleet.members
    ]
    await asyncio.gather(*told)
    await bus.stop()


def test_ten_thousand_come_back_at_once_and_each_has_its_session_its_orders_and_what_is_retained(
    run: Run, tmp_path: Path, count: int
) -> None:
    """
    1. All are connected, each with a retained message. 2. All are cut off. 3. Each is ordered something meanwhile.
    4. The broker restarts; while it is away all try to come back, and are refused. 5. It is there, and all come.
    """

    async def story(broker: PrivateBroker) -> None:
        fleet = ManyDevices(MqttMember, count, broker.port)
        await publish_to_each(broker, fleet, 1, "schedule", retain=True)
        fleet.come()
        await fleet.until(lambda: fleet.connected == fleet.heard["schedule"] == count)
        await fleet.rest()
        await publish_to_each(broker, fleet, 0, "order", retain=False)
        await asyncio.to_thread(broker.stop, 60)
        fleet.come()
        await fleet.until(lambda: fleet.refused == count)
        await asyncio.to_thread(broker.start)
        await fleet.until(lambda: fleet.connected == count)
        await publish_to_each(broker, fleet, 0, "again", retain=False)  # comes behind what waited
        await fleet.until(lambda: fleet.heard["again"] >= count)
        for member in fleet.members:
            assert member.sessions == [False, True], f"{member.name}: {member.sessions}"
            name = member.name
            assert member.heard == {
                f"schedule {name}".encode(): 2,  # with each subscription
                f"order {name}".encode(): 1,
                f"again {name}".encode(): 1,
            }
        assert fleet.connected == count
        await fleet.rest()

    with PrivateBroker(tmp_path / "broker", start_timeout_s=60) as broker:
        run(story(broker), timeout=120)


@pytest.mark.nats
def test_ten_thousand_gateways_come_back_to_the_centre_at_once_and_nothing_that_waited_is_lost_or_doubled(
    run: Run, tmp_path: Path, count: int
) -> None:
    """
    1. All are connected; each has sent one message, whose acknowledgement got lost. 2. The centre is killed, all are
    cut off and try again. 3. Each has one more message by now. 4. The centre is back; all come, and send both.
    """

    async def story(centre: PrivateNats) -> None:
        await make_streams(centre.access())
        fleet = ManyDevices(GatewayMember, count, centre.nodes[0].settings.port)
        fleet.come()
        await fleet.until(lambda: fleet.connected == count)
        for member in fleet.members:
            member.deaf = True
            member.wait()
        await fleet.until(lambda: fleet.heard["missed"] == count)
        await asyncio.to_thread(centre.kill)
        await fleet.until(lambda: fleet.refused == count)
        for member in fleet.members:
            member.deaf = False
            member.wait()
        await asyncio.to_thread(centre.restart)
        await fleet.until(lambda: fleet.connected == count and fleet.heard["acknowledged"] == 2 * count)
        assert {len(member.waiting) for member in fleet.members} == {0}
        assert {member.repeated for member in fleet.members} == {1}, "the centre knew the one that it had"
        arrived = await everything(centre.access(), ["devices"])
        assert len(arrived) == len({envelope.key for envelope in arrived}) == 2 * count
        await fleet.rest()

    with PrivateNats(tmp_path / "nats", start_timeout_s=60) as centre:
        run(story(centre), timeout=120)

"""Reports of a fleet from the central streams, and the word that makes a device look."""

import asyncio
import signal
from pathlib import Path

import pytest
from gateway_world import NODE, GatewayProcess, make_streams
from msgspec import structs

from roost_broker.bus import Delivery
from roost_broker.centre.client import open_centre
from roost_broker.centre.nats_server import PrivateNats
from roost_broker.clock import SystemClock
from roost_broker.headers import new_header
from roost_broker.messages import Event, OtaOrder, OtaState, decode, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics
from roost_models.rollout.keeping import Marker
from roost_models.rollout.sources import CentreSource

pytestmark = [pytest.mark.broker, pytest.mark.processes]


def marker(number: int) -> Marker:
    return Marker(
        at_ms=number, rollout="hens-2", kind="rollout-step", text="", step=0, shadow=0.1, serving=0.0, number=number
    )


def test_a_report_comes_up_through_the_gateway_and_the_nudge_goes_down_to_the_device(tmp_path: Path) -> None:
    async def story(broker: PrivateBroker, nats: PrivateNats) -> None:
        asked: asyncio.Queue[bytes] = asyncio.Queue()

        def take(delivery: Delivery) -> None:
            delivery.ack()
            asked.put_nowait(delivery.payload)

        bus = MqttBus(structs.replace(broker.settings(), session_expiry_s=0), "device")
        bus.subscribe(NodeTopics(NODE).request("ota"), take)
        await bus.start()
        head = new_header(SystemClock(), NODE, "ota")
        state = OtaState(timestamp=head.timestamp, message_id=head.message_id, node=NODE, version="1")
        await bus.publish(NodeTopics(NODE).ota, encode(state), retain=True)

        async with CentreSource(nats.access()) as source, asyncio.timeout(60):
            async for heard in source.heard():
                if heard.is_report:
                    break
            assert (heard.node, decode(heard.payload)) == (NODE, state)
            await source.nudge([NODE])
            order = decode(await asked.get())
            assert isinstance(order, OtaOrder)
            assert order.do == "check"

            for place, number in [(1, 1), (1, 1), (2, 3)]:  # the first one again, as after a kill
                await source.tell(place, marker(number))
            seen: list[Event] = []
            reader = await open_centre(nats.access(), name="metrics")
            async for envelope in reader.follow("extras", start="all", nodes=["centre"]):
                event = decode(envelope.payload)
                assert isinstance(event, Event)
                seen.append(event)
                if len(seen) == 2:
                    break
            await reader.close()
            assert [event.data["number"] for event in seen] == [1, 3]
        await bus.stop(forget=True)

    with PrivateNats(tmp_path / "nats") as nats, PrivateBroker(tmp_path / "broker") as broker:
        asyncio.run(make_streams(nats.access()))
        gateway = GatewayProcess(tmp_path, broker.port, nats.urls)
        gateway.start()
        asyncio.run(story(broker, nats))
        gateway.end(signal.SIGTERM)

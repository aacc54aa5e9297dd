"""A gateway with no more rights at the central streams than docs/centre.md gives it: enough, and no more."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_world import CLOCK, DEVICE, NODE, TOPICS, everything, make_streams, request

from roost_broker.bus import Delivery
from roost_broker.centre.access import NatsAccess, connect
from roost_broker.centre.envelope import Envelope, headers_of
from roost_broker.centre.lanes import down_subject_of, subject_of
from roost_broker.centre.nats_server import NatsServer, NatsSettings
from roost_broker.gateway.role import Gateway
from roost_broker.gateway.settings import GatewaySettings
from roost_broker.headers import new_header
from roost_broker.messages import OtaOrder, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.private_process import free_port

pytestmark = pytest.mark.broker

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "centre.md"
_USERS = re.compile(r"^```text\nusers = \[\n(.*?)^\]\n```$", re.MULTILINE | re.DOTALL)
_SECRET = "a password of twenty letters"  # noqa: S105 - of this test's own server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """With the page's user, and one who may do everything."""
    folder = tmp_path_factory.mktemp("nats")
    found = _USERS.search(_PAGE.read_text(encoding="utf-8"))
    assert found is not None
    gateway, count = re.subn(r'password: "[^"]*"', f'password: "{_SECRET}"', found[1])
    assert count == 1
    users = folder / "users.conf"
    centre = f'{{ user: "centre", password: "{_SECRET}" }}'
    users.write_text(f"users = [\n{gateway.rstrip()},\n{centre}\n]\n", encoding="utf-8")
    (folder / "password").write_text(_SECRET, encoding="utf-8")
    one = NatsServer(NatsSettings(port=free_port(), folder=str(folder / "n1"), users_file=str(users)))
    one.start()
    try:
        asyncio.run(make_streams(access(one, "centre")))
        yield one
    finally:
        one.stop()


def access(server: NatsServer, user: str) -> NatsAccess:
    return NatsAccess(urls=(server.url,), user=user, password_file=str(server.folder.parent / "password"))


def test_what_the_page_gives_a_gateway_is_enough_for_it(
    server: NatsServer, own_mosquitto: PrivateBroker, tmp_path: Path, run: Any
) -> None:
    """1. It sends, and hears an order. 2. Another device sends. 3. It comes back, asks what is there, and goes on."""
    ordered = asyncio.Event()

    def order(delivery: Delivery) -> None:
        ordered.set()
        delivery.ack()

    async def gateway(session: int, tester: MqttBus, payload: bytes) -> None:
        bus = MqttBus(own_mosquitto.settings(), f"{NODE}-gateway", receive_maximum=256)
        settings = GatewaySettings(centre=access(server, NODE), gather_ms=5)
        role = Gateway(*(bus, DEVICE, settings, tmp_path / "gateway.db", []), clock=CLOCK, session=session)
        stop = asyncio.Event()
        running = asyncio.create_task(role.run(stop))
        while not bus.connected:  # noqa: ASYNC110 - its own event is not ours to wait for
            await asyncio.sleep(0.01)
        await tester.publish(TOPICS.input, payload)
        while not role.counts["receipts"] or role._dispatcher.waiting:  # noqa: ASYNC110 - counts of a role set no event
            await asyncio.sleep(0.01)
        await ordered.wait()
        stop.set()
        await running

    async def story() -> None:
        tester = MqttBus(own_mosquitto.settings(), "tester")
        tester.subscribe(DEVICE.request("ota"), order)
        await tester.start()
        centre = await connect(access(server, "centre"), name="test")
        streams = centre.jetstream()
        said = encode(OtaOrder(**new_header(CLOCK, "centre", "test")._asdict(), do="check"))
        await streams.publish(down_subject_of(DEVICE.request("ota")), said)
        payloads = [request(number)[1] for number in range(2)]
        await gateway(1, tester, payloads[0])
        other = Envelope("roost/coop-2/nest/input", b"{}", "coop-2", "2" * 32, "inputs", 1, 1)
        await streams.publish(subject_of(other.topic, "inputs"), b"{}", headers=headers_of(other))
        await gateway(2, tester, payloads[1])
        arrived = await everything(access(server, "centre"))
        assert [one.payload for one in arrived if one.node == NODE] == payloads
        await centre.close()
        await tester.stop()

    run(story(), timeout=60)


@pytest.mark.parametrize(
    "subject",
    [
        subject_of("roost/coop-2/nest/input", "inputs"),
        down_subject_of("roost/coop-1/request/ota"),
        "$JS.API.CONSUMER.DELETE.INPUTS.archive",
        "$JS.API.CONSUMER.MSG.NEXT.INPUTS.archive",
        "$JS.ACK.INPUTS.archive.1.1.1.1.1",
        "$JS.API.CONSUMER.CREATE.INPUTS.coop-1-gateway.up.inputs.roost.coop-2.>",
        "$JS.API.CONSUMER.CREATE.INPUTS",
        "$JS.API.CONSUMER.DURABLE.CREATE.INPUTS.mine",
        "$JS.API.STREAM.PURGE.INPUTS",
        "$JS.API.STREAM.MSG.GET.INPUTS",
        "$JS.API.STREAM.DELETE.INPUTS",
    ],
)
def test_a_gateway_may_neither_speak_for_others_nor_touch_what_reads_them(
    server: NatsServer, run: Any, subject: str
) -> None:
    async def story() -> str:
        from nats.aio.client import Client

        refused: asyncio.Queue[str] = asyncio.Queue()

        async def error(what: Exception) -> None:
            refused.put_nowait(str(what))

        client = Client()
        await client.connect(server.url, user=NODE, password=_SECRET, error_cb=error)
        await client.publish(subject, b"{}")
        await client.flush()
        said = await refused.get()
        await client.close()
        return said

    assert "permissions violation for publish" in run(story(), timeout=20).lower()

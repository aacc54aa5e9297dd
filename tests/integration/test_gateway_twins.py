"""Two gateways at once from copies of one outbox (a copied card): everything arrives, once, and the twin says so."""

import asyncio
import random
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_world import CLOCK, NODE, TASK, everything, make_streams, request

from roost_broker.bus import Delivery
from roost_broker.centre.access import NatsAccess, connect
from roost_broker.centre.client import open_centre
from roost_broker.centre.envelope import Envelope, headers_of
from roost_broker.centre.lanes import LANE_NAMES, subject_of
from roost_broker.centre.nats_server import PrivateNats
from roost_broker.clock import MS, SECOND
from roost_broker.gateway.link import CentreLink
from roost_broker.gateway.role import Gateway
from roost_broker.gateway.settings import GatewaySettings
from roost_broker.messages import Event, Request, decode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.reconnect import ReconnectPolicy
from roost_broker.topics import NodeTopics
from roost_models.central.archiver import Archiver
from roost_models.central.reading import CentralArchive

pytestmark = pytest.mark.broker

QUICK = ReconnectPolicy(first_ns=20 * MS, ceiling_ns=200 * MS, stable_ns=SECOND)
NOWHERE = NatsAccess(urls=("nats://127.0.0.1:9",))


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[NatsAccess]:
    with PrivateNats(tmp_path / "nats") as server:
        asyncio.run(make_streams(server.access()))
        yield server.access()


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[tuple[PrivateBroker, PrivateBroker]]:
    """One for each device: on one broker the second gateway of a name takes the session of the first."""
    with PrivateBroker(tmp_path / "broker-1") as first, PrivateBroker(tmp_path / "broker-2") as second:
        yield first, second


class Card:
    """A device's broker and its card."""

    def __init__(self, broker: PrivateBroker, folder: Path, node: str = NODE) -> None:
        folder.mkdir(exist_ok=True)
        self.broker, self.outbox = broker, folder / "gateway.db"
        self.device = NodeTopics(node)
        self.session = 0
        self.events: list[str] = []
        self.asked: list[str] = []
        self.role: Gateway

    @asynccontextmanager
    async def gateway(self, centre: NatsAccess, **more: Any) -> AsyncIterator[Gateway]:
        self.session += 1
        bus = MqttBus(self.broker.settings(), f"{self.device.node}-gateway", receive_maximum=256)
        settings = GatewaySettings(centre=centre, gather_ms=5, ack_timeout_ms=1000, **more)
        self.role = Gateway(
            *(bus, self.device, settings, self.outbox, []), clock=CLOCK, session=self.session, policy=QUICK
        )
        stop = asyncio.Event()
        running = asyncio.create_task(self.role.run(stop))
        self.tester = MqttBus(self.broker.settings(), "tester")
        self.tester.subscribe(self.device.event, self._event)
        await self.tester.start()
        try:
            while not bus.connected and not running.done():  # noqa: ASYNC110 - its own event is not ours to wait for
                await asyncio.sleep(0.01)
            yield self.role
        finally:
            stop.set()
            await running
            await self.tester.stop()

    def _event(self, delivery: Delivery) -> None:
        message = decode(delivery.payload)
        assert isinstance(message, Event)
        self.events.append(message.kind)
        delivery.ack()

    async def ask(self, first: int, count: int) -> None:
        made = [request(number) for number in range(first, first + count)]
        self.asked += [request_id for request_id, _ in made]
        await asyncio.gather(*(self.tester.publish(self.device.task(TASK).input, payload) for _, payload in made))

    async def kept(self, receipts: int) -> None:
        """Return when so many requests are in the outbox."""
        while self.role.counts["receipts"] < receipts:  # noqa: ASYNC110 - counts of a role set no event
            await asyncio.sleep(0.02)

    async def sent(self, receipts: int) -> None:
        """Return when so many requests were taken, and everything is at the centre."""
        await self.kept(receipts)
        while self.role._dispatcher.waiting:  # noqa: ASYNC110 - counts of a role set no event
            await asyncio.sleep(0.02)


async def archived(centre: NatsAccess, root: Path) -> tuple[Counter[str], Archiver]:
    """How often each message is in an archive of all that the streams hold, by its id; and who wrote that."""
    wanted = len(await everything(centre, LANE_NAMES))
    client = await open_centre(centre, name="archiver")
    stop = asyncio.Event()

    def looked() -> None:
        status = archiver.status
        if status.stored + status.duplicate + status.refused >= wanted:
            stop.set()

    archiver = Archiver(client.nats, root, stored=lambda _: looked())
    await archiver.run(stop)
    await client.close()
    found: Counter[str] = Counter()
    with CentralArchive(root) as archive:
        for row in archive.rows():
            message = decode(row.payload)
            found[message.request_id if isinstance(message, Request) else message.message_id] += 1
    return found, archiver


def copied(card: Card, to: Card) -> None:
    shutil.copy(card.outbox, to.outbox)


async def arrived_once(centre: NatsAccess, folder: Path, *cards: Card) -> None:
    """Whatever the cards asked is in the centre's archive, and nothing is there twice."""
    found, archiver = await archived(centre, folder)
    assert archiver.status.refused == 0
    assert {one for card in cards for one in card.asked} <= found.keys()
    assert [one for one, times in found.items() if times > 1] == []


def test_copies_of_an_outbox_on_two_devices_of_one_name_lose_nothing_and_double_nothing(
    run: Any, tmp_path: Path, centre: NatsAccess, brokers: tuple[PrivateBroker, PrivateBroker]
) -> None:
    """1. Some is at the centre, more waits. 2. The card is copied. 3. Both send that, and what is new to each."""
    first, second = Card(brokers[0], tmp_path / "first"), Card(brokers[1], tmp_path / "second")
    slow = {"rate_bytes_s": 60_000, "burst_bytes": 16_384}

    async def story() -> None:
        async with first.gateway(centre):
            await first.ask(0, 20)
            await first.sent(20)
        async with first.gateway(NOWHERE):
            await first.ask(20, 100)
            await first.kept(100)
        copied(first, second)
        # So slow that what one of them says of itself overtakes the requests that wait in both.
        async with first.gateway(centre, **slow), second.gateway(centre, **slow):
            await asyncio.gather(first.ask(1000, 50), second.ask(2000, 50))
            await asyncio.gather(first.sent(50), second.sent(50))
            renewed = [card for card in (first, second) if "outbox-renewed" in card.events]
            assert renewed
            assert all(card.role.counts["outbox-has-twin"] + card.role.counts["outbox-went-back"] for card in renewed)
        await arrived_once(centre, tmp_path / "archive", first, second)

    run(story(), timeout=60)


def test_an_outbox_copied_to_a_device_of_another_name_is_put_aside_and_both_devices_messages_arrive(
    run: Any, tmp_path: Path, centre: NatsAccess, brokers: tuple[PrivateBroker, PrivateBroker]
) -> None:
    """JetStream would take the same number of both, and the archive only the first."""
    first, second = Card(brokers[0], tmp_path / "first"), Card(brokers[1], tmp_path / "second", "coop-2")

    async def story() -> None:
        async with first.gateway(centre):
            await first.ask(0, 20)
            await first.sent(20)
        async with first.gateway(NOWHERE):
            await first.ask(20, 100)
            await first.kept(100)
        copied(first, second)
        async with first.gateway(centre), second.gateway(centre):
            await asyncio.gather(first.ask(1000, 100), second.ask(2000, 100))
            await asyncio.gather(first.sent(100), second.sent(100))
            assert second.role.counts["outbox-of-another"] == 1
            assert "outbox-of-another" in second.events
        assert second.outbox.with_name(f"gateway.db.of-{NODE}").is_file()
        await arrived_once(centre, tmp_path / "archive", first, second)

    run(story(), timeout=60)


def test_two_links_of_one_name_that_ask_at_once_hinder_each_other_and_never_answer_wrongly(
    run: Any, centre: NatsAccess
) -> None:
    """They share the name of a reader: each makes it anew, from another place, while the other one reads."""
    told: list[str] = []

    def link(up: asyncio.Event) -> CentreLink:
        def linked(state: bool) -> None:
            if state:
                up.set()

        return CentreLink(
            centre, name=f"{NODE}-gateway", base="roost", clock=CLOCK, tell=lambda _: None, linked=linked, policy=QUICK
        )

    async def ask(one: CentreLink, position: int, right: set[int]) -> None:
        """Until it was told ten times; what it was told is right each time."""
        for _ in range(10):
            while (answer := await one.ask("inputs", position, "a" * 32, (NODE,))) is None:  # noqa: ASYNC110 - asked anew
                await asyncio.sleep(random.uniform(0.001, 0.05))  # as gateways do, which pause and ask again
            told.append("right" if set(answer[0]) == right else f"{len(answer[0])} of {len(right)}")

    async def story() -> None:
        client = await connect(centre, name="test")
        topic = NodeTopics(NODE).task(TASK).input
        for seq in range(1, 601):
            one = Envelope(topic, b"x", NODE, "a" * 32, "inputs", seq, 1)
            await client.publish(subject_of(topic, "inputs"), one.payload, headers=headers_of(one))
        while (await client.jetstream().stream_info("INPUTS")).state.messages < 600:  # noqa: ASYNC110 - its process
            await asyncio.sleep(0.01)
        await client.close()
        ups = asyncio.Event(), asyncio.Event()
        links = link(ups[0]), link(ups[1])
        running = [asyncio.create_task(one.run()) for one in links]
        await asyncio.gather(*(up.wait() for up in ups))
        await asyncio.gather(ask(links[0], 1, set(range(2, 601))), ask(links[1], 400, set(range(401, 601))))
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        assert told == ["right"] * 20  # how often they met (`rivals`) is the machine's affair

    run(story(), timeout=60)

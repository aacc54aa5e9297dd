"""Everything between a device and the centre is killed or cut at random under load: nothing lost, nothing doubled.

In the suite with few messages; with ROOST_CHAOS_MESSAGES=10000 (and ROOST_CHAOS_SEED) as often as one likes.
"""

import asyncio
import os
import random
import signal
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from gateway_world import GatewayProcess, Source, everything, gateway_ready, make_streams
from tcp_proxy import TcpProxy

from roost_broker.centre.envelope import Envelope
from roost_broker.centre.nats_server import PrivateNats
from roost_broker.messages import Request, decode
from roost_broker.mosquitto import PrivateBroker

pytestmark = [pytest.mark.broker, pytest.mark.processes]

MESSAGES = int(os.environ.get("ROOST_CHAOS_MESSAGES", "1500"))
SEED = int(os.environ.get("ROOST_CHAOS_SEED", "4"))
RATE = 150.0


async def until(what: Callable[[], bool], *, every: float = 0.05) -> None:
    while not what():  # noqa: ASYNC110 - what happens in another process sets no event of ours
        await asyncio.sleep(every)


def judge(sent: dict[str, bytes], arrived: list[Envelope]) -> dict[str, Any]:
    """What the centre's readers make of it: by (outbox, lane, seq), each once, in the order of the numbers."""
    by_key = {envelope.key: envelope for envelope in arrived}
    told = Counter[str]()
    by_lane: dict[tuple[str, str], list[int]] = defaultdict(list)
    for key, envelope in by_key.items():
        message = decode(envelope.payload)
        assert isinstance(message, Request)
        assert sent[message.request_id] == envelope.payload, "byte for byte"
        told[message.request_id] += 1
        by_lane[key.outbox, key.lane].append(key.seq)
    return {
        "lost": len(set(sent) - set(told)),
        "doubled": sum(count - 1 for count in told.values()),
        "holes": sum(max(seqs) - len(seqs) for seqs in by_lane.values()),
        "in the stream twice": len(arrived) - len(by_key),
        "out of order in the stream": sum(b < a for seqs in by_lane.values() for a, b in pairwise(seqs)),
        "outboxes": len({key.outbox for key in by_key}),
    }


async def settle(access: Any, count: int) -> list[Envelope]:
    """Wait until the stream holds `count` messages, then read them all."""
    arrived: list[Envelope] = []
    while len({envelope.key for envelope in arrived}) < count:
        try:
            arrived = await everything(access)
        except nats.errors.TimeoutError:  # the survivors are choosing a leader
            continue
        await asyncio.sleep(0.2)
    return arrived


def test_link_gateway_broker_and_centre_die_at_random_and_nothing_is_lost_or_doubled(
    run: Any, tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    events = Counter[str]()

    async def story() -> dict[str, Any]:
        dice = random.Random(SEED)
        with PrivateNats(tmp_path / "nats") as centre:
            await make_streams(centre.access())
            link = await TcpProxy(centre.nodes[0].settings.port).start()
            gateway = GatewayProcess(tmp_path, own_mosquitto.port, [f"nats://127.0.0.1:{link.port}"])
            gateway.start()
            source = Source(own_mosquitto, MESSAGES)

            async def link_is_cut() -> None:
                link.cut()
                await asyncio.sleep(dice.uniform(0.1, 2.0))
                link.mend()

            async def link_falls_silent() -> None:
                link.hold()
                await asyncio.sleep(dice.uniform(0.1, 3.0))
                link.mend()

            async def gateway_is_killed() -> None:
                gateway.end(signal.SIGKILL)
                gateway.start()

            async def broker_is_killed() -> None:
                await asyncio.to_thread(own_mosquitto.kill)
                own_mosquitto.start()

            async def centre_is_killed() -> None:
                centre.kill()
                await asyncio.sleep(dice.uniform(0.1, 1.0))
                centre.restart()

            blows: tuple[Callable[[], Awaitable[None]], ...] = (
                *(link_is_cut, link_falls_silent, gateway_is_killed, broker_is_killed, centre_is_killed),
            )
            asking = asyncio.create_task(source.run(rate=RATE))
            try:
                while not asking.done():
                    blow = dice.choice(blows)
                    events[blow.__name__] += 1
                    await blow()
                    await asyncio.wait({asking}, timeout=dice.uniform(0.3, 1.5))
                await asking
                arrived = await settle(centre.access(), MESSAGES)
                assert gateway.end(signal.SIGTERM) == 0
            finally:
                if gateway.running:
                    gateway.end(signal.SIGKILL)
                await link.close()
            return judge(source.sent, arrived) | {"asked again": source.counts["again"]}

    figures = run(story(), timeout=60 + MESSAGES / 20)
    print(MESSAGES, "messages, seed", SEED, dict(events), figures)
    assert sum(events.values()) >= 5
    assert figures["lost"] == figures["doubled"] == figures["holes"] == 0
    assert figures["outboxes"] == 1
    assert figures["in the stream twice"] == 0


@pytest.mark.parametrize("who", ["leader", "follower"] if MESSAGES >= 10_000 else ["leader"])
def test_one_of_three_nodes_dies_under_load_and_nothing_is_lost_or_doubled(
    run: Any, tmp_path: Path, own_mosquitto: PrivateBroker, who: str
) -> None:
    async def story() -> dict[str, Any]:
        with PrivateNats(tmp_path / "nats", nodes=3) as centre:
            await make_streams(centre.access(), replicas=3)
            gateway = GatewayProcess(tmp_path, own_mosquitto.port, centre.urls)
            gateway.start()
            await gateway_ready(own_mosquitto)
            source = Source(own_mosquitto, MESSAGES // 2)
            asking = asyncio.create_task(source.run(rate=2 * RATE))
            try:
                await until(lambda: len(source.sent) > MESSAGES // 6)
                victim = await stream_leader(centre, who == "leader")
                centre.kill(victim)
                await asking
                arrived = await settle(centre.access(), MESSAGES // 2)
                assert gateway.end(signal.SIGTERM) == 0
            finally:
                if gateway.running:
                    gateway.end(signal.SIGKILL)
            in_order = sorted(arrived, key=lambda envelope: envelope.seq)
            asked = list(source.sent.values())  # nobody killed the broker: the source's order is the lane's
            return judge(source.sent, arrived) | {"order kept": [one.payload for one in in_order] == asked}

    figures = run(story(), timeout=90 + MESSAGES / 20)
    assert figures.pop("order kept")
    print(MESSAGES // 2, "messages,", who, "killed:", figures)
    assert figures["lost"] == figures["doubled"] == figures["holes"] == 0
    assert figures["in the stream twice"] == 0


async def stream_leader(centre: PrivateNats, leads: bool) -> int:
    """A node that leads the stream of inputs, or one that follows."""
    from roost_broker.centre.access import connect

    client = await connect(centre.access(), name="test")
    try:
        cluster = (await client.jetstream().stream_info("INPUTS")).cluster
    finally:
        await client.close()
    assert cluster is not None
    names = [server.settings.name for server in centre.nodes]
    leader = names.index(str(cluster.leader))
    return leader if leads else (leader + 1) % 3

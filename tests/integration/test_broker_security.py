"""Every user of a device's broker tries everything: what it may is written here by hand, all else must be refused."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mqtt_by_hand import Hand, connect, greeting
from msgspec import structs
from rights_by_hand import MAY_READ, MAY_WRITE, SETTINGS, TOPICS
from secured_broker import SecuredBroker

from roost_broker.bus import Delivery
from roost_broker.credentials import OPERATOR, as_operator, as_user
from roost_broker.errors import PeerError
from roost_broker.mqtt import MqttBus
from roost_broker.passwords import read_secret
from roost_broker.settings import BrokerSettings
from roost_edge.broker_setup.users import users

pytestmark = [pytest.mark.broker]


def made(folder: Path) -> SecuredBroker:
    """Not started."""
    broker = SecuredBroker(folder / "broker")
    path = folder / "roost.toml"
    path.write_text(SETTINGS.format(port=broker.port), encoding="utf-8")
    broker.secure(path)
    return broker


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    with made(tmp_path_factory.mktemp("secured")) as found:
        found.start()
        yield found


def access(broker: SecuredBroker, user: str) -> BrokerSettings:
    """As this user, or as the second session of a role."""
    settings = broker.device.broker
    return as_operator(settings) if user == OPERATOR else as_user(settings, user, secret_of=user.split(".")[0])


@asynccontextmanager
async def connected(settings: BrokerSettings, client_id: str = "test", *ears: Any) -> AsyncIterator[MqttBus]:
    bus = MqttBus(structs.replace(settings, session_expiry_s=0), client_id)
    for topic_filter, hear in ears:
        bus.subscribe(topic_filter, hear, qos=0)
    await bus.start()
    try:
        yield bus
    finally:
        await bus.stop()


async def refused(bus: MqttBus, topic: str, **how: Any) -> bool:
    try:
        await bus.publish(topic, b"mine", **how)
    except PeerError as error:
        told = str(error)
    else:
        return False
    assert "does not let the user" in told
    assert topic in told
    assert "roost broker setup" in told
    return True


def test_the_table_names_each_kind_of_user(broker: SecuredBroker) -> None:
    def kind(user: str) -> str:
        return user.replace("gate", "nest").replace("road", "yard").removesuffix("-2").removesuffix("-1")

    known = users(broker.device)
    local = {*known.roles, *known.operators}
    assert {kind(user) for user in local if "other" not in user} == {
        *map(kind, MAY_WRITE),
        *("rendezvous-nest-b.scores", "injector-nest-b", "injector-nest-b.state", "injector-nest-b.watch"),
    }
    assert MAY_WRITE.keys() == MAY_READ.keys()


@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("user", sorted(MAY_WRITE))
def test_each_user_publishes_what_it_may_and_is_refused_all_else(
    run: Callable[..., Any], broker: SecuredBroker, user: str, retain: bool
) -> None:
    async def main() -> set[str]:
        async with connected(access(broker, user)) as bus:
            told = await asyncio.gather(*(refused(bus, topic, retain=retain) for topic in TOPICS))
        return {topic for topic, no in zip(TOPICS, told, strict=True) if not no}

    assert run(main(), timeout=120) == MAY_WRITE[user]


@pytest.mark.parametrize("retained", [False, True])
@pytest.mark.parametrize("user", sorted(MAY_READ))
def test_each_user_hears_what_it_may_and_nothing_else_though_it_subscribes_to_all(
    run: Callable[..., Any], broker: SecuredBroker, user: str, retained: bool
) -> None:
    heard: set[str] = set()
    mine = user.encode() + (b" retained" if retained else b"")

    def hear(delivery: Delivery) -> None:
        if delivery.payload == mine and delivery.retained == retained:
            heard.add(delivery.topic)

    async def say(bus: MqttBus) -> None:
        for topic in TOPICS:
            if topic.startswith("roost/"):
                await bus.publish(topic, mine, retain=retained)

    async def tell_the_weather(payload: bytes) -> None:
        async with connected(access(broker, "weather"), "weather") as program:
            for topic in ("weather/temperature", "weather/wishes"):
                await program.publish(topic, payload, retain=retained)

    async def main() -> None:
        async with connected(access(broker, OPERATOR), "speaker") as speaker:
            if retained:
                await say(speaker)
                await tell_the_weather(mine)
            if user == "weather":  # its one session cannot speak and listen at the same time
                async with connected(access(broker, user), "x", ("#", hear)) as bus:
                    await bus.publish("weather/wishes", mine, retain=retained)
                    await bus.publish("weather/temperature", mine, retain=retained)
                    await refused(bus, "elsewhere")
                return
            async with connected(access(broker, user), "x", ("#", hear)) as bus:
                if not retained:
                    await say(speaker)
                    await tell_the_weather(mine)
                # The broker answers in order: what it had for us came before this refusal.
                assert await refused(bus, "elsewhere")

    run(main(), timeout=120)
    assert heard == MAY_READ[user]


def test_a_forbidden_last_will_is_never_published(run: Callable[..., Any], broker: SecuredBroker) -> None:
    """Each user dies with a will on the schedule and on a score; after all of them an allowed will arrives."""
    forbidden = [
        (user, topic)
        for user in MAY_WRITE
        for topic in ("roost/coop-1/nest/schedule", "roost/coop-1/nest/scores/other", "roost/coop-2/event")
        if topic not in MAY_WRITE[user]
    ]
    heard: list[str] = []
    due = asyncio.Event()

    def hear(delivery: Delivery) -> None:
        if delivery.payload == b"sentinel":
            due.set()
        elif delivery.payload == b"forged":
            heard.append(delivery.topic)

    def dies(user: str, topic: str, payload: bytes) -> None:
        settings = access(broker, user)
        hand = Hand(settings.port)
        assert hand.greeted(connect("x", user, settings.password or "", will=topic, payload=payload)) == 0
        hand.close()

    async def main() -> None:
        async with connected(access(broker, OPERATOR), "ear", ("roost/#", hear)):
            for user, topic in forbidden:
                await asyncio.to_thread(dies, user, topic, b"forged")
            for _ in range(2):  # the second one is read after all that was there when the first one was
                due.clear()
                await asyncio.to_thread(dies, "alerts", "roost/coop-1/availability", b"sentinel")
                await due.wait()

    run(main(), timeout=120)
    assert len(forbidden) > 40
    assert heard == []


def test_a_role_that_gives_anothers_client_id_leaves_that_ones_session_alone(
    run: Callable[..., Any], broker: SecuredBroker
) -> None:
    """1. The rendezvous has a kept session and is away; requests wait in it. 2. A model connects with its client id.
    3. The rendezvous returns, is not disturbed by the model, and finds its requests."""
    heard: list[bytes] = []
    source = "roost/coop-1/nest/input"

    def hear(delivery: Delivery) -> None:
        if not delivery.retained:  # from another test
            heard.append(delivery.payload)
        delivery.ack()

    def session() -> MqttBus:
        bus = MqttBus(access(broker, "rendezvous-nest"), "coop-1-rendezvous-nest")
        bus.subscribe(source, hear)
        return bus

    async def main() -> None:
        first = session()
        await first.start()
        await first.stop()
        async with connected(access(broker, "injector-nest")) as injector:
            await injector.publish(source, b"waits")
            for stolen in ("coop-1-rendezvous-nest", "rendezvous-nest"):
                async with connected(access(broker, "model-nest-other"), stolen):
                    pass
            again, losses = session(), []
            await again.start()
            again.on_connection(losses.append)
            for stolen in ("coop-1-rendezvous-nest", "rendezvous-nest"):
                async with connected(access(broker, "model-nest-other"), stolen) as thief:
                    assert await refused(thief, source)
            await injector.publish(source, b"comes")
            assert await refused(again, "elsewhere")
            await again.stop(forget=True)
        assert losses == []

    run(main(), timeout=60)
    assert heard == [b"waits", b"comes"]


NOT_AUTHORISED = 0x87


def test_nobody_comes_in_without_the_right_password_at_the_right_door(broker: SecuredBroker) -> None:
    def secret(user: str) -> str:
        return read_secret(broker.folder / "passwords" / user)

    roles, operators = broker.port, broker.operators_port
    assert greeting(roles, connect("x", "decoy-nest", secret("decoy-nest"))) == 0
    assert greeting(operators, connect("x", "operator", secret("operator"))) == 0
    for port in (roles, operators):
        assert greeting(port, connect("x")) == NOT_AUTHORISED
        assert greeting(port, connect("x", "nobody", "guess")) == NOT_AUTHORISED
        assert greeting(port, connect("x", "decoy-nest", secret("monitor"))) == NOT_AUTHORISED
        assert greeting(port, connect("x", "operator", "")) == NOT_AUTHORISED
        assert greeting(port, connect("x", "operator:anna", "")) == NOT_AUTHORISED
    assert greeting(operators, connect("x", "decoy-nest", secret("decoy-nest"))) == NOT_AUTHORISED
    assert greeting(roles, connect("x", "operator", secret("operator"))) == NOT_AUTHORISED


def test_a_bus_that_is_not_let_in_says_as_whom_and_what_to_do(run: Callable[..., Any], broker: SecuredBroker) -> None:
    wrong = structs.replace(access(broker, "monitor"), password="guess")  # noqa: S106  # it is wrong
    nobody = BrokerSettings(port=broker.port)
    with pytest.raises(PeerError, match=r"does not let in the user 'monitor'.*roost broker setup"):
        run(MqttBus(wrong, "x").start(), timeout=60)
    with pytest.raises(PeerError, match=r"does not let in anybody without a name.*broker\.passwords"):
        run(MqttBus(nobody, "x").start(), timeout=60)


def test_after_a_restart_what_was_retained_and_what_waits_is_there_for_those_who_may_read_it(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    """Rights are asked again for what was saved: of its reader, and of who said it."""
    heard: dict[str, list[bytes]] = {"model-nest-other": [], "watcher": [], "capture-yard": []}

    def bus(broker: SecuredBroker, user: str) -> MqttBus:
        def hear(delivery: Delivery) -> None:
            heard[user].append(delivery.payload)
            delivery.ack()

        made = MqttBus(access(broker, user), user)
        made.subscribe("roost/#", hear)
        return made

    async def before(broker: SecuredBroker) -> None:
        for user in heard:
            one = bus(broker, user)
            await one.start()
            await one.stop()
        async with connected(access(broker, "injector-nest")) as injector:
            await injector.publish("roost/coop-1/nest/input", b"waits")
            await injector.publish("roost/coop-1/nest/state", b"retained", retain=True)

    async def after(broker: SecuredBroker) -> None:
        async with connected(access(broker, "injector-nest")) as injector:
            await injector.publish("roost/coop-1/nest/input", b"comes")
        for user in heard:
            one = bus(broker, user)
            await one.start()
            assert await refused(one, "elsewhere")
            await one.stop()

    with made(tmp_path) as broker:
        broker.start()
        run(before(broker), timeout=60)
        broker.process.stop(30)
        broker.start()
        run(after(broker), timeout=60)
    assert heard["model-nest-other"] == [b"waits", b"comes"]
    assert heard["capture-yard"] == []
    assert sorted(heard["watcher"]) == [b"comes", b"retained", b"retained", b"waits"]  # when said, and when it returned


def test_an_old_client_is_refused_without_being_told(run: Callable[..., Any], broker: SecuredBroker) -> None:
    """MQTT 3.1.1 acknowledges what is refused: it has no other word."""
    heard: list[bytes] = []
    settings = access(broker, "decoy-nest")
    old = [
        "mosquitto_pub",
        "-V",
        "mqttv311",
        "-p",
        str(settings.port),
        "-u",
        "decoy-nest",
        "-P",
        settings.password or "",
    ]

    def hear(delivery: Delivery) -> None:
        if not delivery.retained:
            heard.append(delivery.payload)

    async def main() -> None:
        async with connected(access(broker, OPERATOR), "ear", ("roost/#", hear)) as ear:
            for topic in ("roost/coop-1/nest/schedule", "roost/coop-1/nest/receipts"):
                process = await asyncio.create_subprocess_exec(*old, "-q", "1", "-t", topic, "-m", topic)
                assert await process.wait() == 0
            assert await refused(ear, "elsewhere")

    run(main(), timeout=60)
    assert heard == [b"roost/coop-1/nest/receipts"]


def test_who_may_not_read_a_topic_takes_its_part_of_a_share_all_the_same(
    run: Callable[..., Any], broker: SecuredBroker
) -> None:
    """What docs/broker.md says that Mosquitto 2.0 cannot keep anybody from; nothing of it is read, it is lost."""
    taken: dict[str, list[bytes]] = {"model-nest-pair-1": [], "feed": []}
    source = "roost/coop-1/nest/input"

    def ear(user: str) -> Any:
        return (f"$share/pair/{source}", lambda delivery: taken[user].append(delivery.payload))

    async def main() -> None:
        pair, feed = access(broker, "model-nest-pair-1"), access(broker, "feed")
        async with (
            connected(pair, "a", ear("model-nest-pair-1")) as one,
            connected(feed, "b", ear("feed")) as two,
        ):
            async with connected(access(broker, "injector-nest")) as injector:
                for number in range(10):
                    await injector.publish(source, b"%d" % number)
            assert await refused(one, "elsewhere")
            assert await refused(two, "elsewhere")

    run(main(), timeout=60)
    assert taken["feed"] == []
    assert 0 < len(taken["model-nest-pair-1"]) < 10

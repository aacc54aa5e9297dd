"""The listener for other machines: TLS 1.3, certificates of the fleet, and each person's rights by name."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet_certificates import Fleet
from mqtt_by_hand import Hand, connect, greeting
from secured_broker import SecuredBroker

from roost_broker.bus import Delivery
from roost_broker.errors import PeerError
from roost_broker.identities import Identity
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings

pytestmark = [pytest.mark.broker]
NODE = "coop-1"
SETTINGS = '[node]\nname = "coop-1"\ndata = "data"\n[broker]\nport = {port}\n[tasks.nest]\nschedule = "nest.toml"\n'
SCHEDULE, RESULT = "roost/coop-1/nest/schedule", "roost/coop-1/nest/results/yard"


class World:
    """A device with an identity, its broker, and the fleet's authority."""

    def __init__(self, folder: Path) -> None:
        self.fleet = Fleet(folder / "fleet")
        self.identity = folder / "data" / "identity"
        self.fleet.identity(self.identity, NODE)
        self.broker = SecuredBroker(folder / "broker")
        path = folder / "roost.toml"
        path.write_text(SETTINGS.format(port=self.broker.port), encoding="utf-8")
        self.broker.secure(path, operators='["anna"]', watchers='["ben"]')

    def access(self, files: tuple[Path, Path] | None, **changed: Any) -> BrokerSettings:
        """As somebody on another machine reaches it."""
        certificate, key = (str(files[0]), str(files[1])) if files is not None else ("", "")
        return BrokerSettings(
            port=self.broker.outside_port,
            **{"ca": str(self.fleet.ca), "certificate": certificate, "key": key, "server_name": NODE, **changed},
            session_expiry_s=0,
        )

    def hand(self, files: tuple[Path, Path] | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> int:
        """The greeting that these files get; -1 for none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version = version
        context.load_verify_locations(self.fleet.ca)
        if files is not None:
            context.load_cert_chain(*files)
        return greeting(self.broker.outside_port, connect("x"), context, NODE)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    with made.broker:
        made.broker.start()
        yield made


async def outcome(settings: BrokerSettings, topic: str = SCHEDULE) -> str:
    """What became of a publication: `taken`, or why not."""
    bus = MqttBus(settings, "anything")
    try:
        await bus.start()
        await bus.publish(topic, b"{}")
    except PeerError as error:
        return str(error)
    finally:
        await bus.stop()
    return "taken"


def test_each_person_has_the_rights_that_the_settings_give_the_name_in_the_certificate(
    run: Callable[..., Any], world: World
) -> None:
    person = world.fleet.person
    heard: dict[str, list[str]] = {}

    async def ear(kind: str, name: str) -> MqttBus:
        mine = heard[f"{kind}:{name}"] = []

        def hear(delivery: Delivery) -> None:
            mine.append(delivery.topic)

        bus = MqttBus(world.access(person(kind, name)), "x")
        bus.subscribe("#", hear, qos=0)
        await bus.start()
        return bus

    async def main() -> None:
        ears = [await ear(*who) for who in (("watcher", "ben"), ("watcher", "eve"), ("device", "coop-2"))]
        ears += [await ear("gateway", NODE), await ear("device", NODE)]
        anna = MqttBus(world.access(person("operator", "anna")), "x")
        await anna.start()
        await anna.publish(SCHEDULE, b"{}")
        await anna.publish(RESULT, b"{}")
        for bus in ears:  # nobody else may write, and what they were sent came before the refusal
            for topic in (SCHEDULE, RESULT, "elsewhere"):
                with pytest.raises(PeerError, match="does not let whoever this certificate names publish"):
                    await bus.publish(topic, b"{}")
        for bus in (*ears, anna):
            await bus.stop()
        for stranger in (("operator", "eve"), ("operator", "ben"), ("device", "coop-2")):
            assert "does not let" in await outcome(world.access(person(*stranger)))

    run(main(), timeout=60)
    both = [SCHEDULE, RESULT]
    assert heard == {
        **{"watcher:ben": both, "watcher:eve": [], "device:coop-2": [], f"gateway:{NODE}": [], f"device:{NODE}": both}
    }


def test_a_certificate_with_the_name_of_a_role_or_of_a_user_with_a_password_has_no_rights(
    run: Callable[..., Any], world: World
) -> None:
    """No authority of ours issues such a one; were one issued all the same, it would not be a role's."""
    for name in ("rendezvous-nest", "operator", "ota.schedule"):
        files = world.fleet.certify(Identity("operator", "anna"), "odd")
        assert run(outcome(world.access(files)), timeout=60) == "taken"
        odd = world.fleet.certify(Odd("operator", name), "odd")  # type: ignore[arg-type]
        assert "does not let" in run(outcome(world.access(odd)), timeout=60)


class Odd(Identity):
    """An identity whose common name is its bare name."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.name


def test_who_has_no_good_certificate_is_refused_and_a_good_one_of_the_same_person_is_not(
    run: Callable[..., Any], world: World, tmp_path: Path
) -> None:
    good = world.fleet.person("operator", "anna")
    other = Fleet(tmp_path / "other")
    bad = {
        "none": None,
        "another authority's": other.person("operator", "anna"),
        "expired": world.fleet.person("operator", "anna", day=5, days=5),
        "not valid yet": world.fleet.person("operator", "anna", day=60),
    }
    assert world.hand(good) == 0
    assert {why: world.hand(files) for why, files in bad.items()} == dict.fromkeys(bad, -1)
    for why, files in bad.items():
        said = run(outcome(world.access(files)), timeout=60)
        assert "do not come together by TLS" in said, why
        assert "not expired, not revoked" in said


def test_tls_1_2_is_refused_and_so_is_plain_mqtt(world: World) -> None:
    good = world.fleet.person("operator", "anna")
    assert world.hand(good) == 0
    assert world.hand(good, ssl.TLSVersion.TLSv1_2) == -1
    assert greeting(world.broker.outside_port, connect("x", "operator:anna")) == -1


def test_we_refuse_a_broker_that_is_not_whom_we_mean(run: Callable[..., Any], world: World, tmp_path: Path) -> None:
    files = world.fleet.person("operator", "anna")
    strange = Fleet(tmp_path / "strange").ca
    for settings in (
        world.access(files, server_name="coop-2"),
        world.access(files, server_name=""),  # it has no certificate for the address
        world.access(files, ca=str(strange)),
    ):
        assert "is not whom we trust" in run(outcome(settings), timeout=60)
    for missing in ("ca", "key"):
        said = run(outcome(world.access(files, **{missing: str(tmp_path / "nowhere.pem")})), timeout=60)
        assert "cannot be used" in said
        assert "nowhere.pem" in said


def test_a_revoked_certificate_is_refused_from_the_reload_on_that_brings_the_list(
    run: Callable[..., Any], world: World
) -> None:
    anna, ben = world.fleet.person("operator", "anna"), world.fleet.person("watcher", "ben")
    assert world.hand(anna) == world.hand(ben) == 0
    world.fleet.revoke(ben[0])
    world.fleet.write_list(world.identity / "crl.pem", 2, began=30)
    world.broker.reload()
    assert eventually(lambda: world.hand(ben) == -1)
    assert world.hand(anna) == 0
    assert "do not come together by TLS" in run(outcome(world.access(ben)), timeout=60)


def test_a_list_that_is_past_its_date_lets_nobody_in_until_a_newer_one_comes(world: World) -> None:
    """Closed is the safe side: who was revoked since then is not known."""
    anna = world.fleet.person("operator", "anna")
    world.fleet.write_list(world.identity / "crl.pem", 2, began=10, days=5)
    world.broker.reload()
    assert eventually(lambda: world.hand(anna) == -1)
    world.fleet.write_list(world.identity / "crl.pem", 3)
    world.broker.reload()
    assert eventually(lambda: world.hand(anna) == 0)


def eventually(condition: Callable[[], bool]) -> bool:
    """A signal is followed some time; each look is a whole connection."""
    return any(condition() for _ in range(2000))


def test_a_reload_follows_a_renewed_certificate_rules_and_passwords_and_leaves_sessions_alone(
    run: Callable[..., Any], world: World
) -> None:
    broker = world.broker
    anna, eve = world.fleet.person("operator", "anna"), world.fleet.person("operator", "eve")

    def serial() -> bytes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(world.fleet.ca)
        context.load_cert_chain(*anna)
        hand = Hand(broker.outside_port, context, NODE)
        assert isinstance(hand.sock, ssl.SSLSocket)
        found = hand.sock.getpeercert(binary_form=True)
        hand.close()
        assert found is not None
        return found

    async def main() -> None:
        bus = MqttBus(broker.settings(), "stays")
        losses: list[bool] = []
        await bus.start()
        bus.on_connection(losses.append)
        before = serial()
        assert "does not let" in await outcome(world.access(eve))
        world.fleet.identity(world.identity, NODE)
        settings = broker.path.read_text(encoding="utf-8")
        broker.path.write_text(settings.replace('["anna"]', '["anna", "eve"]'), encoding="utf-8")
        assert broker.set_up().follow == "reload"
        broker.reload()
        assert await asyncio.to_thread(eventually, lambda: serial() != before)
        assert await outcome(world.access(eve)) == "taken"
        await bus.publish(SCHEDULE, b"{}")
        assert losses == []
        await bus.stop()

    run(main(), timeout=60)


def test_a_password_made_anew_ends_the_session_that_came_with_the_old_one(
    run: Callable[..., Any], world: World
) -> None:
    async def main() -> None:
        old = world.broker.settings()
        bus = MqttBus(old, "x")
        gone = asyncio.Event()
        await bus.start()
        bus.on_connection(lambda up: None if up else gone.set())
        (world.broker.folder / "passwords" / "operator").unlink()
        done = world.broker.set_up()
        assert (done.made, done.follow) == (("operator",), "reload")
        world.broker.reload()
        await gone.wait()
        await bus.stop()
        assert "does not let in the user 'operator'" in await outcome(old)
        assert await outcome(world.broker.settings()) == "taken"

    run(main(), timeout=60)


def test_a_connection_that_stands_when_its_certificate_is_revoked_lasts_until_a_restart(
    run: Callable[..., Any], world: World
) -> None:
    """What docs/broker.md says: to end it at once, restart the broker."""

    async def main() -> None:
        files, other = world.fleet.person("operator", "anna"), world.fleet.person("watcher", "ben")
        bus = MqttBus(world.access(files), "x")
        losses: list[bool] = []
        await bus.start()
        bus.on_connection(losses.append)
        world.fleet.revoke(files[0])
        world.fleet.revoke(other[0])
        world.fleet.write_list(world.identity / "crl.pem", 2)
        world.broker.reload()
        assert await asyncio.to_thread(eventually, lambda: world.hand(other) == -1)  # a look as anna would end hers
        await bus.publish(SCHEDULE, b"{}")
        assert losses == []
        world.broker.process.stop(30)
        world.broker.start()
        assert "do not come together by TLS" in await outcome(world.access(files))
        assert losses == [False]
        await bus.stop()

    run(main(), timeout=60)


def test_large_messages_by_the_hundred_go_both_ways_through_tls_complete_and_in_order(
    run: Callable[..., Any], world: World
) -> None:
    count = 300
    wanted = [number.to_bytes(2, "big") * 30_000 for number in range(count)]
    heard: list[bytes] = []
    complete = asyncio.Event()

    def hear(delivery: Delivery) -> None:
        heard.append(delivery.payload)
        delivery.ack()
        if len(heard) == count:
            complete.set()

    async def main() -> None:
        ear = MqttBus(world.access(world.fleet.person("watcher", "ben")), "x")
        ear.subscribe(RESULT, hear)
        await ear.start()
        anna = MqttBus(world.access(world.fleet.person("operator", "anna")), "x")
        await anna.start()
        await asyncio.gather(*(anna.publish(RESULT, payload) for payload in wanted))
        await complete.wait()
        await anna.stop()
        await ear.stop()

    run(main(), timeout=60)
    assert heard == wanted

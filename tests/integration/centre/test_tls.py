"""Encrypted, with certificates that a test's own authority signed: who is let in, who is not, and the whole way."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from centre_world import INPUT
from certificates import Authority, Pair

from roost_broker.centre.access import NatsAccess, NatsUnreachable
from roost_broker.centre.applying import apply
from roost_broker.centre.client import open_centre
from roost_broker.centre.layout import CentreLayout
from roost_broker.centre.nats_server import NatsServer, NatsSettings
from roost_broker.centre.streams import StreamSettings, plans
from roost_broker.clock import SystemClock
from roost_broker.errors import Misuse
from roost_broker.gateway.role import Gateway
from roost_broker.gateway.settings import GatewaySettings
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.private_process import free_port
from roost_broker.topics import NodeTopics
from roost_models.central.settings import load

pytestmark = pytest.mark.nats


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def server(tmp_path: Path, authority: Authority) -> Iterator[NatsServer]:
    """It wants a certificate of everybody."""
    own = authority.pair("n1.example", address="127.0.0.1")
    settings = NatsSettings(
        port=free_port(), folder=str(tmp_path / "n1"), certificate=own.certificate, key=own.key, ca=authority.file
    )
    one = NatsServer(settings)
    one.start()
    yield one
    one.stop()


def access(server: NatsServer, ca: str, pair: Pair | None = None) -> NatsAccess:
    shown = {} if pair is None else {"certificate": pair.certificate, "key": pair.key}
    return NatsAccess(urls=(server.url,), ca=ca, connect_timeout_s=0.5, **shown)


def test_a_gateways_message_reaches_a_reader_encrypted_all_the_way(
    server: NatsServer, authority: Authority, tmp_path: Path, run: Any
) -> None:
    async def story() -> None:
        reader = access(server, authority.file, authority.pair("centre"))
        async with await open_centre(reader, name="test") as centre:
            await apply(centre.nats, plans(StreamSettings()))
            broker = MemoryBroker()
            settings = GatewaySettings(centre=access(server, authority.file, authority.pair("coop-1")), gather_ms=5)
            role = Gateway(
                *(MemoryBus(broker, "gateway"), NodeTopics("coop-1"), settings, tmp_path / "gateway.db", []),
                clock=SystemClock(),
                session=1,
            )
            stop = asyncio.Event()
            running = asyncio.create_task(role.run(stop))
            source = MemoryBus(broker, "source")
            await source.start()
            while not role.counts["linked"]:  # noqa: ASYNC110 - counts of a role set no event
                await asyncio.sleep(0.01)
            await source.publish(INPUT, b"{}")
            async for one in centre.follow("inputs", start="all"):
                assert (one.node, one.topic, one.payload) == ("coop-1", INPUT, b"{}")
                break
            stop.set()
            await running
            await source.stop()

    run(story(), timeout=40)


def test_who_shows_no_certificate_or_anothers_is_not_let_in(
    server: NatsServer, authority: Authority, tmp_path: Path, run: Any
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    stranger = Authority(folder, "stranger").pair("centre")
    for wrong in (None, stranger):
        with pytest.raises(NatsUnreachable):
            run(open_centre(access(server, authority.file, wrong), name="test"))


def test_a_server_of_another_authority_or_of_another_name_is_not_believed(
    server: NatsServer, authority: Authority, tmp_path: Path, run: Any
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    own = authority.pair("centre")
    with pytest.raises(NatsUnreachable, match="certificate"):
        run(open_centre(access(server, Authority(folder, "stranger").file, own), name="test"))
    by_name = NatsAccess(
        urls=(server.url.replace("127.0.0.1", "localhost"),),
        ca=authority.file,
        connect_timeout_s=0.5,
        certificate=own.certificate,
        key=own.key,
    )
    with pytest.raises(NatsUnreachable, match="certificate"):
        run(open_centre(by_name, name="test"))


@pytest.mark.parametrize("with_users", [False, True])
def test_a_centre_uses_its_own_server_whatever_name_the_certificate_has(
    tmp_path: Path, authority: Authority, run: Any, with_users: bool
) -> None:
    authority.pair("n1.example")  # no address, as on a network
    users = ""
    if with_users:
        (tmp_path / "users").write_text('users = [{ user: "centre", password: "a long secret" }]\n', encoding="utf-8")
        secret = tmp_path / "password"
        secret.touch(0o600)
        secret.write_text("a long secret\n", encoding="utf-8")
        users = 'users_file = "users"\nuser = "centre"\npassword_file = "password"\n'
    else:
        users = 'ca = "authority.pem"\n'
    (tmp_path / "centre.toml").write_text(
        f'[server]\nport = {free_port()}\nhost = "0.0.0.0"\n'
        f'certificate = "n1.example.pem"\nkey = "n1.example.key"\n{users}',
        encoding="utf-8",
    )
    settings = load(CentreLayout(tmp_path))
    server = NatsServer(settings.server)
    server.start()

    async def story() -> None:
        async with await open_centre(settings.access, name="test") as centre:
            assert centre.nats.is_connected

    try:
        run(story())
    finally:
        server.stop()


def test_users_without_one_for_the_centre_itself_are_refused(tmp_path: Path) -> None:
    (tmp_path / "centre.toml").write_text('[server]\nusers_file = "users"\n', encoding="utf-8")
    with pytest.raises(Misuse, match="centre itself"):
        load(CentreLayout(tmp_path))


def test_a_name_is_checked_beyond_this_machine() -> None:
    with pytest.raises(Misuse, match="beyond this machine"):
        NatsAccess(urls=("tls://n1.example:4222",), user="a", password_file="b", check_name=False)  # noqa: S106 - a file

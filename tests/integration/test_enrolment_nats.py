"""The identities at a real NATS server: a server's certificate, and who may come with what."""

from pathlib import Path

import pytest
from enrolment_world import no_phrase, now, world

from roost_broker.centre.access import NatsAccess, NatsUnreachable, connect
from roost_broker.centre.nats_server import find_nats_server
from roost_broker.identities import identity
from roost_broker.private_process import PrivateProcess, free_port, listens_on
from roost_edge.enrolment import keys
from roost_provisioning.pki import rotation
from roost_provisioning.pki.authority import Authority
from roost_provisioning.pki.signing_requests import key_of

pytestmark = pytest.mark.nats


def issued(authority: Authority, folder: Path, kind: str, name: str) -> dict[str, str]:
    """Files as `roost pki issue` writes them, as the settings of a connection name them."""
    folder.mkdir(exist_ok=True)
    key = keys.new_key()
    made = authority.issue(identity(kind, name), key_of(keys.signing_request(keys.read_key(key))), now(), "test")
    files = {"ca": made.trust, "certificate": made.certificate, "key": key.decode()}
    for what, text in files.items():
        (folder / f"{name}.{what}").write_text(text)
    return {what: str(folder / f"{name}.{what}") for what in files}


def test_a_gateway_and_a_device_are_let_in_and_who_has_no_certificate_is_not(tmp_path: Path, run) -> None:
    with world(tmp_path / "fleet") as fleet:
        with fleet.open() as authority:
            server = issued(authority, tmp_path / "files", "server", "localhost")
            gateway = issued(authority, tmp_path / "files", "gateway", "nest-a")
            rotation.new_root(authority, fleet.stick, no_phrase, now(), at_once=True)
            newer = issued(authority, tmp_path / "files", "gateway", "nest-c")
        device = fleet.device("nest-b", fleet.token(name="nest-b"))
    port = free_port()
    config = tmp_path / "nats.conf"
    config.write_text(
        f'listen: "127.0.0.1:{port}"\n'
        f'tls {{ cert_file: "{server["certificate"]}", key_file: "{server["key"]}", '
        f'ca_file: "{server["ca"]}", verify: true, timeout: 60 }}\n'
    )
    process = PrivateProcess("The NATS server", tmp_path / "nats.log")
    assert process.start([find_nats_server(), "-c", str(config)], lambda: listens_on(process.pid, port), 60)

    async def come(**files: str) -> bool:
        access = NatsAccess(urls=(f"tls://localhost:{port}",), connect_timeout_s=30, **files)
        try:
            client = await connect(access, name="test")
        except NatsUnreachable:
            return False
        await client.close()
        return True

    own = {"ca": str(device.ca), "certificate": str(device.certificate), "key": str(device.key)}
    try:
        assert run(come(**gateway), timeout=120)
        assert run(come(**own), timeout=120)
        # The server knows the old root alone; the new one comes with what the old one says of it.
        assert run(come(**newer), timeout=120)
        assert not run(come(ca=gateway["ca"]), timeout=120)
    finally:
        process.stop(10)

"""What comes to the enrolment desk that is no device: each gets a clear answer or none, and the desk goes on."""

import json
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from enrolment_world import World, now, world

from roost_broker.identities import Identity
from roost_edge.enrolment import keys
from roost_edge.enrolment.wire import MAX_REQUEST
from roost_provisioning.pki.signing_requests import key_of

CSR = keys.signing_request(keys.read_key(keys.new_key()))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("fleet")) as made:
        yield made


def context(fleet: World, own: Path | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cadata=fleet.bundle())
    if own is not None:
        made.load_cert_chain(own.with_suffix(".pem"), own.with_suffix(".key"))
    return made


def talk(fleet: World, data: bytes, own: Path | None = None) -> bytes:
    """What the desk says to these bytes, until it closes or has said all of one answer."""
    with (
        socket.create_connection(("127.0.0.1", fleet.port), timeout=60) as plain,
        context(fleet, own).wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(data)
        said = b""
        while b"\r\n\r\n" not in said or len(said.split(b"\r\n\r\n", 1)[1]) < length(said):
            piece = connection.recv(65_536)
            if not piece:
                break
            said += piece
        return said


def length(said: bytes) -> int:
    lines = said.split(b"\r\n\r\n", 1)[0].lower().split(b"\r\n")
    return next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)


def post(path: str, body: bytes, kind: str = "application/json") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def status(said: bytes) -> int:
    return int(said.split(b" ", 2)[1])


def problem(said: bytes) -> str:
    found = json.loads(said.split(b"\r\n\r\n", 1)[1])
    assert set(found) >= {"problem"}
    return str(found["problem"])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /v1/enrol HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /v1/../../ledger.db HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"\x16\x03\x01\x02\x00 this is no HTTP\r\n\r\n", 400),
        (b"GET /v1/trust HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 20_000 + b"\r\n\r\n", 400),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", 400),
        (post("/v1/enrol", b"{}"), 400),
        (post("/v1/enrol", b""), 400),
        (post("/v1/enrol", b"\xff\xfe"), 400),
        (post("/v1/enrol", b"[" * 10_000), 400),
        (post("/v1/enrol", b'{"token": 3, "csr": ""}'), 400),
        (post("/v1/enrol", b'{"token": "t", "csr": "c", "admin": true}'), 400),
        (post("/v1/enrol", b'{"token": "t", "csr": "c"}'), 400),
        (post("/v1/enrol", json.dumps({"token": "t" * 300, "csr": CSR}).encode()), 400),
        (post("/v1/enrol", json.dumps({"token": "t", "csr": CSR, "name": "../x"}).encode()), 403),
        (post("/v1/enrol", json.dumps({"token": "' OR 1=1 --", "csr": CSR}).encode()), 403),
        (post("/v1/enrol", b"x" * (MAX_REQUEST + 1)), 413),
        (post("/v1/enrol", b"{}", "text/plain"), 415),
        (post("/v1/renew", json.dumps({"csr": CSR}).encode()), 401),
        (b"POST /v1/enrol HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /v1/enrol HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\nContent-Length: 0\r\n\r\n", 403),
    ],
)
def test_what_is_no_question_gets_a_clear_answer(fleet: World, data: bytes, expected: int) -> None:
    said = talk(fleet, data)
    assert status(said) == expected
    assert problem(said)
    assert b"Traceback" not in said


def test_a_name_that_cannot_be_is_refused_and_uses_no_token(fleet: World) -> None:
    token = fleet.token(prefix="hostile")
    for name in ("hostile-a/b", "hostile-+", "hostile-\n", "hostile-" + "x" * 56, "elsewhere"):
        body = json.dumps({"token": token, "csr": CSR, "name": name}).encode()
        assert status(talk(fleet, post("/v1/enrol", body))) in (400, 403), name
    with fleet.open() as authority:
        assert authority.ledger.token(_hash(token)).used == 0  # type: ignore[union-attr]  # it was just made


def test_an_operators_certificate_renews_an_operator_and_no_device(fleet: World, tmp_path: Path) -> None:
    key = keys.new_key()
    with fleet.open() as authority:
        public = key_of(keys.signing_request(keys.read_key(key)))
        issued = authority.issue(Identity("operator", "anna"), public, now(), "test")
    (tmp_path / "anna.key").write_bytes(key)
    (tmp_path / "anna.pem").write_text(issued.certificate)
    said = talk(fleet, post("/v1/renew", json.dumps({"csr": CSR}).encode()), tmp_path / "anna")
    assert status(said) == 200
    with fleet.open() as authority:
        assert {row.kind for row in authority.ledger.living(0) if row.name == "anna"} == {"operator"}


def test_a_certificate_of_a_stranger_does_not_get_through_the_handshake(fleet: World, tmp_path: Path) -> None:
    with world(tmp_path / "other") as other:
        folder = other.device("stranger", other.token(name="stranger"))
        copy(folder.certificate, tmp_path / "own.pem")
        copy(folder.key, tmp_path / "own.key")
    try:
        said = talk(fleet, post("/v1/renew", json.dumps({"csr": CSR}).encode()), tmp_path / "own")
    except (ssl.SSLError, ConnectionError):
        said = b""
    assert said == b""


@pytest.mark.parametrize("version", ["TLSv1_2"])
def test_older_tls_is_not_spoken(fleet: World, version: str) -> None:
    old = context(fleet)
    old.maximum_version = ssl.TLSVersion[version]
    with (
        socket.create_connection(("127.0.0.1", fleet.port), timeout=60) as plain,
        pytest.raises(ssl.SSLError),
    ):
        old.wrap_socket(plain, server_hostname="localhost")


def test_plain_http_gets_nothing(fleet: World) -> None:
    with socket.create_connection(("127.0.0.1", fleet.port), timeout=60) as plain:
        plain.sendall(b"GET /v1/trust HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            said = plain.recv(1000)
        except ConnectionError:
            said = b""
    assert b"HTTP" not in said


def test_who_asks_too_often_waits_and_the_desk_goes_on(tmp_path: Path) -> None:
    with world(tmp_path, per_minute=20) as fleet:
        get = b"GET /v1/trust HTTP/1.1\r\nHost: x\r\n\r\n"
        answers = [status(talk(fleet, get)) for _ in range(14)]
        assert answers[:10] == [200] * 10
        assert 429 in answers[10:]


def test_a_crowd_is_served_or_sent_away_and_nothing_is_issued_twice(fleet: World) -> None:
    token = fleet.token(prefix="crowd", uses=5)

    def ask(_: int) -> int:
        csr = keys.signing_request(keys.read_key(keys.new_key()))
        return status(talk(fleet, post("/v1/enrol", json.dumps({"token": token, "csr": csr}).encode())))

    with ThreadPoolExecutor(20) as crowd:
        answers = list(crowd.map(ask, range(40)))
    assert answers.count(200) == 5
    assert set(answers) <= {200, 403, 503}
    with fleet.open() as authority:
        assert sum(row.name.startswith("crowd-") for row in authority.ledger.living(0)) == 5


def test_connections_that_say_nothing_do_not_keep_others_out(fleet: World) -> None:
    silent = [socket.create_connection(("127.0.0.1", fleet.port), timeout=60) for _ in range(60)]
    try:
        assert status(talk(fleet, b"GET /v1/crl HTTP/1.1\r\nHost: x\r\n\r\n")) == 200
    finally:
        for one in silent:
            one.close()


def _hash(token: str) -> str:
    from roost_provisioning.pki.tokens import hash_of

    return hash_of(token)


def copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())

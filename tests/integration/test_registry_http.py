"""A registry behind web servers, honest and hostile."""

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from registry_servers import RawServer, nginx, raw_server

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "registry"))

from registry_world import NAME, TASK, WEIGHTS, RegistryWorld

from roost_models.registry.downloading import Progress
from roost_models.registry.errors import RegistryRefused, RegistryUnreachable, Stopped
from roost_models.registry.layout import file_path
from roost_models.registry.limits import Limits

PAGE = Path(__file__).parents[2] / "docs" / "registry.md"
QUICK = Limits(reserve_bytes=0, connect_s=2, stall_s=0.5, patience_s=1.5, least_bytes_per_s=100_000)


@pytest.fixture
def world(tmp_path: Path) -> RegistryWorld:
    world = RegistryWorld(tmp_path)
    world.rollout(world.publish())
    return world


@pytest.fixture
def server(world: RegistryWorld) -> Iterator[RawServer]:
    with raw_server(world.registry.public) as running:
        yield running


def weights(world: RegistryWorld) -> str:
    return file_path(world.bundle().manifest.files["weights.bin"].sha256)


def test_a_bundle_comes_over_http(world: RegistryWorld, server: RawServer) -> None:
    reader = world.reader(server.address)
    reader.refresh()
    assert reader.fetch(TASK, NAME, "1.0", world.store()).read("weights.bin") == WEIGHTS


def test_a_second_look_at_an_unchanged_registry_asks_for_the_timestamp_alone(
    world: RegistryWorld, server: RawServer
) -> None:
    for _ in range(2):
        reader = world.reader(server.address)
        reader.refresh()
        assert reader.rollout(TASK, NAME) is not None
        asked = [path for path, _ in server.requests]
        server.requests.clear()
    assert asked == ["/metadata/2.root.json", "/metadata/timestamp.json"]


def test_an_interrupted_download_goes_on_with_a_range_after_a_restart(world: RegistryWorld, server: RawServer) -> None:
    reader = world.reader(server.address)
    reader.refresh()
    told: list[Progress] = []
    with pytest.raises(Stopped):
        reader.fetch(TASK, NAME, "1.0", world.store(), progress=told.append, stop=lambda: told[-1].done > 50_000)
    again = world.reader(server.address)
    again.refresh()
    assert again.fetch(TASK, NAME, "1.0", world.store()).read("weights.bin") == WEIGHTS
    ranges = [asked for path, asked in server.requests if path.endswith(weights(world))]
    assert ranges[0] == ""
    assert re.fullmatch(r"bytes=[1-9]\d*-", ranges[1])


def without_ranges(connection: socket.socket, _: bytes) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(WEIGHTS) + WEIGHTS)
    return True


def wrong_range(connection: socket.socket, request: bytes) -> bool:
    if b"\r\nRange:" not in request:
        return False
    connection.sendall(b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n")
    return True


@pytest.mark.parametrize("answer", [without_ranges, wrong_range])
def test_a_server_that_cannot_resume_is_asked_for_the_whole(
    answer: object, world: RegistryWorld, server: RawServer
) -> None:
    world.store().part(weights(world).rpartition("/")[2]).write_bytes(WEIGHTS[:1000])
    server.misbehave[weights(world)] = answer  # type: ignore[assignment]  # one of the two above
    reader = world.reader(server.address)
    reader.refresh()
    assert reader.fetch(TASK, NAME, "1.0", world.store()).read("weights.bin") == WEIGHTS


def endless(connection: socket.socket, _: bytes) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65_536)


def endless_headers(connection: socket.socket, _: bytes) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: " + b"x" * 1000 + b"\r\n")


def chunks_without_end(connection: socket.socket, _: bytes) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")


def moved(connection: socket.socket, _: bytes) -> bool:
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    return True


def broken(connection: socket.socket, _: bytes) -> bool:
    connection.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
    return True


def rubbish(connection: socket.socket, _: bytes) -> bool:
    connection.sendall(b"\0\xff\r\n\r\n")
    return True


def cut_off(connection: socket.socket, _: bytes) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{")
    return True


HOSTILE = {
    "bytes without end": (endless, RegistryRefused, "endless"),
    "chunks without end": (chunks_without_end, RegistryRefused, "endless"),
    "headers without end": (endless_headers, RegistryUnreachable, "did not answer"),
    "a redirection": (moved, RegistryUnreachable, "302"),
    "an error of its own": (broken, RegistryUnreachable, "500"),
    "no HTTP": (rubbish, RegistryUnreachable, "did not answer"),
    "less than it announced": (cut_off, RegistryUnreachable, "did not answer"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_server_that_answers_with(name: str, world: RegistryWorld, server: RawServer) -> None:
    answer, error, text = HOSTILE[name]
    server.misbehave["timestamp.json"] = answer
    reader = world.reader(server.address, limits=QUICK)
    with pytest.raises(error) as raised:
        reader.refresh()
    assert text in (raised.value.reason if isinstance(raised.value, RegistryRefused) else str(raised.value))
    server.misbehave.clear()
    reader.refresh()


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
@pytest.mark.parametrize("drip", [b"", b"x"], ids=["silent", "dripping"])
def test_a_server_that_holds_a_device_up_is_left(
    head: bytes, drip: bytes, world: RegistryWorld, server: RawServer
) -> None:
    def hold(connection: socket.socket, _: bytes) -> bool:
        connection.sendall(head)
        while not server.over.wait(0.1):
            connection.sendall(drip)
        return True

    server.misbehave["timestamp.json"] = hold
    began = time.monotonic()
    with pytest.raises(RegistryRefused) as refused:
        world.reader(server.address, limits=QUICK).refresh()
    assert refused.value.reason == "slow"
    assert time.monotonic() - began < 8


def test_nobody_at_the_address_is_unreachable(world: RegistryWorld) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(RegistryUnreachable, match="did not answer"):
        world.reader(f"http://127.0.0.1:{port}").refresh()


def test_a_folder_that_is_not_the_registrys_is_said_to_be_so(world: RegistryWorld, server: RawServer) -> None:
    with pytest.raises(RegistryUnreachable, match=r"does not have metadata/timestamp\.json"):
        world.reader(f"{server.address}/elsewhere").refresh()


def test_a_download_keeps_to_its_pace(world: RegistryWorld, server: RawServer) -> None:
    reader = world.reader(server.address)
    reader.refresh()
    began = time.monotonic()
    reader.fetch(TASK, NAME, "1.0", world.store(), bytes_per_s=200_000)
    assert time.monotonic() - began >= len(WEIGHTS) / 200_000 * 0.9


@pytest.mark.skipif(shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin") is None, reason="nginx is not installed")
def test_the_real_nginx_serves_a_registry_as_the_page_configures_it(world: RegistryWorld, tmp_path: Path) -> None:
    found = re.search(r"^```nginx\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    config = re.sub(r"listen [^;]+;", "listen 127.0.0.1:PORT;", re.sub(r"root [^;]+;", "root ROOT;", found[1]))
    with nginx(world.registry.public, tmp_path / "nginx", config) as address:
        world.store().part(weights(world).rpartition("/")[2]).write_bytes(WEIGHTS[:70_000])
        reader = world.reader(address)
        reader.refresh()
        told: list[Progress] = []
        fetched = reader.fetch(TASK, NAME, "1.0", world.store(), progress=told.append)
        assert fetched.read("weights.bin") == WEIGHTS
        assert max(one.resumed for one in told) >= 70_000  # ranges work
        assert reader.rollout(TASK, NAME) is not None


def test_the_convenience_server_serves_the_registry_and_nothing_beside_it(tmp_path: Path) -> None:
    centre = tmp_path / "centre"
    world = RegistryWorld(tmp_path / "world")
    world.rollout(world.publish())
    centre.mkdir()
    shutil.copytree(world.registry.root, centre / "registry")
    command = [
        sys.executable,
        "-c",
        "from roost_edge.cli import main; raise SystemExit(main())",
        "registry",
        "serve",
        "--centre",
        str(centre),
        "--port",
        "0",
    ]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        address = child.stdout.readline().strip()
        world.store().part(weights(world).rpartition("/")[2]).write_bytes(WEIGHTS[:70_000])
        reader = world.reader(address)
        reader.refresh()
        assert reader.fetch(TASK, NAME, "1.0", world.store()).read("weights.bin") == WEIGHTS
        for path in ("../settings.json", "..%2fsettings.json", "%2e%2e/keys", ".hidden", "metadata", "%00", "x" * 300):
            assert status_of(address, path) == 404
    finally:
        child.terminate()
        assert child.wait(10) == 0
        child.stdout and child.stdout.close()


def status_of(address: str, path: str) -> int:
    """Asked over a bare socket, because clients tidy such paths."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return int(connection.recv(4096).split(b" ")[1])

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from roost_broker.errors import Misuse, PeerError
from roost_broker.messages import MAX_BYTES
from roost_broker.mosquitto import MosquittoSettings, PrivateBroker, find_mosquitto, render
from roost_broker.mqtt import MqttBus
from roost_broker.private_process import dying_with_parent, listens_on


def options(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split(" ", 1) for line in lines)


def test_the_configuration_listens_on_loopback_only_and_keeps_sessions() -> None:
    found = options(render(MosquittoSettings(port=1884, folder="/var/lib/roost", max_queued_messages=77)))
    assert found["listener"] == "1884 127.0.0.1"
    assert found["persistence"] == "true"
    assert found["persistence_location"] == "/var/lib/roost/"
    assert found["max_queued_messages"] == "77"
    assert int(found["max_packet_size"]) > MAX_BYTES
    assert "user" not in found


def test_every_option_has_its_reason_above_it() -> None:
    previous = ""
    for line in render(MosquittoSettings(user="root")).splitlines():
        if line and not line.startswith("#"):
            assert previous, f"{line} follows an empty line: its reason is missing"
        previous = line


@pytest.mark.parametrize(
    "bad",
    [{"port": 0}, {"folder": "relative"}, {"folder": "/x\nallow_anonymous true"}, {"user": "x y"}, {"autosave_s": 0}],
)
def test_settings_that_cannot_work_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(Misuse, match=r"mosquitto\."):
        MosquittoSettings(**bad)


def test_a_missing_mosquitto_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="apt-get install mosquitto"):
        find_mosquitto(str(tmp_path))


@pytest.mark.broker
def test_an_orderly_stop_keeps_sessions_and_retained_messages(
    own_mosquitto: PrivateBroker, run: Callable[..., Any]
) -> None:
    async def publish() -> None:
        bus = MqttBus(own_mosquitto.settings(), "writer")
        await bus.start()
        await bus.publish("state", b"kept", retain=True)
        await bus.stop()

    async def read() -> bytes:
        found: asyncio.Queue[bytes] = asyncio.Queue()
        bus = MqttBus(own_mosquitto.settings(), "reader")
        bus.subscribe("state", lambda delivery: found.put_nowait(delivery.payload))
        await bus.start()
        payload = await found.get()
        await bus.stop()
        return payload

    run(publish())
    port = own_mosquitto.port
    own_mosquitto.stop()
    assert not own_mosquitto.running
    own_mosquitto.start()
    assert own_mosquitto.port == port
    assert run(read()) == b"kept"


@pytest.mark.broker
def test_a_killed_broker_starts_again_on_its_port_with_another_process(own_mosquitto: PrivateBroker) -> None:
    pid, port = own_mosquitto.pid, own_mosquitto.port
    own_mosquitto.kill()
    own_mosquitto.start()
    assert own_mosquitto.port == port
    assert own_mosquitto.pid != pid
    assert own_mosquitto.running
    with pytest.raises(Misuse, match="running already"):
        own_mosquitto.start()


OWNER = """
import pathlib, sys
from roost_broker.mosquitto import PrivateBroker
broker = PrivateBroker(pathlib.Path(sys.argv[1]))
broker.start()
print(broker.port, flush=True)
sys.stdin.read()
"""


@pytest.mark.broker
@pytest.mark.skipif(not dying_with_parent(), reason="needs setpriv of util-linux")
def test_a_broker_whose_owner_is_killed_with_9_ends_too(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        port = int(owner.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
            owner.kill()
            with suppress(ConnectionResetError):  # it was not accepted yet: its end is told otherwise
                assert line.recv(1) == b"", "the broker's end closes the connection"


@pytest.mark.broker
def test_a_port_that_is_taken_is_told_and_no_process_is_left(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        broker = PrivateBroker(tmp_path, port=taken.getsockname()[1])
        with pytest.raises(PeerError, match="did not start on port"):
            broker.start()
        assert not broker.running


_BUSY_WITH_FILES = """
import sys
print("begun", flush=True)
while True:
    open(sys.executable, "rb").close()
"""


def test_a_process_that_opens_and_closes_files_meanwhile_is_not_taken_for_the_listener() -> None:
    with (
        socket.socket() as taken,
        subprocess.Popen([sys.executable, "-c", _BUSY_WITH_FILES], stdout=subprocess.PIPE) as busy,
    ):
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        try:
            assert busy.stdout is not None
            assert busy.stdout.readline() == b"begun\n"
            assert not any(listens_on(busy.pid, port) for _ in range(500))
        finally:
            busy.kill()
        assert listens_on(os.getpid(), port)
        assert not listens_on(os.getpid(), port - 1)


@pytest.mark.broker
@pytest.mark.skipif(os.geteuid() != 0, reason="only a broker started by root changes its user")
def test_started_by_root_it_stays_root_so_that_it_can_write_its_folder(own_mosquitto: PrivateBroker) -> None:
    status = Path(f"/proc/{own_mosquitto.pid}/status").read_text(encoding="ascii")
    assert "\nUid:\t0\t" in status

"""What a role says to systemd, over a real socket."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from roost_edge.processes.service_manager import ServiceManager

Run = Callable[..., Any]


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as systemd has it, and how $NOTIFY_SOCKET names it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@roost-test-{tmp_path.name}-{id(tmp_path)}"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind("\0" + name[1:] if name.startswith("@") else name)
        listening.settimeout(60)
        yield listening, name


def heard(listening: socket.socket) -> list[str]:
    listening.setblocking(False)
    found: list[str] = []
    try:
        while True:
            found.append(listening.recv(4096).decode())
    except BlockingIOError:
        return found


def test_the_first_ready_is_systemds_too_and_later_ones_only_change_the_status(
    systemd: tuple[socket.socket, str],
) -> None:
    listening, name = systemd
    service = ServiceManager({"NOTIFY_SOCKET": name})
    service.told("starting", "")
    service.told("ready", "camera\nat 10/s")
    service.told("ready", "camera at 5/s")
    service.told("ready", "camera at 5/s")
    service.stopping()
    assert heard(listening) == [
        "STATUS=starting",
        "STATUS=ready: camera at 10/s",
        "READY=1",
        "STATUS=ready: camera at 5/s",
        "STOPPING=1",
    ]


def test_a_detail_cannot_smuggle_in_another_field(systemd: tuple[socket.socket, str]) -> None:
    listening, name = systemd
    ServiceManager({"NOTIFY_SOCKET": name}).told("failed", "x\nREADY=1\n" + "y" * 5_000)
    (said,) = heard(listening)
    assert "\n" not in said
    assert len(said) < 500


def test_a_role_that_works_pings_and_one_that_is_stuck_does_not(systemd: tuple[socket.socket, str], run: Run) -> None:
    listening, name = systemd
    stuck = ["", "", "the camera hangs"]

    async def three_looks() -> None:
        service = ServiceManager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000"})
        asked = asyncio.Event()

        def look() -> str:
            if len(stuck) == 1:
                asked.set()
                return stuck[0]
            return stuck.pop(0)

        pinging = asyncio.create_task(service.ping(look))
        await asked.wait()
        pinging.cancel()

    run(three_looks())
    assert heard(listening) == ["WATCHDOG=1", "WATCHDOG=1"]


@pytest.mark.parametrize(
    "environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}, {"NOTIFY_SOCKET": "/nowhere/at/all"}]
)
def test_without_systemd_nothing_is_said_and_nothing_fails(environment: dict[str, str], run: Run) -> None:
    service = ServiceManager(environment)
    service.told("ready", "")
    service.stopping()
    run(service.ping(lambda: ""))


def test_the_times_of_a_parent_are_not_ours() -> None:
    watched = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "15000000", "WATCHDOG_PID": "7"}
    assert ServiceManager(watched, pid=7).watchdog_s == 15
    assert ServiceManager(watched, pid=8).watchdog_s == 0
    assert ServiceManager({"WATCHDOG_USEC": "soon"}, pid=8).watchdog_s == 0

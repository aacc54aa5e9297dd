"""`roost doctor` as people type it, beside a real device: well, with a role gone, and with a broker that does not."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_folder import write_bundle, write_pictures, write_schedule, write_settings
from PIL import Image
from secured_broker import SecuredBroker
from task_device import QUICK

from roost_broker.mosquitto import PrivateBroker
from roost_edge.processes.supervisor import Supervisor

pytestmark = [pytest.mark.broker, pytest.mark.processes]

NODE = "examined"


def card(folder: Path, port: int) -> Path:
    """A device with a model and a camera that shows two pictures again and again."""
    folder.mkdir(exist_ok=True)
    write_bundle(folder, "bright")
    write_schedule(folder, "bright")
    write_pictures(folder, 10, 240)
    for file in (folder / "pictures").iterdir():
        shades = np.asarray(Image.open(file)).copy()
        shades[:, :50] //= 2
        Image.fromarray(shades).save(file)
    return write_settings(folder, node=NODE, port=port, bundles={"bright": "bright"}, capture={"interval_ms": 100})


async def roost(*arguments: str) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("roost")), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def examined(settings: Path, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit status, and the findings by name."""
    status, out, err = await roost("doctor", "--json", "--settings", str(settings), *arguments)
    assert not err
    report = json.loads(out)
    assert report["ok"] == (status == 0)
    return status, {check["name"]: check for check in report["checks"]}


@asynccontextmanager
async def up(settings: Path) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(settings, policy=QUICK)
    try:
        await supervisor.start(settle_s=0)
        await supervisor.wait_ready(90)
        yield supervisor
    finally:
        await supervisor.stop()


def test_a_device_that_is_well_is_told_so_and_when_a_role_is_gone_who_it_is(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    settings = card(tmp_path / "card", own_mosquitto.port)

    async def main() -> None:
        async with up(settings) as supervisor:
            status, checks = await examined(settings)
            bad = {name: check for name, check in checks.items() if check["status"] == "fail"}
            assert (status, bad) == (0, {})
            assert checks["roles"]["found"] == "8 of 8 roles are ready."
            assert checks["broker"]["facts"]["roundTripMs"] > 0
            assert checks["schedule/henhouse"]["found"].endswith("is in force: an answer within 2000 ms.")
            assert "1 goldens agree" in checks["bundle/henhouse/bright"]["found"]
            assert checks["camera/nest"]["facts"]["heldBy"] == "capture"
            assert checks["stores"]["facts"]["databases"] >= 3
            supervisor.kill("capture-nest", signal.SIGKILL, restart=False)
            supervisor.kill("alerts", signal.SIGKILL, restart=False)
            while True:
                status, checks = await examined(settings, "--only", "roles", "--only", "camera")
                if "alerts" in checks["roles"]["found"] and "capture-nest" in checks["roles"]["found"]:
                    break  # their last wills have come
            assert (status, checks["roles"]["status"]) == (1, "fail")
            assert "Their logs say why" in checks["roles"]["remedy"]
            # Nobody holds the camera any more, so a frame is taken.
            assert "gave a frame of 160 × 120" in checks["camera/nest"]["found"]

    run(main(), timeout=180)


def test_without_its_broker_a_device_is_told_to_start_it_and_what_else_is_well(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    settings = card(tmp_path / "card", own_mosquitto.port)
    (settings.parent / "data").mkdir()
    own_mosquitto.stop()

    async def main() -> None:
        status, checks = await examined(settings)
        assert (status, checks["broker"]["status"]) == (1, "fail")
        assert f"No broker answers at 127.0.0.1:{own_mosquitto.port} within 5 s." in checks["broker"]["found"]
        assert checks["broker"]["remedy"].startswith("Start it (")  # how: unit/cli/test_next_steps.py
        assert checks["roles"]["status"] == checks["versions"]["status"] == "skipped"
        assert {checks[name]["status"] for name in ("storage", "bundle/henhouse/bright", "camera/nest")} == {"ok"}

    run(main(), timeout=120)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where somebody accepts and says nothing, ever."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield int(server.getsockname()[1])


def test_a_broker_that_accepts_and_says_nothing_hangs_nobody(
    run: Callable[..., Any], tmp_path: Path, silent: int
) -> None:
    settings = card(tmp_path / "card", silent)

    async def main() -> None:
        status, checks = await examined(settings, "--only", "broker", "--only", "versions")
        assert (status, checks["broker"]["status"], checks["versions"]["status"]) == (1, "fail", "skipped")
        assert "No broker answers" in checks["broker"]["found"]

    run(main(), timeout=120)


def test_with_a_wrong_password_the_next_step_is_to_make_them_anew(run: Callable[..., Any], tmp_path: Path) -> None:
    with SecuredBroker(tmp_path / "broker") as broker:
        settings = card(tmp_path / "card", broker.port)
        broker.secure(settings)
        broker.start()

        async def main() -> None:
            only = ("--only", "broker", "--only", "roles")
            _, checks = await examined(settings, *only)
            assert checks["broker"]["status"] == "ok"
            (broker.folder / "passwords" / "operator").write_text("guess\n", encoding="ascii")
            status, checks = await examined(settings, *only)
            assert (status, checks["broker"]["status"], checks["roles"]["status"]) == (1, "fail", "skipped")
            assert "operator" in checks["broker"]["found"]
            assert "roost broker setup" in checks["broker"]["remedy"]
            (broker.folder / "passwords" / "operator").unlink()
            _, checks = await examined(settings, *only)
            assert "cannot be read" in checks["broker"]["found"]

        run(main(), timeout=120)


def test_a_report_for_people_is_a_table_and_misuse_is_no_failure_of_the_device(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    settings = card(tmp_path / "card", 1883)
    (settings.parent / "data").mkdir()

    async def main() -> None:
        common = ("--settings", str(settings))
        status, out, _ = await roost("doctor", *common, "--only", "storage", "--only", "packages")
        lines = [line for line in out.splitlines() if line[:1].strip()]  # those that begin, not those that go on
        assert status == 0
        assert [line.split()[:2] for line in lines[:2]] == [["ok", "storage"], ["ok", "packages"]]
        assert lines[-1].startswith(f"{NODE}: 2 ok, 0 to look at, 0 failed, 0 not examined")
        status, _, err = await roost("doctor", *common, "--only", "nothing")
        assert (status, "There is no check 'nothing'" in err) == (2, True)
        status, _, err = await roost("doctor", "--settings", str(tmp_path / "none.toml"))
        assert (status, "none.toml" in err) == (2, True)

    run(main(), timeout=120)

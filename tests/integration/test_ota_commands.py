"""`roost ota` as an operator on the device types it, beside a running agent and without one."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ota_world import SAYS, OtaWorld, Watcher

from roost_broker.mosquitto import PrivateBroker

pytestmark = [pytest.mark.broker, pytest.mark.processes]


async def roost_ota(world: OtaWorld, *arguments: str) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("roost")), "ota", *arguments),
        *("--settings", str(world.device.settings)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def test_an_operator_sees_returns_and_allows_a_bundle_and_reads_the_card_when_nothing_runs(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    world = OtaWorld(tmp_path, own_mosquitto, poll_s=86_400)

    async def main() -> None:
        async with world.device.up(), Watcher(world.device) as watcher:
            await watcher.until(lambda: watcher.counts["ota"].get("registry-asked"))
            new = world.publish("2.0.0", SAYS.format(label="new"), label="new")
            world.roll_out("2.0.0", "serving")
            assert (await roost_ota(world, "check"))[:2] == (0, "The registry is asked now. See: roost ota status\n")
            await watcher.phase("serving")
            status, out, _ = await roost_ota(world, "status")
            assert status == 0
            assert "nest/champion follows hen: serving, wants 2.0.0" in out
            assert f"  b  champion-b  hen 2.0.0 ({new.digest[:12]})  active" in out
            status, out, _ = await roost_ota(world, "history", "--json")
            assert (status, len(json.loads(out)) > 0) == (0, True)
            status, out, _ = await roost_ota(world, "return", "--why", "smells")
            assert (status, out) == (0, "nest/champion: 1.0.0 answers.\n")
            await watcher.phase("failed")
            status, out, _ = await roost_ota(world, "status")
            assert status == 1
            assert f"  rejected: 2.0.0 ({new.digest[:12]}): returned by hand: smells" in out
            status, _, err = await roost_ota(world, "return")
            assert (status, "nothing to return to" in err) == (2, True)
            status, out, _ = await roost_ota(world, "allow", "2.0.0", "--json")
            assert (status, json.loads(out)["digest"]) == (0, new.digest)
            await watcher.phase("serving")
        status, out, err = await roost_ota(world, "status")
        assert (status, "No OTA agent runs here" in err) == (0, True)
        assert f"  b  champion-b  hen 2.0.0 ({new.digest[:12]})  active" in out
        status, _, err = await roost_ota(world, "check")
        assert (status, "No OTA agent runs" in err) == (1, True)

    run(main(), timeout=90)


def test_a_busy_device_puts_an_installation_off_and_says_so_but_not_for_longer_than_its_limit(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    always = ["00:00-12:00", "12:00-00:00"]
    settings: dict[str, Any] = {"busy.hours": always, "busy.limit_s": 3}
    world = OtaWorld(tmp_path, own_mosquitto, **settings)

    async def main() -> None:
        async with world.device.up(), Watcher(world.device) as watcher:
            world.publish("2.0.0", SAYS.format(label="new"), label="new")
            world.roll_out("2.0.0", "shadow")
            line = await watcher.phase("deferred")
            assert line.problem.startswith("put off: it is between ")
            assert [slot.version for slot in line.slots] == ["1.0.0"]
            await watcher.phase("shadow", version="2.0.0")
            phases = watcher.phases()
            assert phases.index("deferred") < phases.index("downloading")

    run(main(), timeout=60)

"""`roost rollout` and `roost lifecycle` as their users meet them: processes, a registry, a broker with a fleet."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fleet_world import NAME, TASK, Centre, bundle, pictures, simulation

from roost_broker.cancellation import within
from roost_broker.mosquitto import PrivateBroker

pytestmark = [pytest.mark.broker, pytest.mark.processes]
MAIN = "import sys; from roost_edge.cli import main; sys.exit(main())"


class Roost:
    """Runs commands for one centre and one broker."""

    def __init__(self, folder: Path, port: int) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ROOST_")}
        self._environment = {**clean, "ROOST_CENTRE": str(folder), "COLUMNS": "200"}
        self.broker = ("--broker", f"127.0.0.1:{port}")

    async def __call__(self, *words: str, status: int = 0) -> str:
        """One command to its end; its stdout."""
        process = await self.start(*words)
        out, err = await within(process.communicate(), 60)
        assert process.returncode == status, err.decode()
        return out.decode() + (err.decode() if status else "")

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        """A command that goes on."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            MAIN,
            *words,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def test_a_roll_out_by_its_commands_outlives_its_watcher_and_obeys_from_elsewhere(tmp_path: Path) -> None:
    one, two = bundle(tmp_path / "made", "1", 128), bundle(tmp_path / "made", "2", 130)
    centre = Centre(tmp_path / "centre")
    old, new = centre.publish(one, two)

    async def story(port: int) -> None:
        roost = Roost(tmp_path / "centre", port)
        fleet = simulation(centre, tmp_path, port, one, devices=20)
        stop = asyncio.Event()
        running = asyncio.ensure_future(fleet.run(stop))
        await asyncio.sleep(0)

        words = ("rollout", "start", NAME, "2", "--agreement", "0.98", "--previous", "1")
        quick = (
            "--least-dwell",
            "60",
            "--settle",
            "1",  # one step is enough here
            "--requests-per-day",
            "8640000",
            "--listen",
            "2",
        )
        begun = json.loads(await roost(*words, *quick, *roost.broker, "--author", "ann", "--json"))
        rollout = begun["rollout"]
        assert (begun["state"], begun["step"], begun["serving"]) == ("running", 1, 0.0)
        refused = await roost(*words, *quick, *roost.broker, status=2)
        assert rollout in refused

        watching = await roost.start("rollout", "watch", rollout, *roost.broker, "--json")
        assert watching.stdout is not None
        first = json.loads(await within(watching.stdout.readline(), 30))
        assert first["rollout"] == rollout

        # A watcher is there: it takes the order. It is killed: the next command does it itself.
        paused = json.loads(await roost("rollout", "pause", rollout, "--why", "lunch", "--json"))
        assert paused["state"] == "paused"
        watching.send_signal(signal.SIGKILL)
        await watching.wait()
        resumed = json.loads(await roost("rollout", "resume", rollout, "--json"))
        assert resumed["state"] == "running"

        # In use: it cannot be retired.
        in_use = await roost("lifecycle", "move", NAME, "2", "retirement", *roost.broker, "--listen", "1", status=2)
        assert rollout in in_use

        aborted = json.loads(await roost("rollout", "abort", rollout, "--why", "enough", "--json"))
        assert aborted["state"] == "aborted"
        ended = await roost("rollout", "watch", rollout, *roost.broker, status=1)
        assert "enough" in ended
        assert {device.active.digest for device in fleet.devices.values()} == {old.digest}
        stop.set()
        await running

        kinds = [marker["kind"] for marker in json.loads(await roost("rollout", "status", "--json"))["markers"]]
        assert kinds[0] == "rollout-step"
        assert [kind for kind in kinds if kind != "rollout-step"] == [
            "rollout-paused",
            "rollout-resumed",
            "rollout-aborted",
        ]
        assert rollout in await roost("rollout", "list")
        await roost("lifecycle", "move", NAME, "2", "retirement", "--unheard", "--why", "not good enough")
        history = json.loads(await roost("lifecycle", "history", NAME, "2", "--json"))
        assert history[-1]["phase"] == "retirement"
        assert history[-1]["why"] == "not good enough"

    with PrivateBroker(tmp_path / "broker") as broker:
        asyncio.run(story(broker.port))
    document = centre.registry.rollout(TASK, NAME)
    assert document is not None
    assert (document.bundle, document.state) == (new, "aborted")


def test_simulated_devices_by_their_command_are_heard_by_a_start_and_get_the_bundle(tmp_path: Path) -> None:
    one, two = bundle(tmp_path / "made", "1", 128), bundle(tmp_path / "made", "2", 130)
    centre = Centre(tmp_path / "centre")
    centre.publish(one, two)
    (tmp_path / "root.json").write_bytes(centre.root)
    pictures(tmp_path / "pictures")

    async def story(port: int) -> None:
        roost = Roost(tmp_path / "centre", port)
        where = ("--registry", str(centre.registry.public), "--root", str(tmp_path / "root.json"))
        what = ("--bundle", str(one.root), "--canary", str(one.root), "--pictures", str(tmp_path / "pictures"))
        how = ("--tag", "camera=imx219,noir", "--requests-per-s", "50", "--poll", "0.5", "--install", "0.2")
        fleet = await roost.start("fleet", "simulate", "-n", "10", *where, *what, *how, *roost.broker, "--json")
        start = ("rollout", "start", NAME, "2", "--devices", "10", "--requests-per-day", "4320000", "--listen", "3")
        expected = ("--previous", "1", "--agreement", "0.98")
        begun = json.loads(await roost(*start, *roost.broker, *expected, "--tag", "camera=noir", "--json"))
        watched = await roost("rollout", "watch", begun["rollout"], *roost.broker, "--seconds", "4", "--json")
        last = json.loads(watched.splitlines()[-1])
        assert last["reporting"] == 10
        fleet.send_signal(signal.SIGTERM)
        out, err = await within(fleet.communicate(), 60)
        assert fleet.returncode == 0, err.decode()
        counts = json.loads(out)["counts"]
        assert counts["documents"] >= 1
        assert counts["reports"] > 20
        assert "agrees with the one before on 99.0%, with the canary on 99.0%" in err.decode()

    with PrivateBroker(tmp_path / "broker") as broker:
        asyncio.run(story(broker.port))

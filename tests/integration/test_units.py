"""A role as a service, without systemd; and what systemd-analyze says of the units."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from device_folder import write_bundle, write_schedule, write_settings

from roost_broker.mosquitto import PrivateBroker
from roost_edge.settings import loading
from roost_edge.units.installing import apply, differences
from roost_edge.units.planned import planned
from roost_edge.units.shipped import shipped

SMALL_SCENE = {"source": "synthetic", "width": 160, "height": 120, "fps": 2.0}
PATIENCE_S = 120
STRICTEST = 25
"""Of systemd-analyze's exposure, in tenths: promise F4."""


@pytest.fixture
def settings(tmp_path: Path, mosquitto: PrivateBroker) -> Path:
    write_schedule(tmp_path, "bright")
    bundle = write_bundle(tmp_path / "bundles", "bright")
    return write_settings(
        tmp_path, node=tmp_path.name[:60], port=mosquitto.port, bundles={"bright": bundle}, camera=SMALL_SCENE
    )


class Service:
    """A daemon started as a unit would, and what it tells the service manager."""

    def __init__(self, settings: Path, name: str, folder: Path) -> None:
        address = f"roost-test-{os.getpid()}-{id(self)}"
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.listening.bind(f"\0{address}")
        self.listening.settimeout(PATIENCE_S)
        runtime = folder / "run" / name
        runtime.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "roost_edge.daemon", "--name", name, "--settings", settings],
            env={
                **os.environ,
                "NOTIFY_SOCKET": f"@{address}",
                "WATCHDOG_USEC": "600000",
                "RUNTIME_DIRECTORY": str(runtime),
                "ROOST_STANDBY": str(folder / "standby"),
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    def hears(self, wanted: str) -> None:
        """Return when it has said a line that begins so."""
        while True:
            if any(line.startswith(wanted) for line in self.listening.recv(4096).decode().splitlines()):
                return

    def ended(self) -> tuple[int, str]:
        """Its status and its log."""
        _, said = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, said

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.listening.close()


@contextlib.contextmanager
def service(settings: Path, name: str, folder: Path) -> Iterator[Service]:
    with contextlib.closing(Service(settings, name, folder)) as made:
        yield made


def role_names(settings: Path) -> tuple[str, str]:
    """A rendezvous and its other slot."""
    (task,) = loading.load(settings).tasks
    return f"rendezvous-{task}", f"rendezvous-{task}-b"


@pytest.mark.broker
@pytest.mark.processes
def test_a_service_says_ready_then_pings_and_says_that_it_stops(settings: Path, tmp_path: Path) -> None:
    (camera,) = loading.load(settings).cameras
    with service(settings, f"capture-{camera}", tmp_path) as role:
        role.hears("STATUS=starting")
        role.hears("READY=1")
        role.hears("WATCHDOG=1")
        role.hears("WATCHDOG=1")
        role.process.send_signal(signal.SIGTERM)
        role.hears("STOPPING=1")
        assert role.ended()[0] == 0


@pytest.mark.broker
@pytest.mark.processes
def test_a_slot_that_is_not_in_charge_ends_at_once_and_in_order(settings: Path, tmp_path: Path) -> None:
    with service(settings, role_names(settings)[1], tmp_path) as role:
        role.hears("READY=1")  # else systemd would call an orderly end a failure
        status, said = role.ended()
    assert status == 0
    assert "another slot does this work" in said


@pytest.mark.broker
@pytest.mark.processes
def test_a_successor_that_was_asked_for_stands_by(settings: Path, tmp_path: Path) -> None:
    first, second = role_names(settings)
    (tmp_path / "standby").mkdir()
    (tmp_path / "standby" / second).touch()
    with service(settings, first, tmp_path) as in_charge, service(settings, second, tmp_path) as successor:
        in_charge.hears("READY=1")
        successor.hears("READY=1")
        successor.hears("WATCHDOG=1")


@pytest.mark.broker
@pytest.mark.processes
def test_a_role_that_ended_before_says_that_it_waits(settings: Path, tmp_path: Path) -> None:
    name = role_names(settings)[0]
    for _ in range(2):
        with service(settings, name, tmp_path) as role:
            role.hears("READY=1")
    with service(settings, name, tmp_path) as role:
        role.hears("STATUS=ended 2 times in a row; waits")
        role.hears("READY=1")


@pytest.mark.processes
def test_a_role_that_cannot_even_read_its_settings_waits_as_well(tmp_path: Path) -> None:
    with service(tmp_path / "nowhere.toml", "monitor", tmp_path) as role:
        assert role.ended()[0] == 2
    with service(tmp_path / "nowhere.toml", "monitor", tmp_path) as role:
        role.hears("STATUS=ended 1 times in a row; waits")


@pytest.mark.processes
def test_a_name_that_the_settings_do_not_have_is_misuse(settings: Path) -> None:
    command = [sys.executable, "-m", "roost_edge.daemon", "--settings", str(settings)]
    for words in (["--name", "model-nowhere"], [], ["rendezvous", "--name", "monitor"]):
        done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 2


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units of a device, below a root that has what their commands name."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here (systemd-analyze is missing): nothing can judge the units")
    root = tmp_path_factory.mktemp("root")
    (root / "roost.toml").write_text(
        '[node]\nname = "pi1"\ndata = "/var/lib/roost"\n[broker]\npasswords = "/etc/roost/broker/passwords"\n'
        '[tasks.nest]\nschedule = "nest.toml"\n[tasks.nest.models.champion]\nbundle = "champion"\nota = "bird"\n'
        '[cameras.door]\ntask = "nest"\nsource = "picamera"\n[cameras.street]\ntask = "nest"\nsource = "opencv"\n'
        'url = "rtsp://10.0.0.3/1"\n[proxy]\n[gateway]\n[ota]\nregistry = "r"\nroot = "r.json"\n'
    )
    plan = planned(loading.load(root / "roost.toml"), shipped())
    apply(differences(plan, root), root)
    for name in ("python", "roost"):
        program = root / "opt/roost/venv/bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    system = next(path for path in (Path("/usr/lib/systemd/system"), Path("/lib/systemd/system")) if path.is_dir())
    beside = root / "usr/lib/systemd/system"
    beside.mkdir(parents=True)
    for unit in (*system.glob("*.target"), *system.glob("*.slice")):
        shutil.copy(unit, beside, follow_symlinks=True)
    (beside / "mosquitto.service").write_text("[Service]\nExecStart=/opt/roost/venv/bin/python\n")
    return root


def units_of(tree: Path) -> list[str]:
    """Every unit by a name that can be loaded: of templates, those instances that somebody wants."""
    system = tree / "etc/systemd/system"
    found = {path.name for path in system.glob("roost*") if path.is_file() and "@." not in path.name}
    return sorted({*found, *(path.name for path in system.glob("*.wants/*"))})


def test_systemd_has_no_complaint_about_any_unit(tree: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", f"--root={tree}", "--man=no", *units_of(tree)],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_unit_is_more_exposed_than_promised(tree: Path) -> None:
    services = [unit for unit in units_of(tree) if unit.endswith(".service")]
    assert len(services) > 15
    done = subprocess.run(
        ["systemd-analyze", "security", f"--root={tree}", "--offline=yes", f"--threshold={STRICTEST}", "--no-pager",
         *services],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    overall = [line.strip("→ ") for line in done.stdout.splitlines() if "Overall exposure level" in line]
    assert len(overall) == len(services), done.stderr
    assert done.returncode == 0, overall

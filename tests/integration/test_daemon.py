"""One role as a process against a real broker: it says it is ready, ends in order, and refuses what cannot be."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from device_folder import write_bundle, write_schedule, write_settings
from process_end import ended_within

from roost_broker.mosquitto import PrivateBroker

pytestmark = [pytest.mark.broker, pytest.mark.processes]

SMALL_SCENE = {"source": "synthetic", "width": 160, "height": 120, "fps": 2.0}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundles"), "bright")


@pytest.fixture
def settings(tmp_path: Path, bundle: Path, mosquitto: PrivateBroker) -> Path:
    write_schedule(tmp_path, "bright")
    return write_settings(
        tmp_path, node=tmp_path.name[:60], port=mosquitto.port, bundles={"bright": bundle}, camera=SMALL_SCENE
    )


def command(settings: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "roost_edge.daemon", *arguments, "--settings", str(settings)]


@contextmanager
def daemon(settings: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command(settings, *arguments), stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)
        assert process.stderr is not None
        process.stderr.close()


def line_with(process: subprocess.Popen[str], text: str) -> dict[str, object]:
    """The first log line whose message has this text; fails when the process ends before it says so."""
    assert process.stderr is not None
    stream: IO[str] = process.stderr
    said = []
    for line in stream:
        entry = json.loads(line)
        assert isinstance(entry, dict)
        said.append(entry)
        if text in entry["message"]:
            return entry
    raise AssertionError(f"{text!r} was not said, but {said}")


def misuse(settings: Path, *arguments: str) -> str:
    done = subprocess.run(
        command(settings, *arguments), capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    entry = json.loads(line)
    assert entry["level"] == "error"
    return str(entry["message"])


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("rendezvous", signal.SIGTERM),
        ("injector", signal.SIGTERM),
        ("model", signal.SIGTERM),
        ("decoy", signal.SIGTERM),
        ("decoy", signal.SIGINT),
        ("capture", signal.SIGTERM),
        ("alerts", signal.SIGTERM),
    ],
)
def test_a_role_told_to_stop_ends_in_order_with_status_0(settings: Path, kind: str, number: signal.Signals) -> None:
    with daemon(settings, kind) as process:
        assert line_with(process, "begins")["pid"] == process.pid
        process.send_signal(number)
        line_with(process, "stopped in order")
        assert process.wait(timeout=20) == 0


def loaded_by(settings: Path, kind: str) -> set[str]:
    """Libraries that the role's process has in memory when it is composed."""
    script = f"""
import sys
from pathlib import Path
from roost_edge import daemon
from roost_edge.settings import loading as settings
from roost_edge.processes.plan import resolve
from roost_edge.roles import compose
loaded = settings.load(Path({str(settings)!r}))
with compose(loaded, resolve(loaded, {kind!r})):
    print(*(name for name in sys.modules if "." not in name))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


COMMANDS = {"typer", "rich"}
CENTRE = {"pyarrow", "ray"}
REGISTRY = {"tuf", "securesystemslib"}
PICTURES = {"numpy", "cv2", "PIL", "sqlite_utils"}


@pytest.mark.parametrize("kind", ["rendezvous", "injector", "decoy", "monitor", "alerts", "desk"])
def test_the_light_roles_load_no_heavy_library(settings: Path, kind: str) -> None:
    assert not loaded_by(settings, kind) & (COMMANDS | CENTRE | REGISTRY | PICTURES | {"nats", "cryptography"})


@pytest.mark.parametrize("kind", ["model", "capture"])
def test_no_role_loads_the_command_lines_or_the_centres_libraries(settings: Path, kind: str) -> None:
    assert not loaded_by(settings, kind) & (COMMANDS | CENTRE | REGISTRY | {"nats", "cryptography"})


def test_the_gateway_loads_of_the_heavy_libraries_that_of_nats_alone(settings: Path) -> None:
    with settings.open("a", encoding="utf-8") as file:
        file.write("[gateway]\n")
    loaded = loaded_by(settings, "gateway")
    assert "nats" in loaded
    assert not loaded & (COMMANDS | CENTRE | REGISTRY | PICTURES | {"cryptography"})


def test_the_ota_agent_leaves_the_registrys_libraries_to_its_child(settings: Path) -> None:
    text = settings.read_text(encoding="utf-8")
    text = text.replace("models.bright.bundle", 'models.bright.ota = "b"\nmodels.bright.bundle', 1)
    (settings.parent / "root.json").write_text("{}", encoding="utf-8")
    settings.write_text(text + '[ota]\nregistry = "registry"\nroot = "root.json"\n', encoding="utf-8")
    assert not loaded_by(settings, "ota") & (COMMANDS | CENTRE | REGISTRY | PICTURES | {"nats"})


def test_a_second_process_of_the_same_role_is_refused(settings: Path) -> None:
    with daemon(settings, "decoy") as process:
        line_with(process, "begins")
        assert f"already running (process {process.pid})" in misuse(settings, "decoy")


def test_a_fault_outside_qa_is_refused_with_the_remedy(settings: Path) -> None:
    assert "Set `qa = true` below [node]." in misuse(settings, "model", "--fault", "slow:5000")


def test_a_fault_in_qa_is_accepted_for_models_alone(settings: Path) -> None:
    settings.write_text(settings.read_text().replace("[broker]", "qa = true\n[broker]"), encoding="utf-8")
    assert "Only models can be made to misbehave" in misuse(settings, "decoy", "--fault", "hang")
    assert "is not a fault" in misuse(settings, "model", "--fault", "lazy")
    with daemon(settings, "model", "--fault", "slow:10") as process:
        line_with(process, "begins")


def test_bad_settings_end_the_role_with_the_line_and_the_remedy(settings: Path) -> None:
    settings.write_text(settings.read_text().replace("[broker]", "[broker]\nprot = 1"), encoding="utf-8")
    assert "line 5: broker.prot: there is no such setting. Did you mean `port`?" in misuse(settings, "decoy")


def test_a_model_that_the_settings_do_not_have_is_refused_with_those_they_have(settings: Path) -> None:
    assert "model --task henhouse --model bright" in misuse(settings, "model", "--model", "dark")


def test_a_bundle_that_is_gone_is_one_clear_line(settings: Path, tmp_path: Path) -> None:
    text = settings.read_text(encoding="utf-8").replace(
        "models.bright.bundle", 'models.gone.bundle = "x"\nmodels.b.bundle'
    )
    settings.write_text(text, encoding="utf-8")
    assert f"There is no bundle at {tmp_path / 'x'}." in misuse(settings, "model", "--model", "gone")


def test_a_role_dies_with_the_process_that_started_it(settings: Path) -> None:
    script = f"""
import os, subprocess, sys
arguments = {command(settings, "decoy")!r} + ["--die-with", str(os.getpid())]
child = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
child.stderr.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not ended_within(child, 0)
        parent.kill()
    assert ended_within(child, 10)


def test_a_data_folder_that_cannot_be_used_is_said_with_what_to_do(settings: Path) -> None:
    (settings.parent / "data").write_text("in the way")
    done = subprocess.run(
        command(settings, "injector"), capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "Check that this user may write there" in json.loads(line)["message"]

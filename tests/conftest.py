"""What several suites share. Small on purpose: everything else is a shipped product (memory bus, private broker)."""

import asyncio
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for what suites share: `cutting`

from roost_broker.mosquitto import PrivateBroker

T = TypeVar("T")
Run = Callable[..., Any]
Walk = Callable[..., dict[str, str]]

# Machines here are shared: how long one example takes says nothing about the code.
hypothesis.settings.register_profile("roost", deadline=None)
hypothesis.settings.load_profile("roost")

_PATIENCE = 4

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`scripts/test --provisioning`: what builds images and boots guests, as root, for half an hour."""
    parser.addoption("--provisioning", action="store_true", help="collect tests/provisioning too")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave tests/provisioning out unless it is asked for; None leaves the choice to pytest."""
    left_out = REPOSITORY / "tests" / "provisioning"
    return True if collection_path == left_out and not config.getoption("--provisioning") else None


@pytest.fixture
def run() -> Run:
    """Run one coroutine on a fresh event loop, for at most `timeout` seconds: `run(main(), timeout=10)`.

    The bound keeps a test that hangs from hanging for ever, and says nothing about speed: machines here are shared, so
    it is taken four times.
    """

    def run_bounded(work: Coroutine[Any, Any, T], timeout: float = 20) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(timeout * _PATIENCE):
                return await work

        return asyncio.run(bounded())

    return run_bounded


@pytest.fixture
def walk() -> Walk:
    """Run the console lines of a page in a folder, as its reader would: `walk(lines, folder)`. What each one said.

    Each must end well, within `timeout` seconds.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROOST_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def walked(lines: Iterable[str], folder: Path, timeout: float = 60) -> dict[str, str]:
        said = {}
        for line in lines:
            done = subprocess.run(
                shlex.split(line.removeprefix("$ ")),
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            said[line] = done.stdout + done.stderr
        return said

    return walked


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBroker]:
    """A private Mosquitto for the whole run. Use names (node, client ids) of your own; never stop or kill this one."""
    with PrivateBroker(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker


@pytest.fixture
def own_mosquitto(tmp_path: Path) -> Iterator[PrivateBroker]:
    """A private Mosquitto for one test, which may stop and kill it."""
    with PrivateBroker(tmp_path / "mosquitto") as broker:
        yield broker


@pytest.fixture
def terminal_heard() -> Iterator[None]:
    """The end of a terminal reaches us and our children, though the tests themselves may run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the shared data (pictures, models); skips where it is missing."""
    folder = Path(os.environ.get("ROOST_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"No shared data in {folder}: set ROOST_SHARED_DATA to the folder with images/ and models/.")
    return folder

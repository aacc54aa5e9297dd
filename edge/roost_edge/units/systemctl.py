"""systemd, by its own command: the one door that needs no library and works with and without a message bus."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from roost_broker.errors import Misuse, PeerError, RoostError

_PATIENCE_S = 120.0
SHOWN = ("Id", "LoadState", "ActiveState", "SubState", "Result", "MainPID", "NRestarts", "StatusText", "MemoryCurrent")


def runs() -> bool:
    """Whether systemd is the first process here: in a chroot or a container without it there is nobody to ask."""
    return Path("/run/systemd/system").is_dir()


def systemctl(*words: str, timeout_s: float = _PATIENCE_S) -> str:
    """What it says. Raises `Misuse` (no systemd), `PeerError` (it refused, or took longer than `timeout_s`)."""
    return _run(["systemctl", *words], timeout_s)


def users_and_folders(root: Path) -> None:
    """Make the users and, on a running device, the folders that our units need. Raises as `systemctl`."""
    below = [] if root == Path("/") else [f"--root={root}"]
    _run(["systemd-sysusers", *below, "roost.conf"], _PATIENCE_S)
    if not below:
        _run(["systemd-tmpfiles", "--create", "roost.conf"], _PATIENCE_S)


def watch_hardware(configuration: str) -> bool:
    """Let systemd take over the hardware watchdog of this text now; False where that has to wait for the next start.

    Not by `daemon-reexec`, which would cut off everybody who waits for systemd at this moment.
    """
    found = re.search(r"^RuntimeWatchdogSec=(\d+)s$", configuration, re.MULTILINE)
    micros = int(found[1]) * 1_000_000 if found else 0
    manager = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]
    try:
        _run(["busctl", "set-property", *manager, "RuntimeWatchdogUSec", "t", str(micros)], _PATIENCE_S)
    except RoostError:  # no message bus, or a systemd that does not let itself be told
        return False
    return True


async def asked(*words: str, timeout_s: float = _PATIENCE_S) -> str:
    """`systemctl`, while an event loop goes on."""
    return await asyncio.to_thread(systemctl, *words, timeout_s=timeout_s)


def show(said: str) -> dict[str, Mapping[str, str]]:
    """What `systemctl show` printed of several units, by their names: pure."""
    found: dict[str, Mapping[str, str]] = {}
    for part in said.split("\n\n"):
        values = dict(line.split("=", 1) for line in part.splitlines() if "=" in line)
        if "Id" in values:
            found[values["Id"]] = values
    return found


def show_words(units: Sequence[str]) -> tuple[str, ...]:
    """The words that make `systemctl` print what `show` reads."""
    return ("show", f"--property={','.join(SHOWN)}", *units)


def _run(command: list[str], timeout_s: float) -> str:
    program = shutil.which(command[0])
    if program is None:
        raise Misuse(f"There is no {command[0]} here.", "Units are for systemd; without it: roost up.")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise PeerError(
            f"`{' '.join(command)}` took longer than {timeout_s:g} s.", "See: systemctl list-jobs."
        ) from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().replace("\n", " ")[:500]
        raise PeerError(
            f"`{' '.join(command[:4])}` failed: {said or f'status {done.returncode}'}.",
            "See: journalctl -b -p warning.",
        )
    return done.stdout

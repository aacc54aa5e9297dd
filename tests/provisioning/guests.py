"""Guests: whole Debian systems with systemd as their first process, on a network of their own.

    with Guest("pi1") as guest:
        guest.put("/etc/motd", "hello")
        guest.run(["systemctl", "is-system-running"])

A guest is a container (systemd-nspawn) on a throw-away copy of `guest_base.base(release)`; it boots in a few seconds.
What holds here and not on a device: memory and task limits are not enforced, the clock cannot be set, there is no
kernel of its own. Needs root. Nothing outlives its owner, even one killed with -9: mounts live in a mount namespace of
the guest alone, guests end with their owner, and what is left on the disk goes with the next run.
"""

import atexit
import fcntl
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Sequence
from functools import cache as once
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import guest_base
from guest_base import USER, base

__all__ = ["USER", "Guest", "Network", "base", "network"]

_ENVIRONMENT = ["LANG=C.UTF-8", "HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]

# The copy is an overlay, mounted where only the guest sees it. A cgroup of its own: guests of one owner would
# otherwise share theirs, and one that stops its mosquitto.service would stop everybody's.
_START = """\
set -e
echo $$ > "$1/cgroup.procs"; mount -t overlay overlay -o "lowerdir=$2,upperdir=$3/upper,workdir=$3/work" "$3/root"
shift 3
exec "$@"
"""


class Network:
    """A bridge with the address 10.77.N.1 on this machine; each process that has guests has its own.

    `key` and `known_hosts` are what an ssh client needs to reach them as root or as `USER`.
    """

    def __init__(self) -> None:
        self.number, self._lock = _free_number()
        self.bridge = f"roost{self.number}"
        self.address = f"10.77.{self.number}.1"
        self.folder = guest_base.cache() / "guests" / f"live-{self.number}"
        self.cgroup = _cgroups() / f"roost-guests-{self.number}"
        self.clear()
        self.folder.mkdir(parents=True)
        self.cgroup.mkdir()
        _ip("link", "add", self.bridge, "type", "bridge")
        _ip("addr", "add", f"{self.address}/24", "dev", self.bridge)
        _ip("link", "set", self.bridge, "up")
        self.key = self.folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        self.known_hosts = self.folder / "known_hosts"
        self._used = 1
        # Ends the guests when this process has ended, however that came; until then the number stays taken.
        self._watch = subprocess.Popen(
            ["sh", "-c", 'cat; echo 1 > "$1/cgroup.kill"', "watch", str(self.cgroup)],
            stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, pass_fds=[self._lock.fileno()],
        )  # fmt: skip

    def next_address(self) -> str:
        """An address that no guest of this run has had."""
        self._used += 1
        if self._used > 254:
            raise RuntimeError("More than 253 guests in one run: their addresses are used up.")
        return f"10.77.{self.number}.{self._used}"

    def close(self) -> None:
        """Remove everything and give the number back."""
        self.clear()
        self._watch.communicate()
        self._lock.close()

    def clear(self) -> None:
        """Remove bridge, guests and copies of this number, whoever left them."""
        if self.cgroup.is_dir():
            (self.cgroup / "cgroup.kill").write_text("1")
            _remove_cgroup(self.cgroup)
        if Path("/sys/class/net", self.bridge).exists():
            _ip("link", "del", self.bridge)
        shutil.rmtree(self.folder, ignore_errors=True)


@once
def network() -> Network:
    """The network of this process; its number stays taken until the process ends."""
    made = Network()
    atexit.register(made.close)
    return made


class Guest:
    """One guest, booted on entry and gone on exit. `release` names its Debian, `name` is its host name.

    `stop` and `start` keep what it wrote, `kill` is as a power cut to its processes (the disk's cache survives it).
    """

    def __init__(
        self, name: str, root: Path | None = None, *, release: str = "bookworm", timeout_s: float = 180
    ) -> None:
        self.name = name
        self.base = root or base(release)
        self.timeout_s = timeout_s
        """How long a boot or an end may take before the test fails."""
        self.network = network()
        self.address = self.network.next_address()
        self.link_name = f"rg{self.address.removeprefix('10.77.').replace('.', 'x')}"
        self._folder = self.network.folder / name
        self._cgroup = self.network.cgroup / name
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        try:
            for part in ("upper", "work", "root"):
                (self._folder / part).mkdir(parents=True)
            self._personalise()
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def start(self) -> None:
        """Boot it and wait until systemd has finished starting."""
        self._cgroup.mkdir(exist_ok=True)
        nspawn = [
            "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--notify-ready=yes",
            "--directory", str(self._folder / "root"), "--machine", f"{self.network.bridge}-{self.name}",
            "--private-network", f"--network-veth-extra={self.link_name}:host0",
            "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe",
        ]  # fmt: skip
        with (
            (self._folder / "console.log").open("ab") as console,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as words,
        ):
            words.settimeout(self.timeout_s)
            words.bind(f"\0roost-guest-{self.address}")
            self._process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", _START, "guest", str(self._cgroup), str(self.base),
                 str(self._folder), *nspawn],
                stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                    "NOTIFY_SOCKET": f"@roost-guest-{self.address}",
                },
            )  # fmt: skip
            self._leader = int(self._told(words, b"X_NSPAWN_LEADER_PID="))
            self._plug_in()
            self._told(words, b"READY=1")

    def run(
        self, argv: Sequence[str], *, check: bool = True, given: str | None = None, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it as root, as from its console. Raises with both outputs when it fails and `check`."""
        entered = ["nsenter", "--target", str(self._leader), "--all", "--", "env", "-i", *_ENVIRONMENT, *argv]
        done = subprocess.run(
            entered, input=given or "", capture_output=True, text=True, timeout=timeout_s, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{self.name}: {list(argv)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def put(self, path: str, content: str | Path, mode: int = 0o644) -> None:
        """Write a file in it, from a text or from a file of this machine; folders above it are made."""
        data = content.encode() if isinstance(content, str) else content.read_bytes()
        script = 'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod "$2" "$1"'
        subprocess.run(
            ["nsenter", "--target", str(self._leader), "--all", "--", "sh", "-c", script, "put", path, f"{mode:o}"],
            input=data, check=True, timeout=120,
        )  # fmt: skip

    def state(self) -> str:
        """How systemd says it is: running, degraded …"""
        return self.run(["systemctl", "is-system-running"], check=False).stdout.strip()

    def read(self, path: str) -> str:
        """The text of a file in it."""
        return self.run(["cat", path]).stdout

    def properties(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit, as `systemctl show` says them."""
        shown = self.run(["systemctl", "show", unit, f"--property={','.join(names)}"]).stdout
        return dict(line.split("=", 1) for line in shown.splitlines())

    def ssh(self, user: str = USER) -> list[str]:
        """The beginning of an ssh command to it."""
        hosts = f"UserKnownHostsFile={self.network.known_hosts}"
        return ["ssh", "-F", "none", "-i", str(self.network.key), "-o", hosts, "-o", "BatchMode=yes", "-o",
                "ConnectTimeout=20", f"{user}@{self.address}"]  # fmt: skip

    def link(self, *, up: bool) -> None:
        """Plug its network cable in, or pull it."""
        _ip("link", "set", self.link_name, "up" if up else "down")

    def stop(self) -> None:
        """Shut it down in order; `start` boots it again with all it wrote."""
        assert self._process is not None
        os.kill(self._leader, signal.SIGRTMIN + 4)  # systemd: power off
        self._process.wait(self.timeout_s)
        self.kill()

    def kill(self) -> None:
        """End all its processes at once, in no order."""
        if self._cgroup.is_dir():
            (self._cgroup / "cgroup.kill").write_text("1")
        if self._process is not None:
            self._process.wait(self.timeout_s)
            self._process = None
        if self._cgroup.is_dir():
            _remove_cgroup(self._cgroup)

    @property
    def console(self) -> str:
        """What it has said on its console, since the first boot."""
        return (self._folder / "console.log").read_text(errors="replace")

    def _plug_in(self) -> None:
        _ip("link", "set", self.link_name, "master", self.network.bridge)
        self.link(up=True)
        for words in (
            ["addr", "add", f"{self.address}/24", "dev", "host0"],
            ["link", "set", "host0", "up"],
            ["route", "add", "default", "via", self.network.address],
        ):
            _ip_inside(self._leader, *words)

    def _personalise(self) -> None:
        public = self.network.key.with_suffix(".pub").read_text()
        upper = self._folder / "upper"
        for home, owner in ((Path("root"), 0), (Path("home", USER), 1000)):
            _like(self.base, upper, home / ".ssh")
            keys = upper / home / ".ssh" / "authorized_keys"
            keys.write_text(public)
            os.chown(keys, owner, owner)
        _like(self.base, upper, Path("etc"))
        (upper / "etc/hostname").write_text(self.name + "\n")
        (upper / "etc/hosts").write_text(f"127.0.0.1 localhost {self.name}\n")
        host_key = (self.base / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
        with self.network.known_hosts.open("a") as known:
            known.write(f"{self.address} {host_key[0]} {host_key[1]}\n")

    def _told(self, words: socket.socket, wanted: bytes) -> bytes:
        """Wait until systemd-nspawn says `wanted…`; what followed it on that line."""
        while True:
            try:
                message = words.recv(4096)
            except TimeoutError:
                raise AssertionError(f"{self.name} has not said {wanted!r}. Its console:\n{self.console}") from None
            for line in message.splitlines():
                if line.startswith(wanted):
                    return line.removeprefix(wanted)

    def _remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def _like(model: Path, copy: Path, folder: Path) -> None:
    """Make `folder` below `copy`, with the modes and owners that it has below `model`."""
    for part in [*reversed(folder.parents), folder]:
        (copy / part).mkdir(exist_ok=True)
        status = (model / part).stat()
        (copy / part).chmod(stat.S_IMODE(status.st_mode))
        os.chown(copy / part, status.st_uid, status.st_gid)


def _free_number() -> tuple[int, IO[str]]:
    """A number that no living process holds, and the lock that holds it."""
    for number in range(1, 250):
        lock = Path(f"/run/lock/roost-guests-{number}").open("w")  # noqa: SIM115  # held until the process ends
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return number, lock
    raise RuntimeError("All networks for guests are taken (/run/lock/roost-guests-*).")


def _cgroups() -> Path:
    """Where the unified hierarchy is mounted."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    raise RuntimeError("No unified cgroup hierarchy is mounted here; guests need one.")


def _remove_cgroup(folder: Path) -> None:
    """Remove a cgroup and those below it, as soon as the last killed process has gone."""
    until = time.monotonic() + 60
    while True:
        try:
            for path, _, _ in os.walk(folder, topdown=False):
                Path(path).rmdir()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _ip_inside(leader: int, *words: str) -> None:
    subprocess.run(["nsenter", "--target", str(leader), "--net", "ip", *words], check=True)

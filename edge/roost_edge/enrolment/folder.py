"""The files that say who this device is, in `<data>/identity`. Old or new under a power cut, never a mixture.

    device.key, device.pem, name    links into `current`: key, certificate (and those up to the root), node name
    current                         a link to the set of the three that holds; a new set is whole before it is renamed
    ca.pem, crl.pem                 the fleet's trust bundle and revocation lists
    authority.json                  where the enrolment desk is
    pending.key                     a key for which no certificate has come yet
    changed                         there while a program that has read these files is not told that they changed

Keys can be read by root and by the group `roost-identity`, where there is one. The rest is no secret.
"""

import fcntl
import grp
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from cryptography import x509
from msgspec import Struct

from roost_broker.durable import make_folder, rename_durably, sync, write_durably
from roost_broker.errors import Malformed, Misuse, PeerError
from roost_edge.enrolment import keys, trust

GROUP = "roost-identity"
_LINKS = ("device.key", "device.pem", "name")


class Home(Struct, frozen=True, kw_only=True):
    """`authority.json`."""

    url: str


class IdentityFolder:
    """See the module. `root` is `<data>/identity`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.key = root / "device.key"
        self.certificate = root / "device.pem"
        self.name = root / "name"
        self.ca = root / "ca.pem"
        self.crl = root / "crl.pem"
        self.home = root / "authority.json"
        self.pending = root / "pending.key"
        self.to_tell = root / "changed"
        """There while something changed that programs which have read it were not told."""
        self._current = root / "current"
        self._sets = root / "sets"

    @property
    def enrolled(self) -> bool:
        """Whether there is an identity."""
        return self.certificate.is_file()

    def check(self) -> None:
        """Raise `Misuse` when there is none."""
        if not self.enrolled:
            raise Misuse(f"There is no identity in {self.root}.", "Enrol this device: roost enrol --seed DIR.")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else changes the identity meanwhile. Raises `PeerError` when somebody does."""
        self._make()
        handle = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise PeerError("Another `roost enrol` is at work.", "Try again when it has ended.") from error
            yield
        finally:
            os.close(handle)

    def chain(self) -> list[x509.Certificate]:
        """This device's certificate, and those between it and the root. Raises `Misuse`, `Malformed`."""
        self.check()
        return _read(self.certificate)

    def believed(self) -> list[x509.Certificate]:
        """The roots that are believed. Raises `Malformed`."""
        return trust.roots(_read(self.ca))

    def url(self) -> str:
        """The enrolment desk. Raises `Malformed`."""
        try:
            return msgspec.json.decode(self.home.read_bytes(), type=Home).url
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Malformed(f"{self.home} cannot be read: {error}.", "Write it as docs/pki.md shows.") from error

    def pending_key(self) -> bytes:
        """The key that is waiting for a certificate (PEM); made, durably, when there is none that can be read."""
        with suppress(OSError, Malformed):
            found = self.pending.read_bytes()
            keys.read_key(found)
            return found
        self._make()
        made = keys.new_key()
        write_durably(self.pending, made, mode=0o600)
        return made

    def settle(self, key: bytes, certificate: str, name: str) -> None:
        """From now on the device is who this certificate says. The switch itself is one rename."""
        self._make()
        number = 1 + max((int(one.name) for one in self._sets.iterdir() if one.name.isdigit()), default=0)
        part = self._sets / f"{number}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        part.chmod(0o755)
        write_durably(part / "device.key", key, mode=0o600)
        _share_key(part / "device.key")
        _write_for_all(part / "device.pem", certificate.encode("ascii"))
        _write_for_all(part / "name", name.encode("ascii") + b"\n")
        rename_durably(part, self._sets / str(number))
        for link in _LINKS:
            _link(self.root / link, f"current/{link}")
        write_durably(self.to_tell, b"")  # before the switch: told once too often is better than not at all
        _link(self._current, f"sets/{number}")
        self.tidy()

    def tidy(self) -> None:
        """Remove what no longer says who this device is; a cut may have left it."""
        if not self.enrolled:
            return
        self.pending.unlink(missing_ok=True)
        holds = self._current.resolve().name
        for one in self._sets.iterdir():
            if one.name != holds:
                shutil.rmtree(one, ignore_errors=True)
        sync(self.root)

    def forget(self) -> None:
        """This device is nobody again: the key goes, the trust bundle stays."""
        for one in (self.pending, self._current):
            one.unlink(missing_ok=True)
        shutil.rmtree(self._sets, ignore_errors=True)
        if self.root.is_dir():
            sync(self.root)

    def keep(self, path: Path, text: str) -> bool:
        """Write one of the other files, when it would differ; whether it did."""
        data = text.encode("ascii")
        with suppress(OSError):
            if path.read_bytes() == data:
                path.chmod(0o644)  # a cut may have come before this
                return False
        self._make()
        write_durably(self.to_tell, b"")
        _write_for_all(path, data)
        return True

    def keep_home(self, url: str) -> None:
        """Write `authority.json`."""
        self.keep(self.home, msgspec.json.encode(Home(url=url)).decode("ascii") + "\n")

    def _make(self) -> None:
        make_folder(self._sets)
        for folder in (self.root, self._sets):
            folder.chmod(0o755)


def _write_for_all(path: Path, data: bytes) -> None:
    """Readable by everybody, whatever the umask of whoever writes it."""
    write_durably(path, data)
    path.chmod(0o644)


def _share_key(path: Path) -> None:
    """Let the group read it: the broker, whose listener shows this certificate."""
    if os.geteuid() != 0:
        return
    with suppress(KeyError):  # no such group here
        os.chown(path, 0, grp.getgrnam(GROUP).gr_gid)
        path.chmod(0o640)


def _link(path: Path, target: str) -> None:
    if path.is_symlink() and str(path.readlink()) == target:
        return
    beside = path.with_name(f".{path.name}.part")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(path)
    sync(path.parent)


def _read(path: Path) -> list[x509.Certificate]:
    try:
        return trust.certificates(path.read_bytes())
    except OSError as error:
        raise Malformed(f"{path} cannot be read: {error.strerror}.", "Enrol this device again.") from error
    except Malformed as error:
        raise Malformed(f"{path}: {error.problem}", "Enrol this device again: roost enrol --again.") from error

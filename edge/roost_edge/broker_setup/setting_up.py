"""The device's broker, onto the disk: passwords made where they are missing, files written where they differ.

Rules:

1. A second time changes nothing. A secret that is there is kept; one that nobody needs any more is removed.
2. Secrets lie one to a file (0600, root) and in no command line, no log and no message. Mosquitto is given hashes.
3. Each file is old or new, never torn. Secrets come first: after a power cut the next time completes it.
4. Mosquitto is told what the changes need: SIGHUP for rules, passwords and certificates, a restart for listeners.
"""

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from roost_broker.durable import make_folder, sync, write_durably
from roost_broker.errors import Misuse
from roost_broker.mosquitto_device import OPERATORS_FILE, ROLES_FILE
from roost_broker.passwords import new_secret, read_secret
from roost_broker.topics import is_name
from roost_edge.broker_setup.users import Users, users
from roost_edge.broker_setup.wanted import IDENTITY_FILES, Ground, Wanted, ground, is_open, wanted
from roost_edge.settings.device import Settings

Follow: TypeAlias = Literal["nothing", "reload", "restart"]
_MOSQUITTO = "mosquitto"


class Outcome(Struct, frozen=True, kw_only=True):
    """What was done, or with a check would be. No secret is in it."""

    made: tuple[str, ...] = ()
    """Names of new passwords."""
    removed: tuple[str, ...] = ()
    """Names of passwords that nobody needs any more."""
    written: tuple[str, ...] = ()
    """Paths of files with another content than before."""
    users: int = 0
    outside: str = ""
    """Where other machines come in; empty: nowhere."""
    missing: tuple[str, ...] = ()
    """Which of the identity's files are not there."""
    follow: Follow = "nothing"
    """What Mosquitto needs to follow."""

    @property
    def changed(self) -> bool:
        """Whether anything differed."""
        return bool(self.made or self.removed or self.written)


class _Owner(NamedTuple):
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class BrokerSetup:
    """For one device, whose file system begins at `root`."""

    settings: Settings
    root: Path = Path("/")
    service: bool = True

    def render(self) -> tuple[Wanted, ...]:
        """The files without the password files: what can be shown."""
        place, known = self._known()
        blind = dict.fromkeys(known.secrets, "")
        return tuple(file for file in wanted(self.settings, known, place, blind, {}) if "passwd" not in file.path)

    def run(self, *, check: bool = False) -> Outcome:
        """Do it, or with `check` say what would be done. Raises `Misuse`, OSError."""
        place, known = self._known()
        folder = self._at(place.passwords)
        made = tuple(name for name in known.secrets if not _exists(folder / name))
        removed = tuple(sorted(name for name in _names(folder) if name not in known.secrets))
        secrets = {name: new_secret() if name in made else read_secret(folder / name) for name in known.secrets}
        files = wanted(self.settings, known, place, secrets, self._old(place))
        changed = [file for file in files if self._text(file.path) != file.text or self._mode(file.path) != file.mode]
        if not check:
            self._write(place, {name: secrets[name] for name in made}, removed, changed)
        outside = self.settings.mosquitto.outside
        effects = {file.effect for file in changed}
        return Outcome(
            made=made,
            removed=removed,
            written=tuple(file.path for file in changed),
            users=len(known.rights),
            outside=f"{outside.address}:{outside.port}" if is_open(self.settings, place) else "",
            missing=place.missing if outside.enabled != "off" else (),
            follow="restart" if "restart" in effects else "reload" if effects else "nothing",
        )

    def _known(self) -> tuple[Ground, Users]:
        place = ground(self.settings, frozenset(), service=self.service)
        there = frozenset(name for name in IDENTITY_FILES if _exists(self._at(place.identity) / name))
        return ground(self.settings, there, service=self.service), users(self.settings)

    def _write(self, place: Ground, made: dict[str, str], removed: tuple[str, ...], changed: list[Wanted]) -> None:
        folder = self._at(place.passwords)
        make_folder(folder)
        folder.chmod(0o700)
        if folder.parent.name == "broker":  # /etc/roost/broker is for this alone; another's parent is not ours to close
            folder.parent.chmod(0o700)
        for name, secret in made.items():
            write_durably(folder / name, f"{secret}\n".encode(), mode=0o600)
        for name in removed:
            (folder / name).unlink()
        if removed:
            sync(folder)
        owner = self._mosquitto()
        files = self._at(place.files)
        make_folder(files)
        _give(files, owner and _Owner(0, owner.gid), 0o750)
        for file in changed:
            path = self._at(file.path)
            write_durably(path, file.text.encode(), mode=file.mode)
            _give(path, owner and _Owner(0, owner.gid if file.mode == 0o640 else 0), file.mode)
        saved = self._at(place.saved)
        make_folder(saved)
        _give(saved, owner, 0o700)

    def _mosquitto(self) -> _Owner | None:
        """Its user and group on that system; None where we may not give files away."""
        if os.geteuid() != 0:
            return None
        if self.root == Path("/"):
            try:
                return _Owner(pwd.getpwnam(_MOSQUITTO).pw_uid, grp.getgrnam(_MOSQUITTO).gr_gid)
            except KeyError:
                raise Misuse("There is no user mosquitto here.", "Install it: apt-get install mosquitto.") from None
        for line in _lines(self.root / "etc/passwd"):
            fields = line.split(":")
            if fields[0] == _MOSQUITTO and len(fields) > 3 and fields[2].isdigit() and fields[3].isdigit():
                return _Owner(int(fields[2]), int(fields[3]))
        raise Misuse(f"There is no user mosquitto in {self.root}.", "Install the package mosquitto there first.")

    def _at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _old(self, place: Ground) -> dict[str, str]:
        names = [f"{place.files}/{name}" for name in (ROLES_FILE, OPERATORS_FILE)]
        return {name: self._text(name) for name in names}

    def _text(self, path: str) -> str:
        try:
            return self._at(path).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def _mode(self, path: str) -> int:
        try:
            return self._at(path).stat().st_mode & 0o777
        except FileNotFoundError:
            return -1


def _give(path: Path, owner: _Owner | None, mode: int) -> None:
    if owner is not None:
        os.chown(path, *owner)
    path.chmod(mode)


def _exists(path: Path) -> bool:
    """Raises `Misuse` where this user may not even look."""
    try:
        return path.exists()
    except PermissionError:
        raise Misuse(f"{path.parent} cannot be looked into by this user.", "Run this as root: sudo.") from None


def _names(folder: Path) -> list[str]:
    """Names of the secrets that are there."""
    if not _exists(folder):
        return []
    return [path.name for path in folder.iterdir() if is_name(path.name) and path.is_file()]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []

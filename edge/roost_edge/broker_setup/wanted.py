"""Which files a device's broker wants, from settings, secrets and identity. Pure: texts in, texts out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from roost_broker import access_rules
from roost_broker.credentials import OPERATOR
from roost_broker.errors import Misuse
from roost_broker.mosquitto_device import (
    CONFIGURATION_FILE,
    OPERATORS_ACCESS,
    OPERATORS_FILE,
    OUTSIDE_ACCESS,
    ROLES_ACCESS,
    ROLES_FILE,
    TlsFiles,
    render_device,
)
from roost_broker.passwords import password_file
from roost_edge.broker_setup.service import DROP_IN, IDENTITY, SAVED, drop_in
from roost_edge.broker_setup.users import Users
from roost_edge.settings.device import Settings

Owner: TypeAlias = Literal["root", "mosquitto"]
Effect: TypeAlias = Literal["restart", "reload"]
IDENTITY_FILES = TlsFiles("ca.pem", "device.pem", "device.key", "crl.pem")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file; `effect` is what Mosquitto needs to follow a change of it."""

    path: str
    text: str
    mode: int
    effect: Effect


@dataclass(frozen=True, slots=True)
class Ground:
    """Where things lie on the device, and what of it is there."""

    passwords: str
    files: str
    saved: str
    identity: str
    service: bool
    """Whether systemd's mosquitto.service is to run it."""
    present: frozenset[str]
    """Names of the identity's files that are there."""

    @property
    def missing(self) -> tuple[str, ...]:
        """What the listener outside lacks."""
        return tuple(name for name in IDENTITY_FILES if name not in self.present)


def ground(settings: Settings, present: frozenset[str], *, service: bool) -> Ground:
    """Raises `Misuse` where the settings name no folder for passwords."""
    if not settings.broker.passwords:
        raise Misuse(
            "The settings do not say where the broker's passwords are to lie.",
            'Write `passwords = "/etc/roost/broker/passwords"` below [broker].',
        )
    data = settings.layout.data
    return Ground(
        passwords=settings.broker.passwords,
        files=settings.mosquitto.files,
        saved=settings.mosquitto.folder or str(data / "mosquitto"),
        identity=str(data / "identity"),
        service=service,
        present=present,
    )


def is_open(settings: Settings, place: Ground) -> bool:
    """Whether there is a listener outside. Raises `Misuse` where there must be one and cannot."""
    wish = settings.mosquitto.outside.enabled
    if wish == "on" and place.missing:
        raise Misuse(
            f"The listener outside is to be on, and {place.identity} lacks {', '.join(place.missing)}.",
            'Enrol the device first (roost enrol), or write `enabled = "auto"` below [mosquitto.outside].',
        )
    return wish != "off" and not place.missing


def wanted(
    settings: Settings, users: Users, place: Ground, secrets: Mapping[str, str], old: Mapping[str, str]
) -> tuple[Wanted, ...]:
    """All files. `secrets` by name; `old` are the texts of the password files as they are, by path."""
    folder = PurePosixPath(place.files)
    roles = {user: secrets[name] for user, name in users.secret_of.items() if user != OPERATOR}
    people = {OPERATOR: secrets[OPERATOR]}
    found = [Wanted(str(folder / CONFIGURATION_FILE), configuration(settings, place), 0o640, "restart")]
    for name, rights in (
        (ROLES_ACCESS, users.roles),
        (OPERATORS_ACCESS, users.operators),
        (OUTSIDE_ACCESS, users.outside),
    ):
        found.append(Wanted(str(folder / name), access_rules.render(rights, _title(settings)), 0o640, "reload"))
    for name, some in ((ROLES_FILE, roles), (OPERATORS_FILE, people)):
        path = str(folder / name)
        found.append(Wanted(path, password_file(some, old.get(path, "")), 0o640, "reload"))
    if place.service:
        identity = place.identity if is_open(settings, place) else ""
        text = drop_in(str(folder / CONFIGURATION_FILE), place.saved, identity)
        found.append(Wanted(DROP_IN, text, 0o644, "restart"))
    return tuple(found)


def configuration(settings: Settings, place: Ground) -> str:
    """The mosquitto.conf, with the paths as Mosquitto will see them."""
    seen = Path(IDENTITY) if place.service else Path(place.identity)
    tls = TlsFiles(*(str(seen / name) for name in IDENTITY_FILES)) if is_open(settings, place) else None
    saved = SAVED if place.service else place.saved
    return render_device(settings.mosquitto, settings.broker, files=place.files, folder=saved, tls=tls)


def _title(settings: Settings) -> str:
    return f"Who may do what on the broker of {settings.node.name}; what is not granted is denied."

"""The configuration of a device's own Mosquitto, every line with its reason. Pure: the texts; who writes them is
`roost broker setup`.

Three listeners, because a client id is a session, and whoever may choose it may take somebody's session away:

* `broker.port`, loopback: a user and a password for each role. The client id is the user name, whatever the client
  says (`use_username_as_clientid`), so a role has its own session and can end no other's.
* `broker.operators_port`, loopback: the user `operator` alone, with as many sessions as he likes.
* `mosquitto.outside.port`, all networks: TLS 1.3 and a certificate of the fleet's authority that is not revoked. Its
  common name is the user name and the client id.
"""

from pathlib import PurePosixPath
from typing import Literal, NamedTuple

import msgspec

from roost_broker.access_rules import Grant, Rights, read, write
from roost_broker.credentials import WATCHER
from roost_broker.errors import Misuse
from roost_broker.identities import identity
from roost_broker.mosquitto_keeping import Keeping, keeping_lines
from roost_broker.role_access import operator, watcher
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics, is_filter, is_name, matches, overlap


class OutsideSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The listener for people and programs on other machines: TLS 1.3 with certificates, nothing else."""

    enabled: Literal["auto", "on", "off"] = "auto"
    """`auto`: as soon as the device has an identity (`roost enrol`). `on`: `roost broker setup` fails without one."""
    address: str = "0.0.0.0"  # noqa: S104  # the point of it; who comes without a certificate of the fleet is refused
    port: int = 8883
    operators: tuple[str, ...] = ()
    """People with a certificate `operator:<name>` who may order everything on this device."""
    watchers: tuple[str, ...] = ()
    """People with a certificate `watcher:<name>` who may look. Mosquitto knows no rule for all of a kind."""
    home_assistants: tuple[str, ...] = ()
    """Home Assistants on other machines, each with a certificate `watcher:<name>`: they hear and switch what
    [discovery] announces, and nothing else."""
    max_connections: int = 20

    def __post_init__(self) -> None:
        _in_range("outside.port", self.port, 1, 65_535)
        _in_range("outside.max_connections", self.max_connections, 1, 10_000)
        if not self.address or not self.address.isprintable() or " " in self.address:
            raise Misuse(f"mosquitto.outside.address is {self.address!r}.", "Give an address of this machine.")
        for kind, names in (("operator", self.operators), ("watcher", self.watchers + self.home_assistants)):
            for name in names:
                identity(kind, name)
        for name in set(self.watchers) & set(self.home_assistants):
            raise Misuse(f"{name} is both a watcher and a Home Assistant.", "Name it in one of the two.")


class ProgramSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program that is none of Roost's and uses this device's broker: a sensor's bridge, a home automation."""

    read: tuple[str, ...] = ()
    """Filters of what it hears."""
    write: tuple[str, ...] = ()
    """Filters of what it says: topics of its own, or suggestions (`roost/<node>/<task>/suggestions`)."""
    home_assistant: bool = False
    """It is Home Assistant, and has what the entities need that [discovery] announces, beside `read` and `write`."""


class DeviceBrokerSettings(Keeping, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """This device's own broker, as `roost broker setup` configures it. The section `[mosquitto]` of a settings file."""

    files: str = "/etc/mosquitto/roost"
    """Folder of the rendered configuration. Mosquitto's user can read it, nobody can write it."""
    folder: str = ""
    """Where Mosquitto saves sessions and retained messages; empty: `mosquitto` in the data folder."""
    max_connections: int = 100
    """At each of the two loopback listeners."""
    max_keepalive_s: int = 600
    """Who is silent for one and a half times as long as it announced is gone; nobody may announce more than this."""
    memory_mb: int = 128
    """What Mosquitto may take for all that waits in it; beyond it whoever sends more is disconnected."""
    log_packets: bool = False
    """Log every packet, refused ones with `Denied`: for finding out who is refused what. Much noise."""
    log_subscriptions: bool = True
    """Log each subscription, a line when a role connects: what `roost streams --log` looks at."""
    outside: OutsideSettings = msgspec.field(default_factory=OutsideSettings)
    programs: dict[str, ProgramSettings] = msgspec.field(default_factory=dict)
    """Other programs, by the name of their user."""

    def __post_init__(self) -> None:
        self.check()
        _in_range("max_connections", self.max_connections, 1, 10_000)
        _in_range("max_keepalive_s", self.max_keepalive_s, 10, 65_535)
        _in_range("memory_mb", self.memory_mb, 16, 16_384)
        for name in ("files", "folder"):
            if not getattr(self, name).isprintable():
                raise Misuse(f"mosquitto.{name} is {getattr(self, name)!r}.", "Give a path.")
        for name, program in self.programs.items():
            if not is_name(name):
                raise Misuse(
                    f"mosquitto.programs has {name[:80]!r}.",
                    "A user's name has letters, digits, '-' and '_', at most 64, beginning with a letter or digit.",
                )
            for one in (*program.read, *program.write):
                if not is_filter(one) or one.startswith("$") or not one.isprintable():
                    raise Misuse(
                        f"mosquitto.programs.{name} has {one[:80]!r}.", "Give topics or filters, such as zigbee/#."
                    )


class TlsFiles(NamedTuple):
    """The device's identity, as paths."""

    ca: str
    certificate: str
    key: str
    crl: str


def render_device(
    settings: DeviceBrokerSettings, broker: BrokerSettings, *, files: str, folder: str, tls: TlsFiles | None
) -> str:
    """The text of the mosquitto.conf. `files` holds what it names; `tls` is None without the outside listener."""
    place = PurePosixPath(files)
    outside = _outside(settings.outside, str(place / OUTSIDE_ACCESS), tls) if tls is not None else ""
    asked = "log_type subscribe\n" if settings.log_subscriptions or settings.log_packets else ""
    packets = f"{asked}log_type debug\nlog_type unsubscribe\n" if settings.log_packets else asked
    return f"""\
# Written by `roost broker setup`; changes are overwritten. The settings are [broker] and [mosquitto] of the device.

# Passwords and rules belong to a listener: a role's password opens no door but the roles', and a certificate, whatever
# name stands in it, never has the rights of a role.
per_listener_settings true

# The roles of this device, each with a password and a session of its own.
listener {broker.port} 127.0.0.1
allow_anonymous false
password_file {place / ROLES_FILE}
acl_file {place / ROLES_ACCESS}
# Whatever client id a role gives, it is its user name: no role can take over another's session.
use_username_as_clientid true
max_connections {settings.max_connections}

# Operators' commands: several at a time, so each has a session of its own.
listener {broker.for_operators} 127.0.0.1
allow_anonymous false
password_file {place / OPERATORS_FILE}
acl_file {place / OPERATORS_ACCESS}
max_connections {settings.max_connections}
{outside}
# Nobody may keep a dead connection for hours. Clients are told.
max_keepalive {settings.max_keepalive_s}
# Beyond it whoever sends more is disconnected, instead of the kernel ending a process.
memory_limit {settings.memory_mb * 1_000_000}
# What somebody has retained is delivered only while he may still write there.
check_retain_source true

{keeping_lines(settings, folder)}{packets}"""


ROLES_ACCESS, OPERATORS_ACCESS, OUTSIDE_ACCESS = "roles.acl", "operators.acl", "outside.acl"
ROLES_FILE = "roles.passwd"
OPERATORS_FILE = "operators.passwd"
CONFIGURATION_FILE = "roost.conf"


def outside_rights(settings: OutsideSettings, device: NodeTopics) -> Rights:
    """Rights of those who come with a certificate: whoever the settings name, and the device itself."""
    rights = {str(identity("operator", name)): operator(device) for name in settings.operators}
    rights |= {str(identity("watcher", name)): watcher(device) for name in settings.watchers}
    rights[str(identity("device", device.node))] = watcher(device)  # `roost doctor` looks at its own door
    return rights


def program_rights(settings: DeviceBrokerSettings, device: NodeTopics) -> Rights:
    """Rights of other programs of this machine, and of `watcher`. Raises `Misuse` where one asks for too much."""
    rights: dict[str, tuple[Grant, ...]] = {WATCHER: watcher(device)}
    for name, program in settings.programs.items():
        for one in program.write:
            if overlap(one, f"{device.base}/#") and not matches(f"{device.root}/+/suggestions", one):
                raise Misuse(
                    f"mosquitto.programs.{name}.write has {one!r}, which is in the tree of Roost's own topics.",
                    f"A program may write suggestions there ({device.root}/<task>/suggestions), nothing else.",
                )
        rights[name] = read(*program.read) + write(*program.write)
    return rights


def _outside(settings: OutsideSettings, rules: str, tls: TlsFiles) -> str:
    return f"""
# Other machines: TLS 1.3, and a certificate of our authority, which is looked up in its list of revoked ones. When that
# list is past its date nobody comes in until a newer one is here.
listener {settings.port} {settings.address}
tls_version tlsv1.3
cafile {tls.ca}
certfile {tls.certificate}
keyfile {tls.key}
crlfile {tls.crl}
require_certificate true
# Who it is says the certificate's common name, never the client.
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file {rules}
max_connections {settings.max_connections}
"""


def _in_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise Misuse(f"mosquitto.{name} is {value}.", f"Use a value from {least} to {most}.")

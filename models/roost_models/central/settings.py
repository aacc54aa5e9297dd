"""centre.toml: everything that can be chosen at the centre."""

from pathlib import Path

import msgspec

from roost_broker.centre.access import LOOPBACK, NatsAccess
from roost_broker.centre.layout import CentreLayout
from roost_broker.centre.nats_settings import NatsSettings
from roost_broker.centre.streams import StreamSettings
from roost_broker.errors import Misuse
from roost_broker.topics import check_name


class ArchiverSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section [archive]."""

    close_after_hours: float = 2
    """A day (UTC) is written to its files so long after it has ended; what comes later goes to further files."""
    batch: int = 500
    """Messages committed together, for each lane."""
    file_rows: int = 100_000
    """Messages in one file at most."""

    def __post_init__(self) -> None:
        for name, least, most in (("close_after_hours", 0, 240), ("batch", 1, 5000), ("file_rows", 100, 1_000_000)):
            value = getattr(self, name)
            if not least <= value <= most:
                raise Misuse(f"archive.{name} is {value}.", f"Use a value from {least} to {most}.")

    @property
    def close_after_ms(self) -> int:
        """`close_after_hours` in milliseconds."""
        return int(self.close_after_hours * 3_600_000)


class CentreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in centre.toml. `nats` names servers that run elsewhere; without it one is started here, as `server`."""

    base: str = "roost"
    """First level or levels of every MQTT topic of the fleet."""
    server: NatsSettings = NatsSettings()
    nats: NatsAccess | None = None
    streams: StreamSettings = StreamSettings()
    archive: ArchiverSettings = ArchiverSettings()

    def __post_init__(self) -> None:
        for level in self.base.split("/"):
            check_name("topic base", level)
        if self.nats is None and self.streams.replicas > 1 and not self.server.cluster:
            raise Misuse(
                f"streams.replicas is {self.streams.replicas}, but the one server here can hold one copy only.",
                "Give server.cluster and server.routes, or [nats] with the servers of a cluster.",
            )
        if self.nats is None and self.server.users_file and not self.server.user:
            raise Misuse(
                "The centre itself could not use its server: server.users_file lets in nobody else.",
                "Name one of its users, who may do everything, in server.user with server.password_file.",
            )

    @property
    def access(self) -> NatsAccess:
        """How commands reach the central streams."""
        if self.nats is not None:
            return self.nats
        scheme = "tls" if self.server.certificate else "nats"
        host = "127.0.0.1" if self.server.host in ("0.0.0.0", "::") else self.server.host  # noqa: S104  # compared only
        return NatsAccess(
            urls=(f"{scheme}://{host}:{self.server.port}",),
            # It shows the server's own certificate, and takes what its authority signed: the name is another host's.
            ca=self.server.ca or self.server.certificate,
            certificate=self.server.certificate,
            key=self.server.key,
            user=self.server.user,
            password_file=self.server.password_file,
            check_name=host not in LOOPBACK,
        )


TEMPLATE = """\
# The centre: streams, archive, registry. Every setting: docs/centre.md.

# A NATS server of the centre's own, on this machine only. For a network give host, certificate, key and ca.
[server]
port = 4222

# Servers that run elsewhere (three, for instance): then none is started here.
# [nats]
# urls = ["tls://n1.example:4222", "tls://n2.example:4222", "tls://n3.example:4222"]
# ca = "tls/ca.pem"
# certificate = "tls/centre.pem"
# key = "tls/centre-key.pem"

# A stream that is full refuses what is new; the gateways keep it until there is room.
[streams]
replicas = 1               # 3 with three servers
# [streams.lanes.inputs]
# max_age_days = 30
# max_bytes = 8_000_000_000

[archive]
close_after_hours = 2      # a day (UTC) goes to its files so long after it ended
"""


def load(layout: CentreLayout) -> CentreSettings:
    """The centre's settings; the defaults where there is no file. Raises `Misuse` with the place of the mistake."""
    file = layout.settings
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        text = b""
    try:
        settings = msgspec.toml.decode(text, type=CentreSettings)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Misuse(f"{file}: {error}.", "Correct it there; docs/centre.md shows every setting.") from error
    return _resolved(settings, file.parent, layout)


def _resolved(settings: CentreSettings, folder: Path, layout: CentreLayout) -> CentreSettings:
    """File names are relative to the settings' folder; the server stores its streams below the centre's folder."""

    def placed(name: str) -> str:
        return str((folder / name).absolute()) if name else ""

    server = settings.server
    server = msgspec.structs.replace(
        server,
        folder=str(layout.nats(server.name).absolute()),
        certificate=placed(server.certificate),
        key=placed(server.key),
        ca=placed(server.ca),
        users_file=placed(server.users_file),
        password_file=placed(server.password_file),
    )
    nats = settings.nats
    if nats is not None:
        nats = msgspec.structs.replace(
            nats,
            ca=placed(nats.ca),
            certificate=placed(nats.certificate),
            key=placed(nats.key),
            credentials=placed(nats.credentials),
            password_file=placed(nats.password_file),
        )
    return msgspec.structs.replace(settings, server=server, nats=nats)

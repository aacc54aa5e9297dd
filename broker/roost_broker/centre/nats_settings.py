"""What a NATS server of the centre is told, every line of its configuration with its reason."""

import os

import msgspec

from roost_broker.errors import Misuse

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_MAX_PAYLOAD = 1_048_576


class NatsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One server. Beyond loopback it must have TLS, and users or certificates of clients."""

    name: str = "n1"
    """Unique in a cluster."""
    host: str = "127.0.0.1"
    port: int = 4222
    monitor_port: int = 0
    """HTTP port on loopback that tells of the server's health; 0 = none."""
    folder: str = "/var/lib/roost-centre/nats"
    """Streams are stored here."""
    max_store_bytes: int = 50_000_000_000
    """All streams together; the server refuses beyond it."""
    certificate: str = ""
    """The server's certificate (PEM), with `key`."""
    key: str = ""
    ca: str = ""
    """Authority that signed the clients' certificates: then each client must show one."""
    users_file: str = ""
    """Who may do what: the inside of an `authorization` block in NATS' own format (docs/centre.md shows one)."""
    user: str = ""
    """As whom the centre itself uses this server, where there is a `users_file`; with `password_file`."""
    password_file: str = ""
    cluster: str = ""
    """Name of the cluster; empty: a single server."""
    cluster_port: int = 6222
    routes: tuple[str, ...] = ()
    """HOST:PORT of the cluster ports of all its servers."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("port", 1, 65_535),
            ("monitor_port", 0, 65_535),
            ("cluster_port", 1, 65_535),
            ("max_store_bytes", 1_000_000, 2**60),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise Misuse(f"server.{name} is {value}.", f"Use a value from {least} to {most}.")
        for name in ("name", "host", "folder", "certificate", "key", "ca", "users_file", "cluster"):
            if any(character in '"\\' or ord(character) < 32 for character in getattr(self, name)):
                raise Misuse(f"server.{name} is {getattr(self, name)!r}.", "Leave out quotes and control characters.")
        if bool(self.certificate) != bool(self.key):
            raise Misuse("server.certificate and server.key belong together.", "Give both or neither.")
        if bool(self.user) != bool(self.password_file):
            raise Misuse("server.user and server.password_file belong together.", "Give both or neither.")
        if self.cluster and len(self.routes) < 3:
            raise Misuse("A cluster needs three servers to outlive one.", "Name the cluster ports of all in routes.")
        if self.host in _LOOPBACK:
            return
        if not self.certificate:
            raise Misuse(f"The server would listen on {self.host} unencrypted.", "Give server.certificate and .key.")
        if not (self.ca or self.users_file):
            raise Misuse(
                f"The server would let anybody in on {self.host}.", "Give server.ca (certificates) or .users_file."
            )
        if self.cluster and not self.ca:
            raise Misuse("Servers of a cluster must know each other.", "Give server.ca.")


def render(settings: NatsSettings) -> str:
    """The text of a nats-server configuration (>= 2.9)."""
    blocks = [
        f"""\
# Written by Roost (roost_broker.centre.nats_settings); changes are overwritten.
server_name: "{settings.name}"
listen: "{address(settings.host, settings.port)}"

# Streams live on the disk; memory holds only what is being read.
jetstream {{
  store_dir: "{settings.folder}"
  max_memory_store: 64MB
  max_file_store: {settings.max_store_bytes}
}}

# The contract's largest message is 100 kB; frames travel in pieces. More would be somebody's mistake.
max_payload: {_MAX_PAYLOAD}
# A client that vanished without a word is noticed in half a minute.
ping_interval: "10s"
ping_max: 3
# A gateway that is told to stop reading for longer than this is disconnected and comes again.
write_deadline: "10s"
"""
    ]
    if settings.monitor_port:
        blocks.append(
            f'# Health, for whoever starts it; on this machine only.\nhttp: "127.0.0.1:{settings.monitor_port}"\n'
        )
    if settings.certificate:
        blocks.append("# What travels between machines is encrypted.\n" + _tls(settings))
    if settings.users_file:
        # NATS looks for what is included below the configuration's folder, even for a path from the root.
        users = os.path.relpath(settings.users_file, settings.folder)
        blocks.append(f'authorization {{\n  include "{users}"\n}}\n')
    if settings.cluster:
        blocks.append(_cluster(settings))
    return "\n".join(blocks)


def _cluster(settings: NatsSettings) -> str:
    scheme = "nats-route"
    routes = "\n".join(f'    "{scheme}://{route}"' for route in settings.routes)
    tls = _indented(_tls(settings)) if settings.certificate else ""
    return f"""\
# Three servers agree on every message; any two of them go on without the third.
cluster {{
  name: "{settings.cluster}"
  listen: "{address(settings.host, settings.cluster_port)}"
  routes: [
{routes}
  ]
{tls}}}
"""


def _tls(settings: NatsSettings) -> str:
    lines = [f'  cert_file: "{settings.certificate}"', f'  key_file: "{settings.key}"']
    if settings.ca:
        lines += [f'  ca_file: "{settings.ca}"', "  verify: true"]
    return "\n".join(["tls {", *lines, "}"]) + "\n"


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


def address(host: str, port: int) -> str:
    """HOST:PORT as addresses are written; IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

"""How a role reaches its broker. Every value has its unit in its name and is checked when it is built."""

import msgspec

from roost_broker.errors import Misuse
from roost_broker.topics import check_name


class BrokerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the broker is and how a session with it behaves. The section `[broker]` of a settings file."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = None
    passwords: str = ""
    """Folder with one secret for each user of this device's broker, made by `roost broker setup`. A role connects under
    its own name, an operator's command as `operator`. Empty: with `username`, or without any (loopback only)."""
    operators_port: int = 0
    """Where `operator` connects when there are `passwords`, with as many sessions as he likes; elsewhere each user has
    one. 0: the port behind `port`."""
    ca: str = ""
    """Trusted certificates (PEM). With it the connection is TLS 1.3; without, it is not encrypted (loopback only)."""
    certificate: str = ""
    """Ours, shown to the broker (PEM, with its intermediates); `key` belongs to it."""
    key: str = ""
    server_name: str = ""
    """Whom the broker's certificate must be for; empty: `host`."""
    base: str = "roost"
    """First level or levels of every topic."""
    keepalive_s: int = 10
    """A connection without any packet for this long is asked; silent for as long again, it is given up."""
    connect_timeout_s: int = 5
    """Longest wait for the connection and the broker's greeting together."""
    session_expiry_s: int = 604_800
    """How long the broker keeps what arrives while a role is away (MQTT 5.0 §3.1.2.11.2). One week."""
    receive_maximum: int = 64
    """Most deliveries a role may hold without having acknowledged them (MQTT 5.0 §3.1.2.11.3)."""
    send_maximum: int = 64
    """Most publications on their way without the broker's acknowledgement; the broker may ask for fewer."""
    max_queued: int = 1000
    """Most publications that wait in this process, those on their way included; beyond it `QueueFull`."""
    flush_s: float = 2.0
    """Longest wait for unsent publications when a role stops."""

    def __post_init__(self) -> None:
        _check(bool(self.host), "host", "is empty", "Name the machine the broker runs on, such as 127.0.0.1.")
        for level in self.base.split("/"):
            check_name("topic base", level)
        _check_range("port", self.port, 1, 65_535)
        _check_range("keepalive_s", self.keepalive_s, 1, 65_535)
        _check_range("connect_timeout_s", self.connect_timeout_s, 1, 300)
        _check_range("session_expiry_s", self.session_expiry_s, 0, 0xFFFF_FFFE)
        _check_range("receive_maximum", self.receive_maximum, 1, 65_535)
        _check_range("send_maximum", self.send_maximum, 1, 65_535)
        _check_range("max_queued", self.max_queued, 1, 1_000_000)
        _check_range("flush_s", self.flush_s, 0, 60)
        needs_name = self.password is not None and self.username is None
        _check(not needs_name, "password", "is given without a username", "Give both or none.")
        _check_range("operators_port", self.operators_port, 0, 65_535)
        self._check_secrets()

    @property
    def for_operators(self) -> int:
        """The port for the user `operator`."""
        if not self.passwords:
            return self.port
        return self.operators_port or self.port + 1

    def _check_secrets(self) -> None:
        both = bool(self.passwords) and self.username is not None
        _check(not both, "passwords", "and broker.username are both given", "Give one of them.")
        same = bool(self.passwords) and self.for_operators == self.port
        _check(not same, "operators_port", "is the same as broker.port", "Give another, or leave it out.")
        beyond = bool(self.passwords) and self.for_operators > 65_535
        _check(not beyond, "port", "leaves no port behind it", "Use a smaller one, or give broker.operators_port.")
        halves = bool(self.certificate) != bool(self.key)
        _check(not halves, "certificate", "and broker.key go together", "Give both or none.")
        _check(bool(self.ca) or not self.certificate, "certificate", "is given without broker.ca", "Give both.")
        _check(bool(self.ca) or not self.server_name, "server_name", "is given without broker.ca", "Give both.")
        for name in ("passwords", "ca", "certificate", "key"):
            _check("\0" not in getattr(self, name), name, "has a zero byte", "Give a path.")


def _check(good: bool, name: str, problem: str, remedy: str) -> None:
    if not good:
        raise Misuse(f"broker.{name} {problem}.", remedy)


def _check_range(name: str, value: float, least: float, most: float) -> None:
    _check(least <= value <= most, name, f"is {value}", f"Use a value from {least} to {most}.")

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


def _check(good: bool, name: str, problem: str, remedy: str) -> None:
    if not good:
        raise Misuse(f"broker.{name} {problem}.", remedy)


def _check_range(name: str, value: float, least: float, most: float) -> None:
    _check(least <= value <= most, name, f"is {value}", f"Use a value from {least} to {most}.")

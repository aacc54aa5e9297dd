"""How a device's messages reach the centre. The section `[gateway]`; every value has its unit in its name."""

import re
from typing import Literal, TypeAlias

import msgspec

from roost_broker.centre.access import NatsAccess
from roost_broker.centre.lanes import LANE_NAMES, LaneName
from roost_broker.errors import Misuse
from roost_broker.topics import is_filter, is_name

FramesWhen: TypeAlias = Literal["all", "night", "alarmed", "none"]

_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])\Z")


class GatewayFrames(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which pictures go to the centre, and when. The section `[gateway.frames]`."""

    send: FramesWhen = "all"
    """`all`: those of mirrored inputs and alerts; `night`: the same in the hours of `night`; `alarmed`: of alerts."""
    metered: FramesWhen = "none"
    """The same while the link is metered."""
    night: str = "22:00-05:00"
    """Hours of the device's own clock and time zone, when the night ones are sent."""
    max_waiting: int = 20_000
    """Most pictures that wait for their turn; beyond it the oldest are given up and counted."""
    chunk_bytes: int = 32_768
    """A picture travels in pieces of this size, so that a fresh alert waits for one piece at most."""

    def __post_init__(self) -> None:
        _check(bool(_HOURS.match(self.night)), "frames.night", f"is {self.night!r}", "Write it like 22:00-05:00.")
        _check_range("frames.max_waiting", self.max_waiting, 1, 1_000_000)
        _check_range("frames.chunk_bytes", self.chunk_bytes, 4_096, 262_144)

    @property
    def night_minutes(self) -> tuple[int, int]:
        """Beginning and end of `night` in minutes after midnight; the end may be the smaller number."""
        found = _HOURS.match(self.night)
        assert found is not None  # noqa: S101 - checked when it was made; for the type checker
        hours = [int(part) for part in found.groups()]
        return hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The gateway between the device's Mosquitto and the centre's streams."""

    centre: NatsAccess = msgspec.field(default_factory=NatsAccess)
    """The centre's NATS servers, and what is shown and demanded there. Beyond loopback only with TLS."""

    nodes: tuple[str, ...] = ()
    """Devices whose topics are mirrored; empty: this one. `["+"]`: all that use this broker."""
    lanes: tuple[LaneName, ...] = LANE_NAMES
    """What is mirrored at all."""
    leave_out: tuple[str, ...] = ("+/raw", "+/receipts", "+/traces", "+/snapshot")
    """Topic filters below the device's level that are not mirrored."""
    receipts: bool = True
    """Tell on the task's receipts topic that a request is safely in the outbox."""

    max_bytes: int = 500_000_000
    """Bytes of messages that wait at most. Beyond it the oldest of the least important lane are dropped and told."""
    max_lane_messages: int = 1_000_000
    """Messages of one lane that wait at most."""
    remembered: int = 20_000
    """So many newest messages are recognised when the broker delivers them again."""
    gather_ms: int = 100
    """Messages of so long are written to the card together; alerts do not wait for others."""

    rate_bytes_s: int = 0
    """Bytes a second that the link may be used for, pictures included; 0: as many as it takes."""
    burst_bytes: int = 262_144
    """How much of what was not used before may be used at once."""
    metered: bool = False
    """The link costs money by the byte: only `metered_lanes` are sent, everything else waits."""
    metered_lanes: tuple[LaneName, ...] = ("alerts", "devices", "results")
    frames: GatewayFrames = msgspec.field(default_factory=GatewayFrames)

    late_ms: int = 30_000
    """A message older than this when it is sent is marked late."""
    window: int = 64
    """Messages of one lane on their way without the centre's acknowledgement."""
    window_bytes: int = 524_288
    """Bytes on their way, all lanes together; alerts do not count for it."""
    ack_timeout_ms: int = 10_000
    """The centre's acknowledgement is awaited for this long."""

    down: tuple[str, ...] = ("request/ota",)
    """Topic filters below the device's level that the centre may publish to. Everything else is refused."""

    def __post_init__(self) -> None:
        self._check_choice()
        for name, least, most in (
            ("max_bytes", 1_000_000, 10**12),
            ("max_lane_messages", 1000, 100_000_000),
            ("remembered", 100, 1_000_000),
            ("gather_ms", 0, 10_000),
            ("burst_bytes", 16_384, 10**9),
            ("late_ms", 0, 86_400_000),
            ("window", 1, 1024),
            ("window_bytes", 131_072, 10**8),
            ("ack_timeout_ms", 100, 300_000),
        ):
            _check_range(name, getattr(self, name), least, most)
        if self.rate_bytes_s:
            _check_range("rate_bytes_s", self.rate_bytes_s, 100, 10**10)

    def confirms(self, node: str) -> bool:
        """Whether the gateway of device `node` gives receipts for the inputs of that same device."""
        covered = not self.nodes or self.nodes == ("+",) or node in self.nodes
        left_out = any(one in ("#", "+/input", "+/#", "+/+") for one in self.leave_out)
        return self.receipts and covered and "inputs" in self.lanes and not left_out

    def _check_choice(self) -> None:
        for node in self.nodes:
            good = is_name(node) or self.nodes == ("+",)
            _check(good, "nodes", f"has {node!r}", 'Name devices, or give ["+"] alone for all of this broker.')
        _check(len(set(self.nodes)) == len(self.nodes), "nodes", "names one twice", "Name each once.")
        for name in ("lanes", "metered_lanes"):
            lanes = getattr(self, name)
            _check(len(set(lanes)) == len(lanes), name, "names one twice", "Name each once.")
        for name in ("leave_out", "down"):
            for one in getattr(self, name):
                good = is_filter(one) and not one.startswith(("$", "/"))
                _check(good, name, f"has {one!r}", "Give MQTT filters below the device's level, such as +/raw.")


def _check(good: bool, name: str, problem: str, remedy: str) -> None:
    if not good:
        raise Misuse(f"gateway.{name} {problem}.", remedy)


def _check_range(name: str, value: int, least: int, most: int) -> None:
    _check(least <= value <= most, name, f"is {value}", f"Use a value from {least} to {most}.")

"""What a camera is to do wrong, and when: values of the settings, for trying out what follows. Pure."""

from typing import Literal

from msgspec import Struct

from roost_broker.clock import SECOND


class CameraFault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault, from a frame or a moment on, for some frames or some time. Allowed where the node says `qa = true`."""

    kind: Literal["hang", "drop", "freeze", "black", "garbage", "slow", "blur", "turn"]
    """hang: nothing comes, and nothing wakes whoever waits. drop: it breaks, and cannot be opened meanwhile. freeze:
    the same picture again and again. black: no light. garbage: noise. slow: each frame comes late. blur: a smeared
    lens. turn: somebody knocked against it, and it hangs askew."""
    at_frame: int = 0
    """Begins with this frame, counted from 0 over the life of the process …"""
    at_s: float = 0.0
    """… and not before so many seconds after the camera was first opened."""
    frames: int = 0
    """Lasts so many frames; 0: without end, or as `for_s` says."""
    for_s: float = 0.0
    """Lasts so many seconds after it first struck; 0: without end, or as `frames` says."""
    slow_ms: int = 1_000
    """slow: so much later."""
    blur: float = 0.03
    """blur: a point becomes a spot of this share of the picture's width."""
    turn_deg: float = 90.0
    """turn: by so many degrees, against the clock; what was not in the picture before is black."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("at_frame", 0, 10**9),
            ("at_s", 0, 10**6),
            ("frames", 0, 10**9),
            ("for_s", 0, 10**6),
            ("slow_ms", 1, 600_000),
            ("blur", 0.001, 0.5),
            ("turn_deg", -180, 180),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} = {value} is not between {low} and {high}")


class Faults:
    """Which fault is on. Times in ns since the camera was first opened, frames counted from 0."""

    def __init__(self, faults: tuple[CameraFault, ...]) -> None:
        self._faults = faults
        self._struck: dict[int, tuple[int, int]] = {}
        """By place in the list: the frame and the time at which it first struck."""

    def on(self, frame: int, now_ns: int) -> CameraFault | None:
        """The first that is on for this frame; the settings' order is their rank."""
        for place, fault in enumerate(self._faults):
            if frame < fault.at_frame or now_ns < fault.at_s * SECOND:
                continue
            first_frame, first_ns = self._struck.setdefault(place, (frame, now_ns))
            over = fault.frames and frame >= first_frame + fault.frames
            if not over and not (fault.for_s and now_ns >= first_ns + fault.for_s * SECOND):
                return fault
        return None

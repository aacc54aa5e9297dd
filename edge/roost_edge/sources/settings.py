"""Settings of one camera: one line chooses the source, the rest fits all of them."""

import re
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct

from roost_edge.sources.faults import CameraFault

_SCENE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z")


class CameraSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`source` says which kind of camera; a field that the kind does not use is ignored."""

    source: Literal["synthetic", "video", "folder", "opencv", "picamera"] = "synthetic"
    scene: str = "roost_henhouse.scene:HenhouseScene"
    """synthetic: `module:attribute` of a class called with seed, width, height, fps and offering
    `frame(index) -> (rgb, truth)`."""
    seed: int = 1
    frames: int = 0
    """synthetic: end after so many frames; 0 = never."""
    path: str = ""
    """video: a file. folder: a directory of JPEG, PNG or BMP pictures."""
    device: int = 0
    """opencv without `url`: the USB camera's number. picamera: the camera's number."""
    url: str = ""
    """opencv: RTSP or any address that OpenCV opens. Credentials in it are never logged."""
    width: int = 640
    height: int = 480
    """Asked of cameras; larger pictures of video and streams are scaled down to fit."""
    fps: float = 10.0
    """At most so many frames a second."""
    loop: bool = False
    """video and folder: begin again at the end."""
    realtime: bool = True
    """synthetic, video and folder: pace by the clock; false: as fast as they are read."""
    open_timeout_ms: int = 10_000
    read_timeout_ms: int = 5_000
    buffer_count: int = 0
    """picamera: frame buffers; 0: 2 on boards with 512 MB or less, else 4."""
    exposure_us: int = 0
    """picamera: exposure time; 0: the camera finds its own."""
    gain: float = 0.0
    """picamera: amplification of the sensor; 0: the camera finds its own."""
    exposure_bias: float = 0.0
    """picamera: brighter or darker than the camera would, in stops."""
    white_balance: Literal["auto", "incandescent", "tungsten", "fluorescent", "indoor", "daylight", "cloudy"] = "auto"
    """picamera: a fixed one keeps a lamp that is switched on from looking like motion."""
    mains_hz: Literal[0, 50, 60] = 0
    """picamera: lamps flicker with the mains; exposure avoids it."""
    focus_m: float = 0.0
    """picamera with a lens that moves: distance; 0: as the camera likes."""
    upside_down: bool = False
    """picamera: it hangs from the ceiling."""
    faults: tuple[CameraFault, ...] = ()
    """Any source: what it is to do wrong on purpose, and when; where the node says `qa = true`."""

    def __post_init__(self) -> None:
        _between("width", self.width, 16, 4096)
        _between("height", self.height, 16, 4096)
        _between("fps", self.fps, 0.01, 120)
        _between("frames", self.frames, 0, 10**9)
        _between("device", self.device, 0, 63)
        _between("open_timeout_ms", self.open_timeout_ms, 100, 120_000)
        _between("read_timeout_ms", self.read_timeout_ms, 100, 120_000)
        _between("buffer_count", self.buffer_count, 0, 8)
        _between("exposure_us", self.exposure_us, 0, 10_000_000)
        _between("gain", self.gain, 0, 64)
        _between("exposure_bias", self.exposure_bias, -8, 8)
        _between("focus_m", self.focus_m, 0, 1_000)
        if len(self.faults) > 100:
            raise ValueError("faults are 100 at most")
        if self.source in ("video", "folder") and not self.path:
            raise ValueError(f'source = "{self.source}" needs path = "…"')
        if self.source == "synthetic" and not _SCENE.match(self.scene):
            raise ValueError(f'scene = "{self.scene}" is not "module:attribute"')


def _between(field: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{field} = {value} is not between {low} and {high}")


def masked(url: str) -> str:
    """An address fit for logs: user, password and query (cameras take passwords there too) are gone."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "(an address that cannot be parsed)"
    if not parts.scheme:
        return url if "@" not in url else "(an address that cannot be parsed)"
    hidden = "***@" if "@" in parts.netloc else ""
    place = f"{hidden}[{host}]" if ":" in host else f"{hidden}{host}"
    if port is not None:
        place += f":{port}"
    return urlunsplit((parts.scheme, place, parts.path, "***" if parts.query else "", ""))

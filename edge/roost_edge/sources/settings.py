"""Settings of one camera: one line chooses the source, the rest fits all of them."""

import re
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct

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
    buffer_count: int = 3
    """picamera: frame buffers; 2 or 3 on boards with 512 MB."""

    def __post_init__(self) -> None:
        _between("width", self.width, 16, 4096)
        _between("height", self.height, 16, 4096)
        _between("fps", self.fps, 0.01, 120)
        _between("frames", self.frames, 0, 10**9)
        _between("device", self.device, 0, 63)
        _between("open_timeout_ms", self.open_timeout_ms, 100, 120_000)
        _between("read_timeout_ms", self.read_timeout_ms, 100, 120_000)
        _between("buffer_count", self.buffer_count, 1, 8)
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

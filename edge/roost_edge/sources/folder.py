"""A directory of pictures: every picture is an event of its own."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from roost_broker.clock import Clock
from roost_broker.errors import Misuse
from roost_edge.sources.frame import CameraFailed, Frame
from roost_edge.sources.pace import Pace
from roost_edge.sources.settings import CameraSettings

if TYPE_CHECKING:
    from roost_edge.sources.frame import Image

_KINDS = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
_MAX_FILE_BYTES = 40_000_000
_DIGITS = re.compile(r"(\d+)")

log = logging.getLogger(__name__)


class FolderSource:
    """Pictures in natural order (`2.jpg` before `10.jpg`), at most `fps` a second.

    A file that is no picture is skipped with a log line; a folder without any picture is an error.
    """

    stills = True
    live = False

    def __init__(self, settings: CameraSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._folder = Path(settings.path).expanduser()
        self._pace = Pace(clock, settings.fps, realtime=settings.realtime)
        self._files: list[Path] = []
        self._index = 0
        self._place = 0
        self._good_this_round = False

    def open(self) -> None:
        """See `FrameSource`."""
        if not self._folder.is_dir():
            raise Misuse(f"There is no folder {self._folder}.", "Correct camera path.")
        found = (file for file in self._folder.iterdir() if file.suffix.lower() in _KINDS and file.is_file())
        self._files = sorted(found, key=_natural)
        if not self._files:
            raise Misuse(f"{self._folder} holds no .jpg, .png or .bmp picture.", "Correct camera path.")
        self._index = self._place = 0
        self._good_this_round = False
        self._pace.start()

    def read(self) -> Frame | None:
        """See `FrameSource`."""
        # A picture is never skipped for being late: the reader sets the pace, the clock only slows it down.
        while self._more() and self._pace.wait(self._index, skip=False) is not None:
            file = self._files[self._place]
            self._place += 1
            try:
                data, image = _load(file)
            except CameraFailed as error:
                log.warning("%s", error)
                continue
            self._good_this_round = True
            self._index += 1
            now = self._clock.monotonic_ns()
            return Frame(
                image=image,
                at_monotonic_ns=now,
                wall_ns=self._clock.wall_ns(),
                index=self._index - 1,
                media_ns=now,
                name=file.name.encode("utf-8", "replace").decode(),  # a name that is no UTF-8 cannot travel
                encoded=data if file.suffix.lower() in (".jpg", ".jpeg") else None,
            )
        return None

    def _more(self) -> bool:
        if self._place < len(self._files):
            return True
        if not self._settings.loop or self._pace.stopped:
            return False
        if not self._good_this_round:
            raise CameraFailed(f"Not one picture in {self._folder} can be read.", "Put pictures there.")
        self._place, self._good_this_round = 0, False
        return True

    def close(self) -> None:
        """See `FrameSource`."""
        self._pace.stop()

    def describe(self) -> str:
        """See `FrameSource`."""
        return f"folder {self._folder}, {len(self._files)} pictures" if self._files else f"folder {self._folder}"


def _natural(file: Path) -> list[tuple[int, str]]:
    parts = _DIGITS.split(file.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _load(file: Path) -> tuple[bytes, Image]:
    from roost_models.inference import images  # the models' own decoder: upright by EXIF, and safe from picture bombs

    try:
        if file.stat().st_size > _MAX_FILE_BYTES:
            raise CameraFailed(f"{file} is over {_MAX_FILE_BYTES} bytes and was skipped.")
        data = file.read_bytes()
    except OSError as error:
        raise CameraFailed(f"{file} cannot be read ({error.strerror}) and was skipped.") from error
    try:
        return data, images.decode(data)
    except images.BadImage as error:
        raise CameraFailed(f"{file} was skipped. {error.problem}") from error

"""When a picture was taken: by its EXIF data, else by a date in its file's name. Pure, but for the picture's decoder.

A time without an offset is taken as UTC: the day is what matters, and it must be the same on every machine.
"""

import contextlib
import io
import re
from datetime import UTC, datetime, timedelta, timezone

_ORIGINAL, _DIGITIZED, _CHANGED = 36867, 36868, 306
_OFFSET = 36881
_EXIF_FOLDER = 0x8769
_OF_NAME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_.]?([01]\d)[-_.]?([0-3]\d)"  # the day
    r"(?:[-_.T ]{1,2}([0-2]\d)[-_.:h]?([0-5]\d)(?:[-_.:]?([0-5]\d))?)?(?!\d)"  # and perhaps the time
)


def taken_ms(data: bytes, name: str) -> int | None:
    """Milliseconds since 1970, or None when neither says anything that can be."""
    when = _of_exif(data) or _of_name(name)
    return None if when is None else max(0, round(when.timestamp() * 1000))


def _of_exif(data: bytes) -> datetime | None:
    from PIL import Image

    with contextlib.suppress(Exception):  # damaged EXIF says nothing; that is all it says
        with Image.open(io.BytesIO(data)) as image:
            exif = image.getexif()
            inner = exif.get_ifd(_EXIF_FOLDER)
        said = inner.get(_ORIGINAL) or inner.get(_DIGITIZED) or exif.get(_CHANGED)
        when = datetime.strptime(str(said).strip("\0 "), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
        offset = re.fullmatch(r"([+-])(\d\d):(\d\d)", str(inner.get(_OFFSET, "")).strip("\0 "))
        if offset:
            ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
            when = when.replace(tzinfo=timezone(ahead if offset[1] == "+" else -ahead))
        return when
    return None


def _of_name(name: str) -> datetime | None:
    for found in _OF_NAME.finditer(name):
        with contextlib.suppress(ValueError):  # 2026-13-41 is no date
            year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    return None

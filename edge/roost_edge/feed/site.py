"""The folder that any web server can serve: `index.html`, `feed.atom` and `pictures/`.

Rules:

1. Each file is old or new, never torn. Pictures come before the documents that name them, and go after.
2. Only files of our own names are ever removed: who puts a `robots.txt` there keeps it.
3. Bounded: the newest `max_entries` posts, and their pictures.
"""

import re
from collections.abc import Sequence
from datetime import datetime, tzinfo
from pathlib import Path

from roost_broker.durable import write_durably
from roost_broker.errors import PeerError
from roost_edge.feed.atom import Entry, atom
from roost_edge.feed.page import page
from roost_edge.feed.picture import clean
from roost_edge.feed.rows import Row
from roost_edge.feed.settings import FeedSettings
from roost_edge.feed.store import Store

_PICTURE = re.compile(r"[0-9a-f]{32}\.jpg")
_THUMBNAIL_SIDE = 320
_THUMBNAIL_BYTES = 14_000
_STATUS = "https://x.com/i/web/status/"


class Site:
    """Blocking, for a worker thread."""

    def __init__(self, folder: Path, settings: FeedSettings, *, node: str, zone: tzinfo | None = None) -> None:
        self.folder = folder
        self._settings = settings
        self._node = node
        self._zone = zone
        self._thumbnails: dict[str, bytes] = {}

    def write(self, store: Store, *, now_ms: int) -> int:
        """Everything anew. Returns how many posts it shows. Raises OSError."""
        rows = store.newest(self._settings.max_entries)
        entries = [self._entry(row, rows, store.picture(row.seq)) for row in rows]
        zone = self._zone or datetime.now().astimezone().tzinfo
        assert zone is not None  # noqa: S101  # an aware time has one
        title = self._settings.title or self._node
        self._thumbnails = {one.request_id: self._thumbnails[one.request_id] for one in entries}
        document = atom(title, self._node, entries, site_url=self._settings.site_url, now_ms=now_ms)
        self._put("feed.atom", document)
        self._put("index.html", page(title, entries, self._thumbnails, zone=zone))
        wanted = {Path(one.picture).name for one in entries}
        for path in self.folder.glob("pictures/*.jpg"):
            if path.name not in wanted and _PICTURE.fullmatch(path.name):
                path.unlink(missing_ok=True)
        return len(entries)

    def _entry(self, row: Row, rows: Sequence[Row], picture: bytes) -> Entry:
        place = f"pictures/{row.request_id}.jpg"
        target = self.folder / place
        if not target.is_file() or target.stat().st_size != len(picture):
            write_durably(target, picture, mode=0o644)
        if row.request_id not in self._thumbnails:
            self._thumbnails[row.request_id] = _small(picture)
        first = next((one for one in rows if one.sighting_id == row.sighting_id and one.ordinal == 0), row)
        return Entry(
            request_id=row.request_id,
            label=row.label,
            camera=row.camera,
            text=row.text,
            alt=row.alt,
            at_ms=row.at_ms,
            picture=place,
            picture_bytes=len(picture),
            link=self._link(row.service_id) if row.mode == "service" else "",
            answers="" if first is row else first.request_id,
        )

    def _link(self, service_id: str) -> str:
        if not service_id.isdigit():
            return ""
        base = self._settings.base_url
        return f"{base.rstrip('/')}/i/web/status/{service_id}" if base else f"{_STATUS}{service_id}"

    def _put(self, name: str, text: str) -> None:
        data = text.encode("utf-8")
        target = self.folder / name
        if not target.is_file() or target.read_bytes() != data:
            write_durably(target, data, mode=0o644)


def _small(picture: bytes) -> bytes:
    try:
        return clean(picture, side=_THUMBNAIL_SIDE, max_bytes=_THUMBNAIL_BYTES)
    except PeerError:
        return b""  # the page then shows the picture itself

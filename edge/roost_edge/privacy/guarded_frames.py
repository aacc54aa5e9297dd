"""The frames as they may be shown outside: a frame store that gives out only what the privacy guard lets pass.

Whoever publishes pictures (alerts, feed, gateway) has this store in place of the plain one, and need not know why a
picture is not to be had. What the guard's model said stands in the archive, which the decoy writes; it is read there by
the frame's hash. A picture that several requests showed passes when the newest does. No archive, no answer, no picture.
"""

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from roost_broker.clock import SECOND, Clock
from roost_broker.errors import FrameUnavailable
from roost_broker.frames import FrameStore
from roost_broker.messages import FrameRef, Output
from roost_edge.privacy.judging import Verdict, judge
from roost_edge.privacy.settings import PrivacySettings

ARCHIVE = "archive.db"
"""`roost_models.archive.schema.DATABASE`, without what that module needs."""
_LOOK_AGAIN_S = 0.1
_BUSY_S = 2.0
_ANSWERS = (
    "SELECT s.outputs FROM frames AS f JOIN inputs AS i ON i.arrival = f.arrival"
    " JOIN scores AS s ON s.request_id = i.request_id WHERE f.sha256 = ? AND s.model = ?"
)
_outputs = msgspec.json.Decoder(list[Output])


class GuardedFrames(FrameStore):
    """See the module. Reading may wait for `wait_s`: not for an event loop."""

    def __init__(self, root: Path, archives: Sequence[Path], settings: PrivacySettings, clock: Clock) -> None:
        super().__init__(root)
        self._archives = tuple(archives)
        self._settings = settings
        self._clock = clock
        self._pause = threading.Event()

    def read(self, ref: FrameRef) -> bytes:
        """See `FrameStore`. Raises `FrameUnavailable` (withheld), too."""
        if self.verdict(ref.sha256) != "clear":
            raise FrameUnavailable("withheld", f"Frame {ref.sha256[:12]}… stays on the device: the privacy guard.")
        return super().read(ref)

    def bytes_of(self, sha256: str) -> bytes:
        """See `FrameStore`. Raises `PermissionError`, too."""
        if self.verdict(sha256) != "clear":
            raise PermissionError(f"Frame {sha256[:12]}… stays on the device: the privacy guard.")
        return super().bytes_of(sha256)

    def verdict(self, sha256: str) -> Verdict:
        """What is known of a frame; waits for an answer as the settings allow."""
        end = self._clock.monotonic_ns() + int(self._settings.wait_s * SECOND)
        while (found := judge(self._answers(sha256), self._settings)) == "unanswered":
            if self._clock.monotonic_ns() >= end:
                break
            self._pause.wait(_LOOK_AGAIN_S)
        return found

    def _answers(self, sha256: str) -> list[list[Output]]:
        found: list[list[Output]] = []
        for archive in self._archives:
            file = archive / ARCHIVE
            if not file.is_file():
                continue
            try:
                with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)) as db:
                    rows = db.execute(_ANSWERS, (sha256, self._settings.model)).fetchall()
            except sqlite3.DatabaseError:
                continue  # its decoy has only just begun, or it is damaged: then nobody vouches for the picture
            found += [_outputs.decode(row[0]) for row in rows]
        return found

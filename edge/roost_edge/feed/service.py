"""Where posts go: the interface, and the dry run, which writes what would be posted and sends nothing."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from roost_broker.durable import write_durably
from roost_edge.feed.outcomes import Outcome, Posted
from roost_edge.feed.rows import Row

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """Somebody answered a post."""

    id: str
    to: str
    """The service's number of what was answered."""
    conversation: str
    """That of the first post of the thread."""
    author: str
    text: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Replies:
    """What came since `since`; `newest` is the next `since`."""

    replies: tuple[Reply, ...]
    newest: str


class Service(Protocol):
    """Called from a worker thread, one call at a time. `post` and `refuses` never raise what a network may do."""

    mode: str
    paid: bool
    """Whether a post counts against the budget."""

    def post(self, row: Row, picture: bytes, answers: str) -> Outcome:
        """Post it; as an answer to the post with this number, if there is one."""
        ...

    def account(self) -> str:
        """Whose account the keys are for. Raises `PeerError`, `Misuse`."""
        ...

    def replies(self, since: str, conversations: tuple[str, ...]) -> Replies:
        """Answers of people that came after `since`. Raises `PeerError`."""
        ...


class DryRun:
    """Writes each post into a folder, newest `max_entries` kept: `<seq>.json` with the words, `<seq>.jpg` beside it."""

    mode = "dry-run"
    paid = False

    def __init__(self, folder: Path, *, max_entries: int) -> None:
        self._folder = folder
        self._max_entries = max_entries

    def post(self, row: Row, picture: bytes, answers: str) -> Outcome:
        """See `Service`. Raises OSError."""
        said: dict[str, str | int] = {"text": row.text, "alt": row.alt, "picture": f"{row.seq:08}.jpg"}
        said |= {"requestId": row.request_id}
        said |= {"task": row.task, "camera": row.camera, "thread": row.sighting_id, "ordinal": row.ordinal}
        write_durably(self._folder / f"{row.seq:08}.jpg", picture)
        write_durably(self._folder / f"{row.seq:08}.json", json.dumps(said, indent=2, ensure_ascii=False).encode())
        _log.info("would be posted: %s", row.text.replace("\n", " · "))
        for old in sorted(self._folder.glob("[0-9]*.json"))[: -self._max_entries]:
            old.with_suffix(".jpg").unlink(missing_ok=True)
            old.unlink(missing_ok=True)
        return Posted("")

    def account(self) -> str:
        """See `Service`."""
        return ""

    def replies(self, since: str, conversations: tuple[str, ...]) -> Replies:
        """See `Service`: nobody answers what nobody saw."""
        return Replies((), since)

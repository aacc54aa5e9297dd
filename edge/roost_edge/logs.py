"""What a daemon says: one JSON object per line on stderr, for the journal.

Any module logs with `logging.getLogger(__name__)`; fields given as `extra={"fields": {...}}` become members of the
object. Line breaks inside a message are kept inside the JSON string, so one record is always one line.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

_MAX_TEXT = 4_000

ROLE: ContextVar[str] = ContextVar("ROLE", default="")
"""Which role speaks, in a process of several. Threads do not inherit it: for what they say it is the process."""


class JsonLines(logging.Formatter):
    """Formats a record as `{"at", "level", "role", "where", "message", …}`."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """One line; `at` is UTC wall time with milliseconds."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry: dict[str, Any] = {
            "at": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "role": ROLE.get() or self._role,
            "where": record.name,
            "message": record.getMessage()[:_MAX_TEXT],
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            entry.update({key: value for key, value in fields.items() if key not in entry})
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)[-_MAX_TEXT:]
        return json.dumps(entry, ensure_ascii=False, default=str)


def setup(role: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Send every record of this process to `stream` (stderr) as JSON lines. Call once, from the daemon's main."""
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonLines(role))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


@contextmanager
def one_complaint(least: int = logging.ERROR) -> Iterator[None]:
    """Meanwhile the bus does not tell of each attempt to reach the broker: whoever asks says it once, with a remedy."""
    telling = logging.getLogger("roost_broker.mqtt")
    level = telling.level
    telling.setLevel(least)
    try:
        yield
    finally:
        telling.setLevel(level)


def readable(line: str) -> str:
    """A daemon's log line as people read it; text that is not such a line is returned as it is."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict) or "message" not in entry:
        return line
    rest = {key: value for key, value in entry.items() if key not in ("at", "level", "role", "where", "message")}
    trace = rest.pop("trace", "")
    details = "".join(f" {key}={value}" for key, value in rest.items())
    last = f" ({str(trace).strip().splitlines()[-1]})" if str(trace).strip() else ""
    return f"{entry.get('level', 'info')}: {entry['message']}{details}{last}"

"""Answers of people: fetched, kept, and told as suggestions. Kept in the feed's store until the broker has them."""

from collections.abc import Iterable
from dataclasses import dataclass

from roost_broker.clock import MS, Clock
from roost_broker.headers import new_header
from roost_broker.messages import encode
from roost_broker.topics import NodeTopics
from roost_broker.transaction import Transaction
from roost_edge.feed.answering import suggested, suggestion
from roost_edge.feed.rows import Row
from roost_edge.feed.service import Reply, Service
from roost_edge.feed.store import Store

SINCE = "replies-since"
_MAX_KEPT = 2_000
_MAX_THREADS = 10


@dataclass(frozen=True, slots=True)
class Told:
    """One answer as it is kept. `message` is empty where it suggests nothing; `why` then says so."""

    id: str
    topic: str
    message: bytes
    why: str
    author: str
    text: str
    at_ms: int


class ReplyBook:
    """Blocking, for a worker thread."""

    def __init__(self, store: Store, topics: NodeTopics, labels: Iterable[str], clock: Clock) -> None:
        self._store = store
        self._topics = topics
        self._labels = frozenset(labels)
        self._clock = clock

    def fetch(self, service: Service) -> tuple[int, int]:
        """Ask the service. Returns how many answers are new, and how many suggest a label. Raises as it does."""
        threads = [row.service_id for row in self._store.newest(200) if row.service_id and row.ordinal == 0]
        found = service.replies(self._store.fact(SINCE), tuple(threads[:_MAX_THREADS]))
        known = {row[0] for row in self._store.db.execute("SELECT id FROM reply")}
        fresh = [self._told(reply) for reply in found.replies if reply.id not in known]
        with Transaction(self._store.db):
            self._store.db.executemany(
                "INSERT OR IGNORE INTO reply (id, topic, message, why, author, text, at_ms) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(one.id, one.topic, one.message or None, one.why, one.author, one.text, one.at_ms) for one in fresh],
            )
            self._store.db.execute("REPLACE INTO fact VALUES (?, ?)", (SINCE, found.newest))
            self._store.db.execute(
                "DELETE FROM reply WHERE id IN (SELECT id FROM reply WHERE told OR message IS NULL "
                "ORDER BY at_ms DESC LIMIT -1 OFFSET ?)",
                (_MAX_KEPT,),
            )
        return len(fresh), sum(bool(one.message) for one in fresh)

    def _told(self, reply: Reply) -> Told:
        row = self._store.by_service_id(reply.to) or self._store.by_service_id(reply.conversation)
        label = "" if row is None else suggested(reply.text, row.label, self._known(row))
        message, topic = b"", ""
        why = "" if label else "names no label" if row is not None else "answers no post that is known here"
        if row is not None and label:
            head = new_header(self._clock, self._topics.node, "feed")
            said = suggestion(reply, row, label, head.provenance, self._clock.wall_ns() // MS)
            message, topic = encode(said), self._topics.task(row.task).suggestions
        return Told(reply.id, topic, message, why, reply.author[:100], reply.text[:1000], reply.at_ms)

    def _known(self, row: Row) -> frozenset[str]:
        """Labels of the settings, and all that any result of the task had: the models' own vocabulary."""
        heard = self._store.db.execute("SELECT label FROM heard WHERE task = ?", (row.task,))
        return self._labels | {found[0] for found in heard} | {row.label}

    def untold(self) -> tuple[tuple[str, str, bytes], ...]:
        """Suggestions that the broker has not taken yet: id, topic, message."""
        rows = self._store.db.execute(
            "SELECT id, topic, message FROM reply WHERE NOT told AND message IS NOT NULL ORDER BY at_ms LIMIT 50"
        )
        return tuple((row[0], row[1], bytes(row[2])) for row in rows)

    def told(self, ids: Iterable[str]) -> None:
        """The broker has them."""
        with Transaction(self._store.db, synced=False):
            self._store.db.executemany("UPDATE reply SET told = 1 WHERE id = ?", [(one,) for one in ids])

    def kept(self) -> tuple[Told, ...]:
        """All answers that are kept, newest first."""
        rows = self._store.db.execute(
            "SELECT id, topic, message, why, author, text, at_ms FROM reply ORDER BY at_ms DESC, id DESC"
        )
        return tuple(Told(row[0], row[1], bytes(row[2] or b""), *row[3:]) for row in rows)

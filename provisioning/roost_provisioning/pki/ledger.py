"""The ledger: every certificate that was signed, every token, every act of the authority. One SQLite file.

Rules:

1. What is signed is in the ledger, durably, before it leaves (WAL, `synchronous = FULL`).
2. Whoever changes something is alone while doing so (`changing`): two issuers at once cannot give one name twice, nor
   use one token twice.
3. Bounded: certificates that ended more than `KEPT_S` ago are forgotten, and so are spent tokens and old acts.

Times are seconds since 1970.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from roost_broker.durable import sync
from roost_broker.errors import Misuse, PeerError
from roost_broker.transaction import Transaction
from roost_provisioning.pki.tokens import Token

VERSION = 1
KEPT_S = 400 * 86_400
MAX_EVENTS = 100_000
_BUSY_S = 30.0
_TABLES = (
    """CREATE TABLE certificates (
      serial TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, issuer INTEGER NOT NULL,
      how TEXT NOT NULL, issued_at INTEGER NOT NULL, not_after INTEGER NOT NULL, pem TEXT NOT NULL,
      revoked_at INTEGER, reason TEXT NOT NULL DEFAULT '') STRICT""",
    "CREATE INDEX certificates_of_name ON certificates (kind, name)",
    "CREATE INDEX certificates_of_key ON certificates (key)",
    """CREATE TABLE tokens (
      id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, name TEXT NOT NULL, prefix TEXT NOT NULL, uses INTEGER NOT NULL,
      used INTEGER NOT NULL, until INTEGER NOT NULL) STRICT""",
    "CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, what TEXT NOT NULL) STRICT",
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT",
)
_COLUMNS = "serial, kind, name, key, issuer, how, issued_at, not_after, pem, revoked_at, reason"


class Row(NamedTuple):
    """One certificate. `how`: `token <id>`, `renewed`, or who issued it by hand. `key`: see `key_id`."""

    serial: str
    kind: str
    name: str
    key: str
    issuer: int
    how: str
    issued_at: int
    not_after: int
    pem: str
    revoked_at: int | None = None
    reason: str = ""


class Event(NamedTuple):
    """One act."""

    at: int
    what: str


class Ledger:
    """See the module's rules. Raises `PeerError` when the file is damaged. One thread at a time."""

    def __init__(self, path: Path) -> None:
        fresh = not path.exists()
        if fresh:
            path.touch(mode=0o600)
        self._db = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._begin(path)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise PeerError(f"The ledger {path} cannot be opened: {error}.", "Restore it from a backup.") from error
        except BaseException:
            self._db.close()
            raise
        if fresh:
            sync(path.parent)

    def _begin(self, path: Path) -> None:
        with Transaction(self._db):
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise Misuse(f"{path} was written by a newer Roost (ledger {version}).", "Use that version.")
            if version == 0:
                for statement in _TABLES:
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Alone, and all or nothing: what was written is durable when the block ends well. Raises `PeerError`."""
        try:
            with Transaction(self._db):
                yield
        except sqlite3.OperationalError as error:
            raise PeerError(
                f"The ledger cannot be written: {error}.", "Try again; see whether the disk is full."
            ) from error

    def add(self, row: Row) -> None:
        """Write down a certificate."""
        self._db.execute(f"INSERT INTO certificates ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?)", row)  # noqa: S608 — our own columns

    def certificate(self, serial: str) -> Row | None:
        """By its serial number (hex)."""
        return next(iter(self._rows("serial = ?", serial)), None)

    def of_name(self, kind: str, name: str, ending_after: int) -> list[Row]:
        """Certificates of a name that are not revoked and end later than this, the newest first."""
        return self._rows("kind = ? AND name = ? AND revoked_at IS NULL AND not_after > ?", kind, name, ending_after)

    def of_key(self, key: str) -> list[Row]:
        """All certificates of a key, the newest first."""
        return self._rows("key = ?", key)

    def living(self, ending_after: int) -> list[Row]:
        """All certificates that are not revoked and end later than this."""
        return self._rows("revoked_at IS NULL AND not_after > ?", ending_after)

    def revoked(self, issuer: int, ending_after: int) -> list[Row]:
        """The revoked certificates of an issuing authority that would otherwise end later than this."""
        return self._rows("issuer = ? AND revoked_at IS NOT NULL AND not_after > ?", issuer, ending_after)

    def revoke(self, serial: str, at: int, reason: str) -> None:
        """Take a certificate back."""
        self._db.execute("UPDATE certificates SET revoked_at = ?, reason = ? WHERE serial = ?", (at, reason, serial))

    def add_token(self, token: Token) -> None:
        """Write down a token's hash."""
        self._db.execute("INSERT INTO tokens VALUES (?,?,?,?,?,?,?)", token)

    def token(self, hashed: str) -> Token | None:
        """By its hash."""
        row = self._db.execute("SELECT * FROM tokens WHERE hash = ?", (hashed,)).fetchone()
        return None if row is None else Token(*row)

    def use_token(self, token_id: str) -> None:
        """One device more."""
        self._db.execute("UPDATE tokens SET used = used + 1 WHERE id = ?", (token_id,))

    def end_token(self, token_id: str, at: int) -> bool:
        """Nobody may use it any more; whether it was open."""
        ended = self._db.execute("UPDATE tokens SET until = ? WHERE id = ? AND until > ?", (at, token_id, at))
        return ended.rowcount > 0

    def open_tokens(self, at: int) -> list[Token]:
        """Those that may still be used."""
        rows = self._db.execute("SELECT * FROM tokens WHERE used < uses AND until > ? ORDER BY until", (at,))
        return [Token(*row) for row in rows]

    def tell(self, at: int, what: str) -> None:
        """Write down an act."""
        self._db.execute("INSERT INTO events (at, what) VALUES (?, ?)", (at, what))

    def events(self, most: int) -> list[Event]:
        """The last acts, the newest first."""
        rows = self._db.execute("SELECT at, what FROM events ORDER BY seq DESC LIMIT ?", (most,))
        return [Event(*row) for row in rows]

    def fact(self, name: str) -> int:
        """A number that is kept; 0 at first."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return 0 if row is None else int(row[0])

    def set_fact(self, name: str, value: int) -> None:
        """Keep a number."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def forget_old(self, now: int) -> None:
        """Rule 3."""
        self._db.execute("DELETE FROM certificates WHERE not_after < ?", (now - KEPT_S,))
        self._db.execute("DELETE FROM tokens WHERE until < ?", (now - KEPT_S,))
        self._db.execute("DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events) - ?", (MAX_EVENTS,))

    def _rows(self, condition: str, *values: object) -> list[Row]:
        query = f"SELECT {_COLUMNS} FROM certificates WHERE {condition} ORDER BY issued_at DESC, rowid DESC"  # noqa: S608 — our own conditions
        return [Row(*row) for row in self._db.execute(query, values)]

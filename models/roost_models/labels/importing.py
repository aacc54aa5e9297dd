"""Pictures with labels come in from outside: all of them, or none.

1. Everything is read and judged first; with a problem nothing is written.
2. Pictures are in the frame store, durably, before the labels that refer to them; the labels come in one transaction.
3. The same import again changes nothing. One with other labels by the same author supersedes what it said before.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from roost_broker.clock import MS
from roost_broker.durable import write_durably
from roost_broker.errors import Misuse, PeerError
from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_models.labels import judging
from roost_models.labels.entry import MAX_LINE, Entry, parse
from roost_models.labels.listing import Listing, Problem, Row
from roost_models.labels.standing import own
from roost_models.labels.store import Added, LabelStore
from roost_models.labels.taken import taken_ms

MAX_PICTURE_BYTES = 50_000_000


@dataclass(slots=True)
class Imported:
    """What an import did, or would have done: with problems nothing was written."""

    new: int = 0
    superseding: int = 0
    """Of the new ones: corrections of what the same author said before."""
    known: int = 0
    missing: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    without_time: int = 0
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Picture:
    row: Row
    sha256: str
    taken: int | None


def import_pictures(
    listing: Listing,
    store: LabelStore,
    frames: FrameStore,
    *,
    author: str,
    task: str,
    reason: str,
    site: str = "",
    now_ns: int,
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Imported:
    """Import what was listed; `site` for rows that have none of their own."""
    found = Imported(missing=listing.missing, problems=list(listing.problems))
    pictures = _read_all(listing.rows, found, progress)
    entries: list[Entry] = []
    for one in pictures.values():
        found.labels[one.row.label] = found.labels.get(one.row.label, 0) + 1
        found.without_time += one.taken is None
        history = store.history(one.sha256, task=task)
        before = own(history, author)
        where = one.row.site or site
        if before is not None and (before.label, before.site, before.taken) == (one.row.label, where, one.taken):
            found.known += 1
            continue
        found.superseding += before is not None
        entries.append(
            judging.judge(
                history,
                entry_id=new_id(now_ns),
                now_ms=max([now_ns // MS, *(entry.at + 1 for entry in history)]),
                author=author,
                picture=one.sha256,
                task=task,
                label=one.row.label,
                reason=reason,
                origin=listing.origin[:1000],
                site=where,
                taken=one.taken,
            )
        )
    found.new = len(entries)
    if found.problems or dry_run:
        return found
    for entry in entries:
        _keep(frames, pictures[entry.picture or ""])
    store.add(entries)
    return found


def _read_all(rows: list[Row], found: Imported, progress: Callable[[int, int], None]) -> dict[str, _Picture]:
    pictures: dict[str, _Picture] = {}
    for number, row in enumerate(rows):
        progress(number, len(rows))
        try:
            data = _read(row.path)
        except (OSError, PeerError) as error:
            problem = error.problem if isinstance(error, PeerError) else str(error)
            found.problems.append(Problem(row.place, problem))
            continue
        digest = sha256(data).hexdigest()
        before = pictures.get(digest)
        if before is not None and before.row.label != row.label:
            what = f"is the same picture as {before.row.place}, which calls it {before.row.label!r}, not {row.label!r}"
            found.problems.append(Problem(row.place, what))
        elif before is None:
            taken = row.taken if row.taken is not None else taken_ms(data, row.path.name)
            pictures[digest] = _Picture(row, digest, taken)
    progress(len(rows), len(rows))
    return pictures


def _read(path: Path) -> bytes:
    """A picture's bytes, decoded once to be sure. Raises `BadImage`, `PeerError`, `OSError`."""
    from roost_models.inference.images import decode

    if path.stat().st_size > MAX_PICTURE_BYTES:
        raise PeerError(f"The picture has more than {MAX_PICTURE_BYTES} bytes.")
    data = path.read_bytes()
    decode(data)
    return data


def _keep(frames: FrameStore, picture: _Picture) -> None:
    data = picture.row.path.read_bytes()
    if sha256(data).hexdigest() != picture.sha256:
        raise PeerError(f"{picture.row.path} changed while it was imported.", "Nothing was labelled: import it again.")
    target = frames.path(picture.sha256)
    if not target.is_file() or target.stat().st_size != len(data):
        write_durably(target, data)


def import_entries(file: Path, store: LabelStore) -> Added:
    """Entries from an export, all or none, exactly as they were. Raises `Misuse` (naming the line), `Malformed`."""
    return store.add(entry for _, entry in _lines(file))


def _lines(file: Path) -> Iterator[tuple[int, Entry]]:
    for number, line in numbered_lines(file):
        try:
            yield number, parse(line)
        except PeerError as error:
            raise Misuse(f"{file}, line {number}: {error.problem}", "Nothing was written. Correct the line.") from error


def numbered_lines(file: Path) -> Iterable[tuple[int, bytes]]:
    """Lines of a file that are not empty, with their numbers. Raises `Misuse`."""
    try:
        with file.open("rb") as opened:
            number = 0
            while line := opened.readline(MAX_LINE * 5 + 1):
                number += 1
                if len(line) > MAX_LINE * 5:
                    raise Misuse(f"{file}, line {number} is too long.", "Nothing was written. Is it a JSONL file?")
                if stripped := line.strip():
                    yield number, stripped
    except FileNotFoundError as error:
        raise Misuse(f"There is no file {file}.", "Name a .jsonl file.") from error

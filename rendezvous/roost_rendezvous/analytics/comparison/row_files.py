"""Rows on files: JSONL of `Row`, and plain CSV for whoever has nothing but scores (promise X9). Pure.

Two forms of CSV, both with a line of column names:

* wide, one line for each request, a column for each model: `request_id,old,new`. A number is a score (of a label named
  `score`), anything else a label, if the column is one of the models asked for. Other columns: `task`, `at`, `truth`;
  the rest are tags.
* long, one line for each score: `request_id,model,label,score`, with `version` and the columns above where known.
"""

import csv
import math
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from roost_broker.errors import Malformed
from roost_rendezvous.analytics.rows import Row, Word

LONGEST_LINE = 1_000_000
"""Bytes of one row."""
SCORE = "score"
"""The label of scores that have none."""
_KNOWN = frozenset({"request_id", "task", "at", "truth", "model", "version", "label", "score"})
_decoder = msgspec.json.Decoder(Row)


def parse(lines: Iterable[bytes]) -> Iterator[Row]:
    """Rows of JSONL; empty lines are skipped. Raises `Malformed` with the line's number."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if len(line) > LONGEST_LINE:
            raise Malformed(f"Line {number} has {len(line):,} bytes; {LONGEST_LINE:,} is the most.")
        try:
            yield _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(
                f"Line {number} is no row: {error}.", "One JSON object a line, as `roost compare --write-rows` makes."
            ) from error


def render(row: Row) -> bytes:
    """One line."""
    return msgspec.json.encode(row) + b"\n"


def parse_csv(lines: Iterable[str], models: Collection[str] = ()) -> Iterator[Row]:
    """Rows of a CSV, wide or long; columns of `models` may hold labels. Raises `Malformed` with the line's number."""
    reader = csv.DictReader(lines)
    try:
        names = list(reader.fieldnames or ())
        if "model" in names:
            yield from _long(reader, names)
        else:
            yield from _wide(reader, names, models)
    except csv.Error as error:
        raise Malformed(f"Line {reader.line_num} is no CSV: {error}.") from error


def _wide(reader: "csv.DictReader[str]", names: list[str], models: Collection[str]) -> Iterator[Row]:
    columns = [name for name in names if name not in _KNOWN]
    for record in reader:
        cells = {name: (record.get(name) or "").strip() for name in names}
        words = [
            _word(name, cells[name]) for name in columns if name in models or not cells[name] or _is_number(cells[name])
        ]
        yield Row(
            request_id=cells.get("request_id") or str(reader.line_num),
            task=cells.get("task", ""),
            at=_at(cells.get("at", "")),
            words=tuple(words),
            tags={name: cells[name] for name in columns if cells[name] and name not in models},
            truth=cells.get("truth", ""),
        )


def _word(model: str, cell: str) -> Word:
    if not cell:
        return Word(model=model, outcome="absent")
    return Word(model=model, scores={SCORE: float(cell)} if _is_number(cell) else {cell: 1.0})


def _long(reader: "csv.DictReader[str]", names: list[str]) -> Iterator[Row]:
    """One row of each line; whoever joins puts those of one request together."""
    missing = sorted({"request_id", "score"} - set(names))
    if missing:
        raise Malformed(f"The CSV has a column `model`, but none called {' or '.join(missing)}.")
    scores: dict[tuple[str, str, str], dict[str, float]] = {}
    about: dict[str, dict[str, str]] = {}
    for record in reader:
        cells = {name: (record.get(name) or "").strip() for name in names}
        if not _is_number(cells["score"]):
            raise Malformed(f"Line {reader.line_num}: {cells['score']!r} is no score.")
        about.setdefault(cells["request_id"], cells)
        key = (cells["request_id"], cells["model"], cells.get("version", ""))
        scores.setdefault(key, {})[cells.get("label") or SCORE] = float(cells["score"])
    words: dict[str, list[Word]] = {}
    for (request_id, model, version), given in scores.items():
        words.setdefault(request_id, []).append(Word(model=model, version=version, scores=given))
    for request_id, cells in about.items():
        yield Row(
            request_id=request_id,
            task=cells.get("task", ""),
            at=_at(cells.get("at", "")),
            words=tuple(words[request_id]),
            tags={name: cell for name, cell in cells.items() if name not in _KNOWN and cell},
            truth=cells.get("truth", ""),
        )


def _at(cell: str) -> int:
    """Nanoseconds of a moment: ISO 8601 (UTC where no zone is said), or seconds since 1970; 0 where none is said."""
    if not cell:
        return 0
    try:
        if _is_number(cell):
            return int(float(cell) * 1e9)
        moment = datetime.fromisoformat(cell)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e9)
    except (ValueError, OverflowError) as error:
        raise Malformed(f"{cell!r} is no moment.", "Write 2026-10-01T06:00 or seconds since 1970.") from error


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False

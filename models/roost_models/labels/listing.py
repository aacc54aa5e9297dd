"""What there is to import: pictures with labels, from a folder or a CSV file; every problem with its place.

Nothing is stored in here; see `importing`.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from roost_broker.errors import Misuse

MAX_ROWS = 1_000_000
_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif"})


@dataclass(frozen=True, slots=True)
class Row:
    """One picture with its label. `place` says where this stands: a file below the folder, or a row of the table."""

    place: str
    path: Path
    label: str
    site: str = ""
    taken: int | None = None
    """Milliseconds since 1970, where the table says so."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why one row cannot be imported."""

    place: str
    what: str


@dataclass(slots=True)
class Listing:
    """What was found."""

    origin: str
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    missing: int = 0
    """Rows left out because their picture is not there, where that was allowed."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of a table's columns; only the first two must be there."""

    picture: str
    label: str
    site: str = ""
    time: str = ""


def of_folder(folder: Path, names: Mapping[str, str] | None = None) -> Listing:
    """`folder/LABEL/…/picture.jpg`. `names` renames labels. Raises `Misuse`."""
    if not folder.is_dir():
        raise Misuse(f"There is no folder {folder}.", "Name one that has a folder for each label, or a .csv file.")
    found = Listing(f"folder:{folder.resolve().name}")
    for path in _files(folder):
        place = str(path.relative_to(folder))
        if path.parent == folder:
            found.problems.append(Problem(place, "lies in no label's folder"))
        elif path.suffix.lower() not in _PICTURES:
            found.problems.append(Problem(place, f"is no picture by its name ({path.suffix or 'no ending'})"))
        else:
            _take(found, Row(place, path, path.relative_to(folder).parts[0]), names or {})
    return found


def of_table(
    file: Path,
    columns: Columns,
    *,
    pictures: Path | None = None,
    names: Mapping[str, str] | None = None,
    missing_ok: bool = False,
    delimiter: str = ",",
) -> Listing:
    """A CSV file with a header; pictures are named relative to `pictures` (else to the file). Raises `Misuse`."""
    root = pictures if pictures is not None else file.parent
    found = Listing(f"csv:{file.name}")
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            table = csv.DictReader(opened, delimiter=delimiter, strict=True)
            _check_columns(file, columns, list(table.fieldnames or ()))
            for cells in table:
                if len(found.rows) + len(found.problems) >= MAX_ROWS:
                    raise Misuse(f"{file} has more than {MAX_ROWS} rows.", "Import it in parts.")
                _take_row(found, f"row {table.line_num}", cells, columns, root, names or {}, missing_ok=missing_ok)
    except FileNotFoundError as error:
        raise Misuse(f"There is no file {file}.", "Name a .csv file, or a folder.") from error
    except (csv.Error, UnicodeDecodeError, TypeError) as error:
        raise Misuse(f"{file} is no CSV file in UTF-8: {error}.", "Save it as CSV, UTF-8, with a header.") from error
    return found


def _files(folder: Path) -> Iterator[Path]:
    for count, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        if count >= MAX_ROWS:
            raise Misuse(f"{folder} has more than {MAX_ROWS} files.", "Import it in parts.")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _check_columns(file: Path, columns: Columns, there: list[str]) -> None:
    for name in (columns.picture, columns.label, columns.site, columns.time):
        if name and name not in there:
            raise Misuse(
                f"{file} has no column {name!r}.",
                f"It has: {', '.join(there)[:300] or 'none'}. Say --picture-column and --label-column.",
            )


def _take_row(
    found: Listing,
    place: str,
    cells: Mapping[str, str | None],
    columns: Columns,
    root: Path,
    names: Mapping[str, str],
    *,
    missing_ok: bool,
) -> None:
    picture, label = (cells.get(columns.picture) or "").strip(), (cells.get(columns.label) or "").strip()
    if not picture or not label:
        found.problems.append(Problem(place, f"has no {'picture' if not picture else 'label'}"))
        return
    path = root / picture
    if "\0" in picture or not path.resolve().is_relative_to(root.resolve()):
        found.problems.append(Problem(place, f"names a picture outside {root}: {picture[:100]!r}"))
        return
    if not path.is_file():
        if missing_ok:
            found.missing += 1
        else:
            found.problems.append(Problem(place, f"there is no picture {picture[:200]!r}"))
        return
    taken, said = None, (cells.get(columns.time) or "").strip() if columns.time else ""
    if said:
        taken = _time(said)
        if taken is None:
            found.problems.append(Problem(place, f"{said[:50]!r} is no time like 2026-05-01T08:30:00Z"))
            return
    site = (cells.get(columns.site) or "").strip()[:1000] if columns.site else ""
    _take(found, Row(place, path, label, site, taken), names)


def _take(found: Listing, row: Row, names: Mapping[str, str]) -> None:
    label = names.get(row.label, row.label)
    if not label.isprintable() or not 1 <= len(label) <= 200:
        found.problems.append(Problem(row.place, "its label is not 1 to 200 printable characters"))
        return
    found.rows.append(Row(row.place, row.path, label, row.site, row.taken))


def _time(text: str) -> int | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return max(0, round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000))

"""When something is to be seen in a film, as people write it down: lines of start and end."""

import csv
import re
from pathlib import Path

from roost_broker.errors import Misuse
from roost_edge.motion.score import Period

_TIME = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d+)?)\Z")


def read_truth(path: Path) -> tuple[Period, ...]:
    """Periods in which something is there: CSV lines of start and end, in seconds or as MM:SS; more columns are notes.

    Raises `Misuse` with the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"The truth {path} cannot be read: {error}.", "Name a text file; see docs/motion.md.") from error
    found: list[Period] = []
    for number, row in enumerate(csv.reader(lines), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#") or (number == 1 and cells[0].lower() == "start"):
            continue
        times = [_ms(cell) for cell in cells[:2]]
        if len(times) < 2 or None in times:
            raise Misuse(
                f"{path}:{number}: this is not a start and an end.", "Write lines such as 12.5,18 or 0:12,0:18."
            )
        start, end = (time or 0 for time in times)
        if end < start or (found and start < found[-1].end_ms):
            raise Misuse(
                f"{path}:{number}: the times are not in order.", "Each ends after it starts, one after the other."
            )
        found.append(Period(start, end))
    return tuple(found)


def _ms(text: str) -> int | None:
    match = _TIME.match(text)
    if match is None:
        return None
    hours, minutes, seconds = match.groups()
    return round((int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)) * 1000)

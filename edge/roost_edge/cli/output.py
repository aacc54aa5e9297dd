"""What a command says: data to stdout, talk to stderr, one way of doing both."""

import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer

from roost_broker.errors import Misuse, RoostError
from roost_broker.printable import printable, printable_lines

OK, NO, MISUSE, DEFECT = 0, 1, 2, 3
EXIT_CODES = (
    "Exit status: 0 done, or the check says yes; 1 the check says no, or the work failed; "
    "2 misuse (arguments, settings); 3 a defect in Roost."
)

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of text.")]


def data(value: Any) -> None:
    """One JSON value on stdout; structs and paths too."""
    print(json.dumps(msgspec.to_builtins(value, enc_hook=str, str_keys=True), indent=2, ensure_ascii=False))


def say(text: str = "") -> None:
    """Talk on stderr. It may name what came from elsewhere, so it is made printable."""
    print(printable_lines(text), file=sys.stderr, flush=True)


def table(rows: Sequence[Sequence[str]], *, indent: str = "") -> str:
    """Columns as wide as they must be; the last one is not padded. Cells are made printable."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)] if rows else []
    lines = [
        indent + "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def bar(share: float, width: int = 24) -> str:
    """A horizontal bar for a share from 0 to 1."""
    filled = round(min(max(share, 0.0), 1.0) * width)
    return "█" * filled + "·" * (width - filled)


def complain(error: BaseException) -> int:
    """Print cause and next step (and with ROOST_DEBUG=1 the trace); returns the exit status."""
    if os.environ.get("ROOST_DEBUG") == "1":
        traceback.print_exception(error)
    if isinstance(error, RoostError):
        say(f"roost: {error.problem}")
        if error.remedy:
            say(f"  → {error.remedy}")
        return MISUSE if isinstance(error, Misuse) else NO
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("roost_"):
        say(f"roost: this command needs {error.name}, which is not installed.")
        say("  → Install the parts for a device: pip install 'roost[edge]'")
        return MISUSE
    if isinstance(error, OSError):
        say(f"roost: {error}")
        say("  → Mend what the line above names, and try again. ROOST_DEBUG=1 shows where it happened.")
        return NO
    say(f"roost: a defect: {type(error).__name__}: {error}")
    say("  → Run it again with ROOST_DEBUG=1 and report what it prints.")
    return DEFECT

"""Meta-analytics: goals G1 to G19 in one table, id | goal | measured | beside.

Each room of the package is measured by a module `analytics_<room>.py` of this folder with
`measure(quick: bool) -> list[Figure]`. A room that raises is told and does not stop the others; a goal without a
figure is listed as not measured. `--only rates,alarms` measures some; `--nab DIR` names a checkout of the Numenta
Anomaly Benchmark.
"""

import argparse
import dataclasses
import importlib
import os
import textwrap
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analytics_figures import GOALS, Figure
from report import Outcome, Say

_FOLDER = Path(__file__).parent
_PREFIX = "analytics_"
_VERDICTS = {True: "met", False: "MISSED", None: "-"}


def rooms() -> list[str]:
    """The rooms that can be measured."""
    return sorted(
        path.stem.removeprefix(_PREFIX)
        for path in _FOLDER.glob(f"{_PREFIX}*.py")
        if path.stem != "analytics_figures" and "def measure(" in path.read_text(encoding="utf-8")
    )


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options that this benchmark alone has."""
    there = rooms()
    parser.add_argument("--only", metavar="ROOMS", default="", help=f"some of {','.join(there)}")
    parser.add_argument("--nab", metavar="DIR", help="a checkout of the Numenta Anomaly Benchmark")


def run(quick: bool, say: Say, *, only: str = "", nab: str | None = None) -> Outcome:
    """See the module. Raises SystemExit for a room that there is not."""
    if nab is not None:
        if not Path(nab).is_dir():
            raise SystemExit(f"{nab} is no folder: give a checkout of the Numenta Anomaly Benchmark")
        os.environ["ROOST_NAB"] = str(Path(nab).resolve())
    there = rooms()
    wanted = [name for name in only.split(",") if name] or there
    if unknown := sorted(set(wanted) - set(there)):
        raise SystemExit(f"no such room: {', '.join(unknown)}; there are {', '.join(there) or 'none'}")
    outcome, figures = Outcome(), []
    told: dict[str, dict[str, Any]] = {}
    for name in wanted:
        say(f"{name} …")
        started = time.monotonic()
        try:
            found = list(importlib.import_module(_PREFIX + name).measure(quick))
        except Exception as error:  # noqa: BLE001 — one broken room must not hide what the others measured
            say(traceback.format_exc())
            told[name] = {"raised": f"{type(error).__name__}: {error}"[:200]}
            continue
        finally:
            took = round(time.monotonic() - started, 1)
        figures += found
        told[name] = {"figures": len(found), "seconds": took}
        say(f"{name}: {len(found)} figures in {took} s")
    rows = _in_order(figures, whole=not only)
    outcome.data = {"quick": quick, "rooms": told, "figures": [dataclasses.asdict(figure) for figure in rows]}
    broken = [f"{name} RAISED {about['raised']}" for name, about in told.items() if "raised" in about]
    outcome.lines = [*table(rows), "", *broken]
    counts = {word: sum(_VERDICTS[figure.passed] == word for figure in rows) for word in _VERDICTS.values()}
    outcome.lines.append(f"{counts['met']} met, {counts['MISSED']} missed, {counts['-']} without a verdict")
    return outcome


def _in_order(figures: Sequence[Figure], *, whole: bool) -> list[Figure]:
    """Goals in their order, then what else was measured; with `whole`, a line for each goal that has no figure."""
    places = {name: place for place, name in enumerate(GOALS)}
    known = {figure.of for figure in figures}
    missing = [Figure(name, GOALS[name], "not measured", None) for name in GOALS if whole and name not in known]
    return sorted([*figures, *missing], key=lambda figure: places.get(figure.of, len(places)))


def table(figures: Sequence[Figure], widths: tuple[int, int, int] = (46, 44, 44)) -> list[str]:
    """Lines of the table, cells wrapped; a note stands under its figure."""
    first = max((len(figure.id) for figure in figures), default=2)
    heads = ("goal", "measured", "beside: false alarms, dummy, rival")
    lines = [_line("id", first, heads, widths, "")]
    lines.append("-+-".join("-" * width for width in (first, *widths, 6)))
    for figure in figures:
        cells = [
            textwrap.wrap(text, width) or [""]
            for text, width in zip((figure.goal, figure.measured or "not measured", figure.beside), widths, strict=True)
        ]
        for number in range(max(map(len, cells))):
            shown = tuple(cell[number] if number < len(cell) else "" for cell in cells)
            name, verdict = (figure.id, _VERDICTS[figure.passed]) if number == 0 else ("", "")
            lines.append(_line(name, first, shown, widths, verdict))
        if figure.note:
            inset = " " * (first + 3)
            lines += textwrap.wrap(f"({figure.note})", sum(widths) + 6, initial_indent=inset, subsequent_indent=inset)
    return lines


def _line(name: str, first: int, cells: Sequence[str], widths: Sequence[int], verdict: str) -> str:
    inner = " | ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
    return f"{name:<{first}} | {inner} | {verdict}".rstrip()

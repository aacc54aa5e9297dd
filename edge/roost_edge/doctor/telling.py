"""A report as text: plain, aligned, complete without colours. Pure."""

import textwrap
from collections.abc import Iterator

from roost_broker.printable import printable
from roost_edge.doctor.findings import Finding, Report

_WORDS = {"ok": "ok", "warn": "warn", "fail": "FAIL", "skipped": "-"}
_WIDTH = 100


def lines(report: Report, *, width: int = _WIDTH) -> Iterator[str]:
    """A line for each check, and below what is not well what to do about it; then the sum."""
    names = max((len(finding.name) for finding in report.checks), default=0)
    for finding in report.checks:
        yield from told(finding, names=names, width=width)
    yield ""
    yield summary(report)


def told(finding: Finding, *, names: int, width: int = _WIDTH) -> Iterator[str]:
    """One check. `names` is the width of the longest name."""
    begin = f"{_WORDS[finding.status]:<4}  {printable(finding.name):<{names}}  "
    yield from _wrapped(printable(finding.found), begin, " " * len(begin), width)
    if finding.remedy and finding.status != "ok":
        yield from _wrapped(printable(finding.remedy), f"{' ' * len(begin)}→ ", " " * (len(begin) + 2), width)


def summary(report: Report) -> str:
    """How many are well, and what is wrong, in one line."""
    counts = [
        f"{report.count('ok')} ok",
        f"{report.count('warn')} to look at",
        f"{report.count('fail')} failed",
        f"{report.count('skipped')} not examined",
    ]
    return f"{report.node}: {', '.join(counts)} ({report.took_ms / 1000:.1f} s)."


def _wrapped(text: str, first: str, later: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, len(first) + 30),
        initial_indent=first,
        subsequent_indent=later,
        break_on_hyphens=False,
        break_long_words=False,
    ) or [first.rstrip()]

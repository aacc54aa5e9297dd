"""What an examination finds: a verdict for each check, and the report they make. Pure."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from msgspec import Struct, field

Status: TypeAlias = Literal["ok", "warn", "fail", "skipped"]
Fact: TypeAlias = str | int | float | bool | None
Facts: TypeAlias = dict[str, Fact]
_RANK: dict[Status, int] = {"fail": 3, "warn": 2, "ok": 1, "skipped": 0}
MAX_TEXT = 900
"""Characters of one sentence of a report; a whole report goes into one message."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What one check says. `remedy` is the next step for whoever reads it; a verdict that is not ok has one."""

    status: Status
    found: str
    remedy: str = ""
    facts: Facts = field(default_factory=dict)
    """The figures behind the sentence, for machines."""


class Finding(Verdict, frozen=True, kw_only=True, rename="camel"):
    """A verdict with its check's name, such as `storage` or `camera/nest`."""

    name: str
    took_ms: int = 0


class Report(Struct, frozen=True, kw_only=True, rename="camel", tag_field="schema", tag="roost.doctor/1"):
    """A whole examination. `ok` when nothing fails; warnings and skipped checks do not count."""

    node: str
    version: str
    """Of Roost."""
    timestamp: int
    """Wall clock in ms, as the device believes."""
    took_ms: int
    ok: bool
    checks: list[Finding]

    def count(self, status: Status) -> int:
        """How many checks say so."""
        return sum(finding.status == status for finding in self.checks)


def ok(found: str, **facts: Fact) -> Verdict:
    """All is well."""
    return Verdict(status="ok", found=found, facts=facts)


def warn(found: str, remedy: str, **facts: Fact) -> Verdict:
    """It works, but not for long, or not as well as it could."""
    return Verdict(status="warn", found=found, remedy=remedy, facts=facts)


def fail(found: str, remedy: str, **facts: Fact) -> Verdict:
    """Something does not work."""
    return Verdict(status="fail", found=found, remedy=remedy, facts=facts)


def skipped(why: str, remedy: str = "", **facts: Fact) -> Verdict:
    """Nothing was examined."""
    return Verdict(status="skipped", found=why, remedy=remedy, facts=facts)


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Several verdicts of one check as one: the worst status, with the sentences of all that share it."""
    worst = max(verdicts, key=lambda verdict: _RANK[verdict.status])
    chosen = [verdict for verdict in verdicts if verdict.status == worst.status]
    facts = {name: value for verdict in verdicts for name, value in verdict.facts.items()}
    remedies = dict.fromkeys(verdict.remedy for verdict in chosen if verdict.remedy)
    return Verdict(
        status=worst.status,
        found=" ".join(verdict.found for verdict in chosen),
        remedy=" ".join(remedies),
        facts=facts,
    )


def named(name: str, verdict: Verdict, took_ms: int) -> Finding:
    """A finding, its sentences bounded."""
    return Finding(
        name=name,
        status=verdict.status,
        found=shortened(verdict.found),
        remedy=shortened(verdict.remedy),
        facts=verdict.facts,
        took_ms=took_ms,
    )


def shortened(text: str) -> str:
    """One line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 1]}…"

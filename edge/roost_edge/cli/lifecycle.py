"""`roost lifecycle …`: in which phase a bundle is, who moved it there, and on what evidence."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.centre_options import DEFAULT_CENTRE, CentreFolder
from roost_edge.cli.output import EXIT_CODES, Json
from roost_edge.cli.rollout_options import (
    Author,
    Broker,
    Why,
    author_of,
    book_of,
    lifecycle_of,
    source_of,
)

if TYPE_CHECKING:
    from roost_models.rollout.document import BundleRef, Rollout
    from roost_models.rollout.lifecycle import Entry

app = typer.Typer(no_args_is_help=True, help="Life cycle: which bundle is in which phase, and why.")

Name = Annotated[str, typer.Argument(help="The bundle's name.")]
Version = Annotated[str, typer.Argument(help="Its version.")]
Task = Annotated[str, typer.Option(help="Where several tasks have a bundle of that name.")]


@app.callback()
def group() -> None:
    """Life cycle: which bundle is in which phase, and why."""


@app.command(epilog=EXIT_CODES)
def show(
    phase: Annotated[str, typer.Option(help="Only bundles in this phase.")] = "",
    centre: CentreFolder = DEFAULT_CENTRE,
    as_json: Json = False,
) -> None:
    """Show every bundle and its phase."""
    from roost_models.rollout.lifecycle import PHASES

    if phase and phase not in PHASES:
        raise Misuse(f"{phase!r} is no phase.", f"The phases are {', '.join(PHASES)}.")
    newest: dict[str, Entry] = {}
    for entry in lifecycle_of(centre).entries():
        newest[entry.bundle.digest] = entry
    found = [entry for entry in newest.values() if phase in ("", entry.phase)]
    if as_json:
        output.data(found)
        return
    if not found:
        output.say("No bundle yet." if not phase else f"No bundle is in {phase}.")
        return
    rows = [("task", "bundle", "phase", "since", "by", "why")]
    rows += [
        (
            entry.task,
            f"{entry.bundle.name} {entry.bundle.version}",
            entry.phase,
            _moment(entry.at_ms),
            entry.author,
            entry.why or "–",
        )
        for entry in found
    ]
    print(output.table(rows))


@app.command(epilog=EXIT_CODES)
def history(
    name: Name, version: Version, task: Task = "", centre: CentreFolder = DEFAULT_CENTRE, as_json: Json = False
) -> None:
    """Show what was done with a bundle, when, by whom and why."""
    from roost_models.rollout.lifecycle_lookup import find

    entries = lifecycle_of(centre).entries()
    _, bundle = find(entries, name, version, task)
    found = [entry for entry in entries if entry.bundle.digest == bundle.digest]
    if as_json:
        output.data(found)
        return
    rows = [("when", "phase", "by", "why", "evidence")]
    rows += [
        (
            _moment(entry.at_ms),
            entry.phase if entry.phase != entry.before else f"({entry.phase})",
            entry.author,
            entry.why or "–",
            ", ".join(f"{key} {value[:40]}" for key, value in entry.evidence.items()) or "–",
        )
        for entry in found
    ]
    print(output.table(rows))


@app.command(epilog=EXIT_CODES)
def move(
    name: Name,
    version: Version,
    phase: Annotated[str, typer.Argument(help="Where to: preproduction, production, post-production, retirement.")],
    task: Task = "",
    report: Annotated[Path | None, typer.Option(help="Assessment report, to leave development.")] = None,
    without_evaluation: Annotated[str, typer.Option(metavar="WHY", help="Leave development without a report.")] = "",
    broker: Broker = "",
    listen: Annotated[float, typer.Option(min=0.1, help="Seconds in which the fleet is asked what it names.")] = 3.0,
    unheard: Annotated[
        bool, typer.Option("--unheard", help="Retire without asking the fleet; the log says so.")
    ] = False,
    author: Author = "",
    why: Why = "",
    centre: CentreFolder = DEFAULT_CENTRE,
    as_json: Json = False,
) -> None:
    """Move a bundle to another phase. What is not possible is refused, with what would be.

    Publishing and roll-outs move bundles by themselves. What is left for people is mostly retirement, which is refused
    while a roll-out that is not over, a device's schedule or slot, or a canary still names the bundle.
    """
    from roost_models.rollout.lifecycle import PHASES, REPORT, WITHOUT, uses
    from roost_models.rollout.lifecycle_lookup import find
    from roost_models.rollout.named import named_by
    from roost_models.rollout.watching import gather

    to = next((known for known in PHASES if known == phase), None)
    if to is None:
        raise Misuse(f"{phase!r} is no phase.", f"The phases are {', '.join(PHASES)}.")
    log = lifecycle_of(centre)
    found_task, bundle = find(log.entries(), name, version, task)
    evidence = {}
    if report is not None:
        evidence[REPORT] = _accepted(report, bundle)
    if without_evaluation:
        evidence[WITHOUT] = without_evaluation
    in_use: list[str] = []
    if to == "retirement":
        heard = []
        if unheard:
            evidence["unheard"] = "the fleet was not asked"
        else:
            heard = asyncio.run(gather(source_of(broker, centre, models=True), listen))
        in_use = uses(bundle, _rollouts(centre), named_by(heard))
    entry = log.move(
        found_task,
        bundle,
        to,
        author=author_of(author),
        at_ms=time.time_ns() // 1_000_000,
        why=why,
        evidence=evidence,
        in_use=in_use,
    )
    if as_json:
        output.data(entry)
    else:
        output.say(f"{name} {version} is in {entry.phase}.")


def _accepted(path: Path, bundle: "BundleRef") -> str:
    """SHA-256 of a report that accepts this very bundle. Raises `Misuse`."""
    import hashlib

    from roost_models.assessment.report import parse

    data = path.read_bytes()
    found = parse(data)
    if found.candidate.digest != bundle.digest:
        raise Misuse(f"{path} is about another bundle.", "Evaluate this one: roost evaluate.")
    if not found.accepted:
        raise Misuse(f"The gate of {path} does not accept it.", "See why in the report, and make a better one.")
    return hashlib.sha256(data).hexdigest()


def _rollouts(centre: Path) -> "list[Rollout]":
    """Documents of all roll-outs that were begun here, as they were kept last."""
    book = book_of(centre)
    kept = [book.load(rollout_id) for rollout_id in book.ids()]
    return [progress.document() for progress in kept if progress.began]


def _moment(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000))

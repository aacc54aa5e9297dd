"""`roost rollout …`: bring a bundle to a fleet in steps, each with a gate behind it."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse
from roost_broker.stopping import told_to_stop
from roost_edge.cli import output
from roost_edge.cli.centre_options import DEFAULT_CENTRE, CentreFolder
from roost_edge.cli.output import EXIT_CODES, Json
from roost_edge.cli.rollout_options import (
    Author,
    Broker,
    PolicyFile,
    RolloutId,
    Why,
    author_of,
    book_of,
    conducting_of,
    documents_of,
    lifecycle_of,
    load,
    load_begun,
    policy_of,
    source_of,
)
from roost_edge.cli.rollout_ordering import order
from roost_edge.plurals import counted

if TYPE_CHECKING:
    from roost_models.rollout.progress import Progress

app = typer.Typer(no_args_is_help=True, help="Roll-outs: a bundle for a fleet, step by step.")

Effect = Annotated[float | None, typer.Option(min=0.001, max=0.5, help="The fall of an agreement that must show.")]
FalseHalt = Annotated[float | None, typer.Option(min=1e-6, max=0.49, help="Chance of halting a good bundle.")]
LeastDwell = Annotated[float | None, typer.Option(min=0.1, help="Seconds that every step lasts at least.")]
Settle = Annotated[float | None, typer.Option(min=0.1, help="Seconds for download, tests and warming.")]
Quiet = Annotated[float | None, typer.Option(min=0.1, help="Seconds without a report after which a device is quiet.")]
Canary = Annotated[float | None, typer.Option(min=0, max=1, help="Expected agreement with the canary.")]
Previous = Annotated[
    float | None, typer.Option("--agreement", min=0, max=1, help="Expected agreement with the previous bundle.")
]


@app.callback()
def group() -> None:
    """Roll-outs: a bundle for a fleet, step by step."""


@app.command(epilog=EXIT_CODES)
def plan(
    devices: Annotated[int, typer.Option(min=1, help="How many take part.")],
    requests_per_day: Annotated[float, typer.Option(min=0.01, help="Requests that one device has a day.")],
    report: Annotated[Path | None, typer.Option(help="Assessment report of the bundle: what to expect of it.")] = None,
    canary: Canary = None,
    agreement: Previous = None,
    effect: Effect = None,
    false_halt: FalseHalt = None,
    least_dwell: LeastDwell = None,
    settle: Settle = None,
    policy: PolicyFile = None,
    as_json: Json = False,
) -> None:
    """Show the steps of a roll-out, and do nothing.

    Also how long each must last, and what it can show.
    """
    from msgspec import structs, to_builtins

    from roost_edge.cli.rollout_view import plan_table, plan_words
    from roost_models.rollout import planning
    from roost_models.rollout.policy import Baseline

    wanted = policy_of(policy, effect=effect, false_halt=false_halt, min_dwell_s=least_dwell, settle_s=settle)
    expected = Baseline(canary=canary)
    if report is not None:
        from roost_models.assessment.report import parse
        from roost_models.rollout.baselines import of_report

        expected = of_report(parse(report.read_bytes()), str(report), canary=canary)
    if agreement is not None:
        expected = structs.replace(expected, previous=agreement)
    made = planning.make(wanted, expected, devices=devices, requests_per_day=requests_per_day)
    if as_json:
        output.data({**to_builtins(made), "durationS": made.duration_s, "everServed": made.ever_served})
        return
    print(plan_table(made))
    print()
    print(plan_words(made))


@app.command(epilog=EXIT_CODES)
def start(
    name: Annotated[str, typer.Argument(help="The bundle's name: the line that it replaces.")],
    version: Annotated[str, typer.Argument(help="Its version, as published.")],
    task: Annotated[str, typer.Option(help="Where several tasks have a bundle of that name.")] = "",
    tag: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only devices with this tag.")] = None,
    previous: Annotated[str, typer.Option(help="Version to go back to; without it, what was rolled out last.")] = "",
    devices: Annotated[int | None, typer.Option(min=1, help="How many take part; else those that report.")] = None,
    requests_per_day: Annotated[
        float | None, typer.Option(min=0.01, help="Requests that one device has a day; else as the devices report.")
    ] = None,
    listen: Annotated[float, typer.Option(min=0.1, help="Seconds in which devices are heard.")] = 3.0,
    canary: Canary = None,
    agreement: Previous = None,
    effect: Effect = None,
    false_halt: FalseHalt = None,
    least_dwell: LeastDwell = None,
    settle: Settle = None,
    quiet_after: Quiet = None,
    policy: PolicyFile = None,
    broker: Broker = "",
    author: Author = "",
    why: Why = "",
    watch_it: Annotated[bool, typer.Option("--watch", help="Go on with it: roost rollout watch.")] = False,
    centre: CentreFolder = DEFAULT_CENTRE,
    as_json: Json = False,
) -> None:
    """Plan for the devices that report; take step 1.

    The steps that follow are taken by `roost rollout watch`; while nobody watches, nothing moves.
    """
    from roost_broker.centre.layout import CentreLayout
    from roost_edge.cli import rollout_starting as starting
    from roost_edge.cli.rollout_view import facts, plan_table, plan_words
    from roost_models.rollout import planning
    from roost_models.rollout.actions import Command
    from roost_models.rollout.lifecycle_lookup import find
    from roost_models.rollout.progress import Order, Progress

    wanted = policy_of(
        policy,
        effect=effect,
        false_halt=false_halt,
        min_dwell_s=least_dwell,
        settle_s=settle,
        quiet_s=quiet_after,
    )
    log = lifecycle_of(centre)
    entries = log.entries()
    found_task, bundle = find(entries, name, version, task)
    if (phase := log.phase(bundle.digest)) not in ("preproduction", "post-production"):
        raise Misuse(f"{name} {version} is in {phase}.", "Only a bundle in preproduction or post-production can begin.")
    before = starting.previous_of(entries, documents_of(centre).rollout(found_task, name), bundle, found_task, previous)
    baseline, report = starting.baseline_of(CentreLayout(centre).reports, bundle, canary=canary, previous=agreement)
    if before is not None and baseline.previous is None:
        raise Misuse(
            f"Nobody knows how often {name} {version} is to agree with {before.version}, and so a bad one would pass.",
            "Evaluate it on 200 archived requests or more (roost evaluate), or say what you expect: --agreement 0.95.",
        )
    tags = starting.tags_of(tag or [])
    states = starting.fleet_reports(source_of(broker, centre), listen, found_task, name)
    nodes = starting.taking_part(states, tags)
    rate = requests_per_day or starting.requests_per_day(states, found_task, name, time.time_ns() // 1_000_000)
    if not nodes and devices is None:
        raise Misuse(
            f"No device reports a line of bundle {name} for task {found_task}.",
            "Start the devices, listen longer (--listen), or say how many there are: --devices.",
        )
    if rate is None:
        raise Misuse(
            "No device has said yet how many requests it has a day (they say so while they try a bundle).",
            "Say so: --requests-per-day 1000, for example.",
        )
    rollout_id = starting.new_id(bundle)
    made = planning.make(
        wanted,
        baseline,
        devices=devices or len(nodes),
        requests_per_day=rate,
        rollout_id=rollout_id,
        nodes=nodes if devices is None or devices <= len(nodes) else (),
    )
    who = author_of(author)
    wanted_order = Order(
        rollout_id=rollout_id,
        task=found_task,
        bundle=bundle,
        previous=before,
        tags=tags,
        plan=made,
        author=who,
        why=why,
        report=report,
    )
    book = book_of(centre)
    progress = Progress(order=wanted_order)
    with book.locked(rollout_id):
        book.save(progress)
        conducting = conducting_of(centre, progress, output.say)
        conducting.order(Command("start", who, why))
        if conducting.undone:
            raise Misuse(f"{rollout_id} could not be published.", "Mend what the line above says; then watch it.")
    if as_json and not watch_it:
        output.data(facts(conducting.controller.progress))
    elif not as_json:
        print(plan_table(made))
        print(f"\n{plan_words(made)}")
        print(f"\n{rollout_id} has begun. It goes on while somebody watches: roost rollout watch {rollout_id}")
    if watch_it:
        watch(rollout_id, broker=broker, centre=centre, as_json=as_json)


@app.command(epilog=EXIT_CODES)
def watch(
    rollout: RolloutId = "",
    broker: Broker = "",
    seconds: Annotated[float, typer.Option(min=0, help="Stop watching after so long; 0 = when it is over.")] = 0,
    centre: CentreFolder = DEFAULT_CENTRE,
    as_json: Json = False,
) -> None:
    """Go on with a roll-out, and show it until it is over.

    Ctrl-C stops watching, and then nothing moves. With --json one object a line. Status 0 when it is complete
    (or was not over yet), 1 when it was halted or aborted.
    """
    from roost_edge.cli.rollout_view import Shown
    from roost_models.rollout import watching

    book = book_of(centre)
    progress = load_begun(book, rollout)
    with book.locked(progress.order.rollout_id):
        shown = Shown(as_json=as_json)
        conducting = conducting_of(centre, book.load(progress.order.rollout_id), shown.say)

        async def follow() -> None:
            stop = told_to_stop(seconds)
            with shown as show:
                await watching.watch(conducting, source_of(broker, centre), stop, shown=show, say=shown.say)

        asyncio.run(follow())
    progress = conducting.controller.progress
    if progress.state == "aborted":
        output.say(f"{progress.order.rollout_id} is over: {progress.reason}")
        raise typer.Exit(output.NO)
    if progress.state == "complete":
        output.say(f"{progress.order.rollout_id} is complete.")


@app.command(epilog=EXIT_CODES)
def pause(
    rollout: RolloutId = "",
    author: Author = "",
    why: Why = "",
    centre: CentreFolder = DEFAULT_CENTRE,
    as_json: Json = False,
) -> None:
    """Take no further step for now; who has the bundle keeps it."""
    order(rollout, "pause", author, why, centre, as_json)


@app.command(epilog=EXIT_CODES)
def resume(
    rollout: RolloutId = "",
    author: Author = "",
    why: Why = "",
    centre: CentreFolder = DEFAULT_CENTRE,
    as_json: Json = False,
) -> None:
    """Go on after a pause; the step's time goes on where it was."""
    order(rollout, "resume", author, why, centre, as_json)


@app.command(epilog=EXIT_CODES)
def abort(
    rollout: RolloutId = "",
    author: Author = "",
    why: Why = "",
    centre: CentreFolder = DEFAULT_CENTRE,
    as_json: Json = False,
) -> None:
    """End a roll-out: every device goes back.

    It gets the previous bundle as soon as it looks at the registry.
    """
    order(rollout, "abort", author, why, centre, as_json)


@app.command(epilog=EXIT_CODES)
def status(rollout: RolloutId = "", centre: CentreFolder = DEFAULT_CENTRE, as_json: Json = False) -> None:
    """Show a roll-out as it was kept last, with its markers."""
    from roost_edge.cli.rollout_view import facts, plan_table

    book = book_of(centre)
    progress = load(book, rollout)
    markers = book.markers(progress.order.rollout_id)
    if as_json:
        output.data({**facts(progress), "markers": markers})
        return
    order = progress.order
    back = f", before it {order.previous.version}" if order.previous else ""
    print(f"{order.rollout_id}: {order.bundle.name} {order.bundle.version}{back} for {order.task}, by {order.author}")
    step = f"step {progress.step + 1} of {len(order.plan.steps)}"
    reason = f": {progress.reason}" if progress.reason else ""
    served = counted(len(progress.ever_served), "device was", "devices were")
    print(f"{progress.state}, {step}; {served} served by it{reason}")
    print()
    print(plan_table(order.plan))
    if markers:
        print()
        print(output.table([(_moment(marker.at_ms), marker.kind, marker.text) for marker in markers]))


@app.command("list", epilog=EXIT_CODES)
def list_all(centre: CentreFolder = DEFAULT_CENTRE, as_json: Json = False) -> None:
    """Show all roll-outs, the newest last."""
    from roost_edge.cli.rollout_view import facts

    book = book_of(centre)
    found = [book.load(rollout_id) for rollout_id in book.ids()]
    if as_json:
        output.data([facts(progress) for progress in found])
        return
    if not found:
        output.say("No roll-out yet.")
        return
    rows = [("rollout", "bundle", "state", "step", "since", "by")]
    rows += [_row(progress) for progress in found]
    print(output.table(rows))


def _row(progress: "Progress") -> tuple[str, str, str, str, str, str]:
    order = progress.order
    return (
        order.rollout_id,
        f"{order.bundle.name} {order.bundle.version}",
        progress.state,
        f"{progress.step + 1}/{len(order.plan.steps)}",
        _moment(progress.at_ms) if progress.at_ms else "–",
        order.author,
    )


def _moment(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000))

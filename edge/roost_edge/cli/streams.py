"""`roost streams`: who says what to whom on this device, and who listens without being declared."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.operator import DEFAULT_SETTINGS, SettingsFile
from roost_edge.cli.output import Json
from roost_edge.plurals import counted

if TYPE_CHECKING:
    from roost_rendezvous.analytics.features.streams import StreamReport


def streams(
    settings: SettingsFile = DEFAULT_SETTINGS,
    task: Annotated[str, typer.Option(help="Only the streams of this task.")] = "",
    user: Annotated[str, typer.Option(help="Only the streams that this role or program speaks or hears on.")] = "",
    log: Annotated[
        Path | None,
        typer.Option(help="Mosquitto's log (- for stdin): names whoever subscribed to more than he was given."),
    ] = None,
    dot: Annotated[bool, typer.Option("--dot", help="The graph for Graphviz, on stdout.")] = False,
    svg: Annotated[bool, typer.Option("--svg", help="The graph as a picture (SVG), on stdout.")] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Status 1 when somebody is not declared: a producer; with --log a reader, too."),
    ] = False,
    as_json: Json = False,
) -> None:
    """List every stream with its producers and consumers.

    A consumer is who the settings give the right to read: roles, and [mosquitto.programs]. The broker hands messages
    to nobody else (docs/broker.md). It grants every subscription, though; --log names those who asked for more:

    journalctl -u mosquitto | roost streams --log - --check
    """
    from roost_edge.broker_setup.stream_catalogue import catalogue
    from roost_edge.settings import loading
    from roost_rendezvous.analytics.features import drawing
    from roost_rendezvous.analytics.features.streams import read_log

    if dot + svg + as_json > 1:
        raise Misuse("--dot, --svg and --json are three forms of one thing.", "Give one of them.")
    device = loading.load(settings)
    if task and task not in device.tasks:
        raise Misuse(f"{settings} has no task {task!r}.", f"It has {', '.join(device.tasks) or 'none'}.")
    report = catalogue(device, read_log(_lines(log)) if log is not None else ())
    report = _narrowed(report, task, user)
    if dot or svg:
        print((drawing.dot if dot else drawing.svg)(report), end="")
    elif as_json:
        output.data(report)
    else:
        _say(report)
    if check or (log is not None and not report.seen):
        for line in what_was_checked(report, looked=log is not None):
            output.say(line)
    if check and report.findings:
        raise typer.Exit(output.NO)


def _lines(log: Path) -> list[str]:
    if str(log) == "-":
        import sys

        return sys.stdin.read().splitlines()
    return log.read_text(encoding="utf-8", errors="replace").splitlines()


def _narrowed(report: "StreamReport", task: str, user: str) -> "StreamReport":
    from msgspec import structs

    kept = tuple(
        stream
        for stream in report.streams
        if (not task or stream.task == task) and (not user or user in (*stream.producers, *stream.consumers))
    )
    if user and not kept:
        known = sorted({one for stream in report.streams for one in (*stream.producers, *stream.consumers)})
        raise Misuse(f"{user!r} speaks and hears nowhere.", f"There are {', '.join(known)}.")
    return structs.replace(report, streams=kept, variables=tuple(v for v in report.variables if task in ("", v.task)))


def _shown(users: tuple[str, ...], most: int = 4) -> str:
    more = f" and {len(users) - most + 1} more" if len(users) > most else ""
    return ", ".join(users[: most - 1] if more else users) + more or "-"


def what_was_checked(report: "StreamReport", *, looked: bool) -> list[str]:
    """What a check without a finding stands on, what it could not see, and what to do about that."""
    from roost_rendezvous.analytics.features.streams import IMPORTED

    outside = sum(stream.kind == IMPORTED for stream in report.streams)
    checked = [f"who feeds {counted(outside, 'stream')} from outside"] if outside else []
    checked += [f"who asked for {counted(report.seen, 'subscription')} in the log"] if report.seen else []
    lines = [f"Checked: {'; '.join(checked) or 'nothing, for no stream comes from outside'}."]
    if report.seen:
        return lines
    lines.append("Not checked: who asks for more than he was given. Only the broker's log knows.")
    if looked:
        lines.append("  → This log holds no subscription: set mosquitto.log_subscriptions, or `log_type subscribe`.")
    else:
        lines.append("  → journalctl -u mosquitto | roost streams --log - --check; or --log FILE, where it writes one.")
    return lines


def _say(report: "StreamReport") -> None:
    head = ("stream", "speaks", "listens")
    rows = [(stream.topic, _shown(stream.producers), _shown(stream.consumers)) for stream in report.streams]
    print(output.table([head, *rows]))
    if report.variables:
        print()
        named = [
            (one.name, one.task, one.source, ", ".join(one.producers) or "-", ", ".join(one.readers) or "-")
            for one in report.variables
        ]
        print(output.table([("variable", "task", "from", "said by", "read by"), *named]))
    lookers = sorted({user for stream in report.streams for user in stream.onlookers})
    print(f"\nMay hear everything by their office: {', '.join(lookers) or 'nobody'}.")
    for finding in report.findings:
        print(f"! {finding.about}: {finding.problem}")
        output.say(f"  → {finding.remedy}")
    if report.seen and not report.findings:
        print(f"{counted(report.seen, 'subscription')} in the log; everybody has the right to what he asked for.")

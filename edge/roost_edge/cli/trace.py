"""`roost trace`: what became of one request, step by step, as a picture in the terminal or for a trace viewer."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.output import Json

if TYPE_CHECKING:
    from roost_rendezvous.traces.knit import Knit
    from roost_rendezvous.traces.store import StoredTrace, TraceReader

_HEX = re.compile(r"[0-9a-f]{1,32}\Z")
_WIDEST = 160
_PIPE_WIDTH = 100


def trace(
    request: Annotated[
        str, typer.Argument(metavar="[ID]", help="A request's id or its beginning, or `last`; without it, a list.")
    ] = "",
    settings: Annotated[
        Path, typer.Option("--settings", "-s", envvar="ROOST_SETTINGS", help="The device's settings file.")
    ] = Path("roost.toml"),
    summary: Annotated[bool, typer.Option("--summary", help="Which models ran on after answers, by how long.")] = False,
    zipkin: Annotated[str, typer.Option(metavar="FILE", help="Write it as Zipkin v2 JSON; - for stdout.")] = "",
    otlp: Annotated[str, typer.Option(metavar="FILE", help="Write it as OTLP JSON; - for stdout.")] = "",
    task: Annotated[str, typer.Option(help="In the list: only this task.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="In the list: so many.")] = 20,
    width: Annotated[int, typer.Option(help="Width of the picture; 0: that of the terminal.")] = 0,
    as_json: Json = False,
) -> None:
    """Show what became of a request, step by step.

    Every component's steps stand on one time axis, with the moment of the answer.

    Reads what the role `monitor` keeps in the data folder, while it runs or not. Which requests are traced is the
    share in [traces]; in QA a request may also ask for it (`diagnostics.trace`).
    """
    from roost_edge.settings import loading
    from roost_rendezvous.traces.store import TraceReader

    device = loading.load(settings)
    if sum(map(bool, (as_json, zipkin == "-", otlp == "-"))) > 1:
        raise Misuse("Only one thing can go to stdout.", "Give --zipkin or --otlp a file.")
    if (zipkin or otlp) and (not request or summary):
        raise Misuse("An export is of one request.", "Name it: roost trace ID --zipkin FILE, or roost trace last …")
    reader = TraceReader(device.layout.traces)
    try:
        if summary:
            _summary(reader, as_json=as_json)
        elif not request:
            _list(reader, task, limit, as_json=as_json)
        else:
            _one(_found(reader, request, task), zipkin, otlp, width, as_json=as_json)
    finally:
        reader.close()


def _found(reader: "TraceReader", request: str, task: str) -> "StoredTrace":
    if request == "last":
        newest = reader.newest(1, task)
        if not newest:
            raise Misuse("No trace is kept yet.", "Wait for a request, and look at `share` in [traces].")
        return newest[0]
    wanted = request.lower()
    if not _HEX.match(wanted):
        raise Misuse(f"{request!r} is no request id.", "Give its 32 hex digits, their beginning, or `last`.")
    return reader.find(wanted)


def _one(stored: "StoredTrace", zipkin: str, otlp: str, width: int, *, as_json: bool) -> None:
    from roost_broker.version import VERSION
    from roost_rendezvous.traces import export
    from roost_rendezvous.traces.knit import knit
    from roost_rendezvous.traces.waterfall import COLOURS, PLAIN, render

    whole = knit(stored.request_id, stored.messages)
    if zipkin:
        _write(zipkin, export.zipkin(whole, stored.task), "Zipkin v2")
    if otlp:
        _write(otlp, export.otlp(whole, stored.task, VERSION), "OTLP")
    if as_json:
        output.data(_as_data(whole, stored))
    elif not (zipkin or otlp):
        terminal = sys.stdout.isatty()
        columns = width or (min(_WIDEST, shutil.get_terminal_size().columns) if terminal else _PIPE_WIDTH)
        print(render(whole, width=columns, task=stored.task, style=COLOURS if terminal else PLAIN, zone=None))


def _write(where: str, value: Any, what: str) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    if where == "-":
        sys.stdout.write(text)
        return
    Path(where).write_text(text, encoding="utf-8")
    output.say(f"{where}: {what}.")


def _as_data(whole: "Knit", stored: "StoredTrace") -> dict[str, Any]:
    """Times in milliseconds since the trace began."""
    return {
        "requestId": whole.request_id,
        "task": stored.task,
        "beganAt": whole.began_wall_ns // 1_000_000,
        "answeredMs": None if whole.answered_ns is None else whole.answered_ns / 1e6,
        "traceParent": whole.trace_parent,
        "result": whole.result,
        "models": [
            {
                "model": part.model,
                "version": part.version,
                "status": part.status,
                "reason": part.reason,
                "official": part.official,
                "ranOnMs": part.ran_on_ns / 1e6,
                "estimated": part.estimated,
            }
            for part in whole.parts
        ],
        "spans": [
            {
                "component": bar.component,
                "name": bar.name,
                "startMs": bar.start_ns / 1e6,
                "endMs": bar.end_ns / 1e6,
                "attributes": dict(bar.attributes),
                "byWallClock": bar.by_wall,
            }
            for bar in whole.bars
        ],
    }


def _list(reader: "TraceReader", task: str, limit: int, *, as_json: bool) -> None:
    from roost_rendezvous.traces.knit import knit
    from roost_rendezvous.traces.waterfall import duration, moment, outcome

    rows = [["request", "task", "began", "answer", "after", "ran on"]]
    listed = []
    for stored in reader.newest(limit, task):
        whole = knit(stored.request_id, stored.messages)
        late = [part for part in whole.parts if part.ran_on_ns]
        listed.append(_as_data(whole, stored) | {"spans": len(whole.bars)})
        rows.append(
            [
                stored.request_id,
                stored.task,
                moment(whole.began_wall_ns, None),
                outcome(whole.result),
                "" if whole.answered_ns is None else duration(whole.answered_ns),
                ", ".join(f"{part.model} {duration(part.ran_on_ns)}" for part in late),
            ]
        )
    if as_json:
        output.data(listed)
    elif listed:
        print(output.table(rows))
    else:
        output.say("No trace is kept yet.")


def _summary(reader: "TraceReader", *, as_json: bool) -> None:
    from roost_rendezvous.traces.waterfall import duration, moment

    requests, size, oldest = reader.count()
    totals = reader.ran_on()
    if as_json:
        output.data(
            {
                "requests": requests,
                "bytes": size,
                "oldestAt": oldest,
                "ranOn": [
                    {
                        "task": one.task,
                        "model": one.model,
                        "requests": one.requests,
                        "seconds": one.total_ns / 1e9,
                        "longestMs": one.longest_ns / 1e6,
                    }
                    for one in totals
                ],
            }
        )
        return
    since = f", the oldest of {moment(oldest * 1_000_000, None)}" if requests else ""
    print(f"{requests} traced requests are kept, {size / 1e6:.1f} MB{since}.")
    if not totals:
        print("No model is known to have gone on computing after an answer was given.")
        return
    print("Computing after the answer was given (in this time, traced or not):")
    rows = [["task", "model", "requests", "seconds", "longest"]]
    rows += [
        [one.task, one.model, str(one.requests), f"{one.total_ns / 1e9:.3f}", duration(one.longest_ns)]
        for one in totals
    ]
    print(output.table(rows, indent="  "))

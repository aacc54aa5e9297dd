"""`roost label …`: the review queue, and the page on which people work through it."""

import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from roost_broker.errors import Misuse
from roost_broker.stopping import told_to_stop
from roost_edge.cli import label_entries, label_transfer, output
from roost_edge.cli.label_desk import Alarms, Canary, Labels, Most, Near, Since, open_desk
from roost_edge.cli.label_options import (
    DEFAULT_CENTRE,
    Archive,
    Author,
    CentreFolder,
    Task,
    author_or_user,
    time_of,
)
from roost_edge.cli.output import EXIT_CODES, Json

app = typer.Typer(no_args_is_help=True, help="What pictures show, by people: ask, label, correct, import.")
app.command("add", epilog=EXIT_CODES)(label_entries.add)
app.command("history", epilog=EXIT_CODES)(label_entries.history)
app.command("status", epilog=EXIT_CODES)(label_entries.status)
app.command("import", epilog=EXIT_CODES)(label_transfer.import_)
app.command("export", epilog=EXIT_CODES)(label_transfer.export)


@app.callback()
def group() -> None:
    """What pictures show, by people: ask, label, correct, import."""


@app.command(epilog=EXIT_CODES)
def queue(
    centre: CentreFolder = DEFAULT_CENTRE,
    task: Task = "",
    archive: Archive = None,
    author: Author = "",
    canary: Canary = "canary",
    alarm: Alarms = None,
    near: Near = 5.0,
    most: Most = 20,
    since: Since = "",
    as_json: Json = False,
) -> None:
    """Show which pictures to label first, and why.

    First comes what teaches most: a suggestion or a disagreement of people, an answer the canary disagrees with, models
    that disagree, a close call, a rare label, a default. What is judged already is left out, and so is what looks the
    same as a better one.
    """
    with ExitStack() as inside:
        desk = open_desk(
            inside,
            centre,
            archive,
            task,
            labels=None,
            canary=canary,
            alarms=alarm,
            near=near,
            most=most,
            since=since,
        )
        found = desk.queue(author_or_user(author))
    if as_json:
        from roost_models.labels.page.wire import counts_of, question

        output.data(
            {"task": desk.task, "counts": counts_of(found), "questions": [question(one) for one in found.questions]}
        )
        return
    if found.questions:
        rows = [["points", "picture", "device", "time", "answer", "why"]]
        for one in found.questions:
            case = one.candidate
            why = "; ".join(reason.text for reason in one.whys)
            rows.append(
                [f"{one.points:.1f}", case.picture[:12], case.node, time_of(case.at_ms), case.official or "–", why]
            )
        print(output.table(rows))
    output.say(
        f"{len(found.questions)} to ask, {found.left} more behind them; of {found.looked_at} pictures {found.judged} "
        f"are judged, {found.thinned} look like a better one, {found.dull} would teach nothing, {found.gone} are gone."
    )


@app.command(epilog=EXIT_CODES)
def serve(
    centre: CentreFolder = DEFAULT_CENTRE,
    task: Task = "",
    archive: Archive = None,
    label: Labels = None,
    canary: Canary = "canary",
    alarm: Alarms = None,
    near: Near = 5.0,
    most: Most = 300,
    since: Since = "",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where to listen; 0 takes any free port.")] = 8480,
    host: Annotated[str, typer.Option(help="Anything but this machine needs TLS and tokens.")] = "127.0.0.1",
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
    tokens: Annotated[
        Path | None, typer.Option(help="Who may label: lines of an author and a token; readable by nobody else.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Serve the page on which people label.

    Keyboard first, pictures large, what teaches most in front.

    Prints its address, and works until Ctrl-C.
    """
    from roost_models.labels.page.access import Access, read_tokens, tls_context
    from roost_models.labels.page.server import LabelPage

    if (tls_cert is None) != (tls_key is None):
        raise Misuse("A certificate and its key belong together.", "Give both --tls-cert and --tls-key.")
    tls = tls_context(tls_cert, tls_key) if tls_cert is not None and tls_key is not None else None
    access = Access(host, tls, read_tokens(tokens) if tokens is not None else None)
    with ExitStack() as inside:
        desk = open_desk(
            inside,
            centre,
            archive,
            task,
            labels=label,
            canary=canary,
            alarms=alarm,
            near=near,
            most=most,
            since=since,
        )
        asyncio.run(_serve(LabelPage(desk, access, port=port), access.host, tls=tls is not None, as_json=as_json))


async def _serve(page: Any, host: str, *, tls: bool, as_json: bool) -> None:
    stop = told_to_stop()
    port = await page.start()
    address = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"
    if as_json:
        output.data({"url": address})
    else:
        print(address)
    sys.stdout.flush()  # whoever started it waits for the address
    output.say("Open this address in a browser; Ctrl-C ends the page.")
    await page.serve(stop)

"""`roost centre`: streams, archive and their exact replay."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.centre_options import DEFAULT_CENTRE, CentreFolder, age, amount, moment, settings_of
from roost_edge.cli.output import EXIT_CODES, Json
from roost_edge.cli.reporter import reporting
from roost_edge.logs import one_complaint
from roost_edge.plurals import counted

if TYPE_CHECKING:
    from roost_broker.centre.applying import StreamStatus
    from roost_broker.centre.streams import Step
    from roost_broker.settings import BrokerSettings
    from roost_models.central.overview import Overview
    from roost_models.central.replaying import Replayed
    from roost_models.central.view import Choice

app = typer.Typer(
    help="The centre: streams, archive, exact replay.",
    no_args_is_help=True,
    epilog=EXIT_CODES,
)


@app.command(epilog=EXIT_CODES)
def up(
    centre: CentreFolder = DEFAULT_CENTRE,
    seconds: Annotated[float, typer.Option(min=0, help="Stop after so long; 0 = at Ctrl-C.")] = 0,
    as_json: Json = False,
) -> None:
    """Run the centre in the foreground: server, streams, archive.

    Begins the folder (with a commented centre.toml) where there is none, starts a NATS server or uses those that
    [nats] names, makes the streams as centre.toml says, and archives what comes until Ctrl-C. Nothing is deleted that
    centre.toml did not ask for; killed at any moment it goes on where it was.
    """
    from roost_edge.centre_service import CentreService

    service = CentreService(centre, say=output.say)
    status = service.run(seconds)
    if as_json:
        output.data(status)


@app.command(epilog=EXIT_CODES)
def apply(
    centre: CentreFolder = DEFAULT_CENTRE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    shrink: Annotated[bool, typer.Option("--shrink", help="Also do what throws messages away.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Archive all that the streams hold again: after a restore of the archive.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make the streams as centre.toml says, and say what changed.

    Twice is as good as once. What would throw messages away (a smaller bound, fewer copies) is refused without
    --shrink: then the status is 1.
    """
    from roost_broker.centre import applying
    from roost_broker.centre.access import connect, hang_up
    from roost_broker.centre.streams import plans

    settings = settings_of(centre)

    async def work() -> "tuple[Step, ...]":
        client = await connect(settings.access, name="roost-centre-apply")
        try:
            if again and not dry_run:
                await applying.forget_readers(client, plans(settings.streams))
            return await applying.apply(client, plans(settings.streams), shrink=shrink, dry_run=dry_run)
        finally:
            await hang_up(client)

    steps = asyncio.run(work())
    if as_json:
        output.data({"dryRun": dry_run, "streams": steps})
    else:
        print(steps_table(steps))
    raise typer.Exit(output.NO if any(step.refused for step in steps) else output.OK)


def steps_table(steps: "tuple[Step, ...]") -> str:
    """What was done, or would be, one stream a line."""
    rows = [["stream", "", "changes"]]
    for step in steps:
        changes = [f"{name}: {before} → {after}" for name, (before, after) in step.changes.items()]
        changes += [f"consumer {name}: made" for name in step.durables if step.what != "created"]
        if step.refused:
            changes.append("(--shrink does it)")
        rows.append([step.stream, step.what, "; ".join(changes) or "-"])
    return output.table(rows)


@app.command(epilog=EXIT_CODES)
def status(
    centre: CentreFolder = DEFAULT_CENTRE,
    verify: Annotated[bool, typer.Option("--verify", help="Also compare every file with its digest.")] = False,
    as_json: Json = False,
) -> None:
    """Show streams, what the archive lacks of them, and its days.

    Status 1 when the streams do not answer, a replica is behind, or (--verify) a file is damaged.
    """
    from roost_broker.centre.layout import CentreLayout
    from roost_broker.errors import PeerError
    from roost_models.central.overview import overview

    settings = settings_of(centre)
    problem = ""
    streams: tuple[StreamStatus, ...] = ()
    frames = 0
    archive = overview(CentreLayout(centre).archive)
    try:
        streams, frames = asyncio.run(_stream_status(settings, archive.frames_read))
    except PeerError as error:
        problem = str(error)
    if verify:
        from roost_models.central.reading import CentralArchive

        CentralArchive(CentreLayout(centre).archive).verify()
    if as_json:
        output.data({"streams": streams, "framesToArchive": frames, "archive": archive, "problem": problem})
    else:
        _print_status(streams, frames, archive)
        if problem:
            output.say(problem)
    behind = any(one.replicas_behind for one in streams)
    raise typer.Exit(output.NO if problem or behind else output.OK)


async def _stream_status(settings: Any, frames_read: int) -> "tuple[tuple[StreamStatus, ...], int]":
    """The streams, and how many frames the archive has not fetched yet."""
    from roost_broker.centre import applying
    from roost_broker.centre.access import connect, hang_up
    from roost_broker.centre.streams import FRAMES_META, FRAMES_STREAM, plans

    client = await connect(settings.access, name="roost-centre-status")
    try:
        found = await applying.status(client, [plan.name for plan in plans(settings.streams)])
        return found, await applying.behind(client, FRAMES_STREAM, FRAMES_META, frames_read)
    finally:
        await hang_up(client)


def _print_status(streams: "tuple[StreamStatus, ...]", frames: int, archive: "Overview") -> None:
    import time

    from roost_broker.centre.streams import FRAMES_STREAM

    rows = [["stream", "messages", "bytes", "full", "oldest", "copies", "to archive"]]
    for one in streams:
        behind = f" ({one.replicas_behind} behind)" if one.replicas_behind else ""
        oldest = "-" if one.first_ms is None else age(int(time.time() * 1000) - one.first_ms)
        lag = sum(reader.waiting + reader.unacknowledged for reader in one.consumers)
        full = f"{100 * one.bytes / max(1, one.max_bytes):.0f} %"
        copies = f"{one.replicas}{behind}"
        waiting = str(lag) if one.consumers else str(frames) if one.name == FRAMES_STREAM else "-"
        rows.append([one.name, str(one.messages), amount(one.bytes), full, oldest, copies, waiting])
    if streams:
        print(output.table(rows))
        print()
    days = [["day", "task", "messages", "files", "bytes"]]
    days += [
        [one.day, one.task, str(one.messages), str(one.files) if one.files else "not closed", amount(one.bytes)]
        for one in archive.days
    ]
    print(output.table(days) if archive.days else "The archive is empty.")
    pictures, refused = counted(archive.frames, "frame"), counted(archive.refused, "message")
    print(f"{pictures}, {amount(archive.frame_bytes)}; {refused} refused.")


@app.command(epilog=EXIT_CODES)
def replay(
    into: Annotated[str, typer.Option(help="The broker to say it to: mqtt://HOST:PORT.")],
    begin: Annotated[str, typer.Option("--from", help="From this moment: 2026-11-20T10:30, or 2h (ago).")] = "",
    until: Annotated[str, typer.Option("--to", help="Until this moment, excluded.")] = "",
    centre: CentreFolder = DEFAULT_CENTRE,
    task: Annotated[str, typer.Option(help="Only this task; `_device` for what concerns whole devices.")] = "",
    node: Annotated[str, typer.Option(help="Only these devices, separated by commas.")] = "",
    lane: Annotated[str, typer.Option(help="Only these lanes, separated by commas: inputs, scores, results …")] = "",
    speed: Annotated[str, typer.Option(help="max, or how many times as fast as it was: 1, 10 …")] = "max",
    as_node: Annotated[str, typer.Option("--as", metavar="NODE", help="Say everything as this device.")] = "",
    as_json: Json = False,
) -> None:
    """Say a period of the archive again, byte for byte.

    The same topics and payloads, in the original order. Any broker will do, a developer's for instance. It sets the
    pace: no more waits there than it takes. Times are those at which the devices received the messages (UTC unless an
    offset is given).
    """
    from roost_broker.centre.lanes import lane_named
    from roost_broker.centre.layout import CentreLayout
    from roost_models.central.reading import CentralArchive
    from roost_models.central.view import Choice

    settings = settings_of(centre)
    broker = _broker(into, settings.base)
    choice = Choice(
        from_ms=moment(begin, "--from"),
        until_ms=moment(until, "--to"),
        task=task or None,
        lanes=frozenset(lane_named(name.strip()).name for name in lane.split(",") if name.strip()),
        nodes=frozenset(name.strip() for name in node.split(",") if name.strip()),
    )
    with CentralArchive(CentreLayout(centre).archive) as archive:
        done = asyncio.run(_replay(archive, choice, broker, _speed(speed), as_node))
    if as_json:
        output.data(done)
    else:
        said = counted(done.messages, "message")
        print(f"{said}, {amount(done.bytes)}, in {done.seconds:g} s ({done.per_second:g}/s).")
    if not done.messages:
        output.say("The archive holds nothing of that choice (--from, --to, --task, --node, --lane).")
        output.say("  → Choose more; roost centre status shows the days and tasks that are archived.")
    raise typer.Exit(output.OK if done.messages else output.NO)


async def _replay(archive: Any, choice: "Choice", broker: "BrokerSettings", speed: float, as_node: str) -> "Replayed":
    import os

    from roost_broker.mqtt import MqttBus
    from roost_edge.cli.operator import NoBroker
    from roost_models.central.replaying import replay_into

    bus = MqttBus(broker, f"roost-replay-{os.getpid()}")
    try:
        with one_complaint():
            async with asyncio.timeout(broker.connect_timeout_s):
                await bus.start()
    except TimeoutError as error:
        await bus.stop()
        raise NoBroker(f"No broker answers at {broker.host}:{broker.port}.", "Start it, or correct --into.") from error
    try:
        with reporting("Replaying") as report:
            total = archive.count(choice)
            return await replay_into(
                archive.timeline(choice),
                bus,
                base=broker.base,
                as_node=as_node,
                speed=speed,
                progress=lambda done: report.progress(done, total),
            )
    finally:
        await bus.stop(forget=True)


def _broker(text: str, base: str) -> "BrokerSettings":
    from urllib.parse import urlsplit

    from roost_broker.settings import BrokerSettings

    parts = urlsplit(text if "//" in text else f"mqtt://{text}")
    try:
        port = parts.port or 1883
    except ValueError:
        port = 0
    if parts.scheme != "mqtt" or not parts.hostname or not port:
        raise Misuse(f"--into {text!r} is no broker.", "For example mqtt://127.0.0.1:1883.")
    return BrokerSettings(host=parts.hostname, port=port, base=base, session_expiry_s=0)


def _speed(text: str) -> float:
    if text == "max":
        return 0
    try:
        speed = float(text)
    except ValueError:
        speed = 0
    if not 0 < speed <= 1_000_000:
        raise Misuse(f"--speed {text!r} is no speed.", "Use max, or a number above 0: 1 is as it was, 10 ten times.")
    return speed

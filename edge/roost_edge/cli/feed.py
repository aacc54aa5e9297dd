"""`roost feed`: the public feed, looked at and helped along by hand."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roost_broker.errors import Misuse, RoostError
from roost_edge.cli import feed_practise, output
from roost_edge.cli.feed_device import DEFAULT, File, feed_of, opened, runs
from roost_edge.cli.output import EXIT_CODES, Json

if TYPE_CHECKING:
    from roost_edge.feed.places import Places
    from roost_edge.feed.rows import Row

app = typer.Typer(no_args_is_help=True, help="The public feed: posts, their budget, and what people answered.")
app.command("keys", epilog=EXIT_CODES)(feed_practise.keys)
app.command("practise", epilog=EXIT_CODES)(feed_practise.practise)


@app.callback()
def group() -> None:
    """The public feed: posts, their budget, and what people answered."""


@app.command(epilog=EXIT_CODES)
def check(
    settings: File = DEFAULT,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the service whose account it is.")] = False,
    as_json: Json = False,
) -> None:
    """Say whether the feed could post now, and why not.

    Looks at the file of keys and who may read it, asks the service whose account they are for, and tells budget and
    queue. Status 1 when keys are there and cannot be used; a dry run is no fault.
    """
    from roost_broker.clock import SystemClock
    from roost_edge.feed.opening import Opening
    from roost_edge.feed.telling import told

    device, feed, places = feed_of(settings)
    clock = SystemClock()
    opening = Opening(feed, places.folder, clock)
    dry, account = opening.why_dry(), ""
    problem: RoostError | None = None
    if not dry and not offline:
        try:
            account = opening.service().account()
        except RoostError as error:
            problem = error
    stands = told(places.store, feed, clock)
    running = runs(device)
    if as_json:
        found: dict[str, Any] = {
            "ok": problem is None,
            "mode": "dry-run" if dry else "service",
            "why": dry,
            "account": account,
        }
        found |= {"problem": problem.problem, "remedy": problem.remedy} if problem else {}
        found |= {"budget": {"leftToday": stands.left_today, "leftThisMonth": stands.left_this_month}}
        found |= {"waiting": len(stands.waiting), "pausedS": round(stands.paused_s), "whyPaused": stands.why_paused}
        output.data({**found, "running": running, "site": str(places.site) if feed.site else ""})
    else:
        where = f"dry run: {dry}" if dry else f"posts go to {account or feed.base_url or 'the service'}"
        rows = [
            ["mode", where],
            ["budget", f"{stands.left_today} today, {stands.left_this_month} in 31 days"],
            ["waiting", str(len(stands.waiting))],
            *([["paused", f"{stands.paused_s:.0f} s more: {stands.why_paused}"]] if stands.paused_s else []),
            ["site", str(places.site) if feed.site else "not written"],
            ["role", "runs" if running else "does not run (roost up, or roost run feed)"],
        ]
        print(output.table(rows))
    if problem is not None:
        raise problem


@app.command(epilog=EXIT_CODES)
def preview(
    settings: File = DEFAULT,
    score: Annotated[list[str] | None, typer.Option(help='Such as "blue jay=0.93"; several, best first.')] = None,
    camera: Annotated[str, typer.Option(help="Which camera it would have seen.")] = "",
    picture: Annotated[Path | None, typer.Option(help="A picture, made ready as it would be posted.")] = None,
    to: Annotated[Path | None, typer.Option("--output", "-o", help="Write that picture here.")] = None,
    as_json: Json = False,
) -> None:
    """Show a post as it would be, and post nothing.

    With --score the words that the settings would make of these scores, else the newest post that was made.
    """
    from roost_broker.clock import MS, SystemClock
    from roost_edge.feed.picture import clean
    from roost_edge.feed.telling import told
    from roost_edge.feed.wording import MAX_WEIGHT, weight, words

    device, feed, places = feed_of(settings)
    clock = SystemClock()
    if score:
        best = [_score(one) for one in score]
        name = camera or next(iter(device.cameras), "camera")
        task = device.cameras[name].task if name in device.cameras else next(iter(device.tasks), "task")
        now_ms = clock.wall_ns() // MS
        said = words(feed.text, best, camera=name, task=task, node=device.node.name, at_ms=now_ms, zone=None)
        text, alt = said.text, said.alt
    else:
        newest = told(places.store, feed, clock).newest
        if not newest:
            raise Misuse("No post was made yet.", 'Try words with scores: --score "blue jay=0.93" --score "hen=0.05".')
        text, alt = newest[0].text, newest[0].alt
    found: dict[str, Any] = {"text": text, "alt": alt, "weight": weight(text), "most": MAX_WEIGHT}
    if picture is not None:
        data = clean(picture.read_bytes(), side=feed.max_side, max_bytes=feed.max_picture_bytes)
        found["pictureBytes"] = len(data)
        if to is not None:
            to.write_bytes(data)
    if as_json:
        output.data(found)
    else:
        print(text)
        output.say(f"\n{found['weight']} of {MAX_WEIGHT} characters. For those who do not see the picture: {alt}")


@app.command(epilog=EXIT_CODES)
def queue(
    settings: File = DEFAULT,
    drop: Annotated[str, typer.Option(metavar="NUMBER", help="Take this post out; `all`: every one.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also what was posted or dropped.")] = False,
    as_json: Json = False,
) -> None:
    """List the posts that wait, or take them out.

    What is taken out stays on the page and in the Atom feed.
    """
    from roost_broker.clock import SystemClock
    from roost_edge.feed.telling import told

    _, feed, places = feed_of(settings)
    if drop:
        _drop(places, drop)
    stands = told(places.store, feed, SystemClock())
    rows = stands.newest if everything else stands.waiting
    if as_json:
        output.data({"posts": [_said(row) for row in rows], "pausedS": round(stands.paused_s)})
    elif rows:
        cells = [[str(row.seq), _age(row.age_s), _state(row), _line(row), row.reason] for row in rows]
        print(output.table([["no.", "age", "state", "text", "why"], *cells]))
    else:
        print("Nothing waits.")


@app.command(epilog=EXIT_CODES)
def post(
    settings: File = DEFAULT,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the pause after a failure to end.")] = False,
    as_json: Json = False,
) -> None:
    """Send what waits, as far as the budget allows.

    A running feed is asked to; where none runs, this command does it. Without --now a pause that the service asked for
    is kept. Status 1 when something still waits afterwards.
    """
    from collections import Counter

    from roost_broker.clock import SystemClock
    from roost_edge.feed.delivering import Deliverer
    from roost_edge.feed.opening import Opening
    from roost_edge.feed.outgoing import NOW
    from roost_edge.processes.own_process import only_one

    device, feed, places = feed_of(settings)
    if runs(device):
        with opened(places) as store:
            store.keep(**({NOW: "1"} if now else {}))
            waiting = len(store)
        output.say(f"The running feed was asked to send what waits ({waiting}). See: roost feed queue.")
        if as_json:
            output.data({"asked": True, "waiting": waiting})
        return
    counts: Counter[str] = Counter()
    clock = SystemClock()
    with only_one(device.layout.session("feed.lock")), opened(places) as store:
        if now:
            store.no_pause()
        deliverer = Deliverer(store, Opening(feed, places.folder, clock).service, feed, clock, counts)
        deliverer.expire()
        while deliverer.one():
            output.say(f"{len(store)} left")
        waiting, reason = len(store), store.paused()[1]
        why = reason or deliverer.standing(paid=True).why
    if as_json:
        output.data({"asked": False, "waiting": waiting, "why": why if waiting else "", "counts": counts})
    else:
        print(", ".join(f"{name} {count}" for name, count in counts.items()) or "Nothing was sent.")
    if waiting:
        output.say(f"{waiting} still wait: {why or 'see roost feed queue'}.")
        raise typer.Exit(output.NO)


@app.command(epilog=EXIT_CODES)
def replies(
    settings: File = DEFAULT,
    fetch: Annotated[bool, typer.Option("--fetch", help="Ask the service now; many accounts pay for it.")] = False,
    to: Annotated[Path | None, typer.Option("--output", "-o", help="Suggestions as lines (.jsonl).")] = None,
    task: Annotated[str, typer.Option(help="Only answers to posts of this task.")] = "",
    as_json: Json = False,
) -> None:
    """List what people answered, and what it suggests.

    A running feed puts the suggestions on the broker by itself, and the gateway carries them to the centre. Without a
    gateway: --output FILE here, `roost label import FILE --task TASK` there.
    """
    from roost_broker.clock import SystemClock
    from roost_edge.feed.opening import Opening
    from roost_edge.feed.replies import ReplyBook

    device, feed, places = feed_of(settings)
    clock = SystemClock()
    with opened(places) as store:
        book = ReplyBook(store, device.topics, (*feed.labels, *feed.quiet_labels), clock)
        if fetch:
            fresh, _ = book.fetch(Opening(feed, places.folder, clock).service())
            output.say(f"{fresh} new answers.")
        topic = device.task_topics(task).suggestions if task else ""
        kept = [one for one in book.kept() if not topic or one.topic == topic]
    lines = [one.message for one in kept if one.message]
    if to is not None:
        to.write_bytes(b"".join(line + b"\n" for line in reversed(lines)))
        output.say(f"{len(lines)} suggestions are in {to}.")
    shown = [{"author": one.author, "text": one.text, **_suggests(one.message), "why": one.why} for one in kept]
    if as_json:
        output.data({"replies": shown})
    elif shown:
        cells = [[f"@{one['author']}", one["label"] or f"– ({one['why']})", one["text"]] for one in shown]
        print(output.table([["who", "suggests", "said"], *cells]))
    else:
        print("Nobody has answered yet.")


# -- what the commands share -----------------------------------------------------------------------------------------


def _drop(places: "Places", which: str) -> None:
    with opened(places) as store:
        found = [row.seq for row in store.waiting() if which in ("all", str(row.seq))]
        if not found and which != "all":
            raise Misuse(f"No post with the number {which} waits.", "See: roost feed queue.")
        for seq in found:
            store.drop(seq, "taken out by hand")
        output.say(f"{len(found)} taken out.")


def _score(text: str) -> tuple[str, float]:
    label, mark, value = text.rpartition("=")
    try:
        score = float(value)
    except ValueError:
        score = -1.0
    if not mark or not label or not 0 <= score <= 1:
        raise Misuse(f"{text!r} is no label with its score.", 'Write it like "blue jay=0.93".')
    return label, score


def _said(row: "Row") -> dict[str, Any]:
    found = {"number": row.seq, "requestId": row.request_id, "task": row.task, "camera": row.camera}
    found |= {"label": row.label, "text": row.text, "state": row.state, "mode": row.mode, "why": row.reason}
    return found | {"serviceId": row.service_id, "attempts": row.attempts, "ageS": round(row.age_s), "at": row.at_ms}


def _state(row: "Row") -> str:
    return f"{row.state} ({row.mode})" if row.mode == "dry-run" else row.state


def _line(row: "Row") -> str:
    return " · ".join(row.text.splitlines())[:70]


def _age(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _suggests(message: bytes) -> dict[str, str]:
    said = json.loads(message) if message else {}
    return {"label": str(said.get("label", ""))}

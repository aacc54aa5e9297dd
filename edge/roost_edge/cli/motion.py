"""`roost motion`: why there was, or was not, an event at some time."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.output import EXIT_CODES, Json

if TYPE_CHECKING:
    from roost_edge.motion.why import Interval
    from roost_edge.settings.device import Settings

app = typer.Typer(no_args_is_help=True, help="Motion: why there was no event.")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?\Z")


@app.callback()
def _group() -> None:
    """Keep `why` a command of its own."""


@app.command(epilog=EXIT_CODES)
def why(
    at: Annotated[str, typer.Option(metavar="TIME", help="HH:MM[:SS], the last such time; or 2026-05-04T14:03.")],
    settings: Annotated[
        Path, typer.Option("--settings", "-s", envvar="ROOST_SETTINGS", help="The device's settings file.")
    ] = Path("roost.toml"),
    camera: Annotated[str, typer.Option(help="Which camera, where there are several.")] = "",
    around: Annotated[int, typer.Option(min=1, max=86_400, metavar="SECONDS", help="So much before and after.")] = 60,
    as_json: Json = False,
) -> None:
    """Say why there was no event at some time.

    Every frame that the camera's role looked at got a reason; this reads what it kept of them, while it runs or not:
    roost motion why --camera nest --at 14:03. Times are local ones.
    """
    from roost_edge.motion.why import EXPLAINED, read
    from roost_edge.settings.loading import load

    device = load(settings)
    name = only_camera(device, camera)
    moment = when(at, datetime.now().astimezone())
    middle = round(moment.timestamp() * 1000)
    found = read(device.layout.motion_log(name), middle - around * 1000, middle + around * 1000)
    if as_json:
        output.data({"camera": name, "at": moment.isoformat(), "intervals": [_as_data(one) for one in found]})
        return
    if not found:
        output.say(f"Nothing was looked at by {name} within {around} s of {moment:%Y-%m-%d %H:%M:%S}.")
        output.say("  → The role capture did not run then, or the log no longer reaches back so far (why_keep).")
        raise typer.Exit(output.NO)
    print(verdict(name, moment, found))
    rows = [["from", "frames", "reasons", "largest that was no motion"]]
    for one in found:
        reasons = ", ".join(f"{reason} {count}" for reason, count in one.frames.most_common())
        largest = f"{100 * one.largest:.2f} % of the picture ({one.largest_reason})" if one.largest else ""
        start = datetime.fromtimestamp(one.start_ms / 1000).astimezone()
        rows.append([f"{start:%H:%M:%S}", str(one.frames.total()), reasons, largest])
    print(output.table(rows))
    seen = {reason for one in found for reason in one.frames}
    print("\n" + output.table([[name, meaning] for name, meaning in EXPLAINED.items() if name in seen]))


def when(text: str, now: datetime) -> datetime:
    """The time that is meant: a time of day is the last such time before `now`."""
    if match := _TIME.match(text):
        hour, minute, second = (int(part or 0) for part in match.groups())
        try:
            moment = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
        except ValueError as error:
            raise Misuse(f"{text!r} is no time of day.", "Give HH:MM or HH:MM:SS.") from error
        return moment if moment <= now else moment - timedelta(days=1)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misuse(f"{text!r} is no time.", "Give 14:03, 14:03:20 or 2026-05-04T14:03.") from error
    return moment if moment.tzinfo else moment.astimezone()


def verdict(camera: str, moment: datetime, found: "list[Interval]") -> str:
    """One sentence for people."""
    total = sum((one.frames for one in found[1:]), found[0].frames.copy())
    if total["motion"]:
        return f"{camera} saw motion in {total['motion']} of {total.total()} frames around {moment:%H:%M:%S}."
    reasons = [(reason, count) for reason, count in total.most_common() if reason != "quiet"]
    if not reasons:
        return f"{camera} looked at {total.total()} frames around {moment:%H:%M:%S}, and nothing changed in any."
    named = ", ".join(f"{count} × {reason}" for reason, count in reasons)
    return f"{camera} saw no motion in {total.total()} frames around {moment:%H:%M:%S}: {named}."


def only_camera(device: "Settings", name: str) -> str:
    """The camera that is meant; the only one needs no name."""
    names = list(device.cameras)
    if not name and len(names) == 1:
        return names[0]
    if name not in device.cameras:
        raise Misuse(
            f"There is no camera {name!r}." if name else "The settings have several cameras.",
            f"Name one with --camera: {', '.join(names) or 'there is none in the settings'}.",
        )
    return name


def _as_data(one: "Interval") -> dict[str, object]:
    return {
        "startAt": one.start_ms,
        "endAt": one.end_ms,
        "frames": dict(one.frames),
        "largestRejected": one.largest,
        "largestReason": one.largest_reason,
    }

"""`roost tune`: which motion settings suit a camera, from a film of it and a list of what is to be seen in it."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.output import Json

if TYPE_CHECKING:
    from roost_edge.motion.score import Score
    from roost_edge.motion.settings import MotionSettings
    from roost_edge.sources.frame import Image


def tune(
    clip: Annotated[Path, typer.Option("--clip", metavar="FILM", help="A film of this camera, some minutes long.")],
    truth: Annotated[Path, typer.Option("--truth", metavar="CSV", help="Lines of start,end: when something is there.")],
    settings: Annotated[
        Path, typer.Option("--settings", "-s", envvar="ROOST_SETTINGS", help="The device's settings file.")
    ] = Path("roost.toml"),
    camera: Annotated[str, typer.Option(help="Which camera, where there are several.")] = "",
    picture: Annotated[Path | None, typer.Option(metavar="SVG", help="Draw what was tried, for a browser.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write what is best into the settings file.")] = False,
    fps: Annotated[float, typer.Option(min=0.1, max=120, help="Look at so many frames a second of film.")] = 10,
    as_json: Json = False,
) -> None:
    """Find the motion settings that suit a camera.

    Runs the detector over a film whose truth is known, with one parameter after the other turned, and says what
    precision, recall and delay would have been: roost tune --clip yard.mp4 --truth yard.csv --picture tune.svg.
    Only with --write are settings changed, and of them only those of this camera's motion.
    """
    from roost_edge.cli.motion import only_camera
    from roost_edge.cli.reporter import reporting
    from roost_edge.motion.chart import chart
    from roost_edge.motion.truth_file import read_truth
    from roost_edge.motion.tuning import changes
    from roost_edge.motion.tuning import tune as search
    from roost_edge.settings.loading import load

    device = load(settings)
    name = only_camera(device, camera)
    section = device.cameras[name]
    periods = read_truth(truth)
    planes, times_ns = _read(clip, section.motion, fps)
    if not periods or periods[0].start_ms > times_ns[-1] // 1_000_000:
        raise Misuse(f"{truth} names nothing within the film.", "Write when something is there: start,end in seconds.")
    with reporting("tuning") as told:
        found = search(
            *(planes, times_ns, periods, section.motion),
            quiet_ms=section.capture.event_quiet_ms,
            told=told.progress,
        )
    changed = changes(found)
    if picture is not None:
        picture.write_text(chart(found, f"Motion of {name}, {clip.name}"), encoding="utf-8")
        output.say(f"{picture}: what was tried.")
    if as_json:
        output.data(
            {
                "camera": name,
                "frames": len(planes),
                "before": _as_data(found.before.score),
                "best": _as_data(found.best.score),
                "changes": changed,
                "trials": [
                    {"parameter": one.parameter, "value": one.value, **_as_data(one.score)} for one in found.trials
                ],
            }
        )
    else:
        print(_table(found.before.score, found.best.score))
        print(
            "\n".join(f"{key} = {value:g}" for key, value in changed.items()) or "Nothing is better than what is set."
        )
    if write and changed:
        text = settings.read_text(encoding="utf-8")
        write_settings(settings, with_changes(text, name, changed))
        output.say(f"{settings}: [cameras.{name}.motion] is written; it holds from the next start of the role capture.")
    elif changed and not as_json:
        output.say("Nothing is written; --write does.")


def with_changes(text: str, camera: str, changed: dict[str, float]) -> str:
    """The settings' text with these values of one camera's motion. Raises `Misuse` where only a person could."""
    from roost_edge.page.toml_edit import with_value

    wanted: dict[str, Any] = tomllib.loads(text)
    new = text
    for key, value in changed.items():
        new = with_value(new, ("cameras", camera, "motion"), key, value)
        wanted["cameras"][camera].setdefault("motion", {})[key] = value
    try:
        same = tomllib.loads(new) == wanted
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        values = ", ".join(f"{key} = {value:g}" for key, value in changed.items())
        raise Misuse(
            "The values cannot be put into this file without touching others.",
            f"Write them below [cameras.{camera}.motion] by hand: {values}.",
        )
    return new


def write_settings(path: Path, text: str) -> None:
    """Whole or not at all, with the rights the file had."""
    from roost_broker.durable import write_durably

    write_durably(path.resolve(), text.encode(), mode=path.stat().st_mode & 0o777)


def _read(clip: Path, motion: "MotionSettings", fps: float) -> "tuple[list[Image], list[int]]":
    """The film, made small once: a run over it then takes seconds."""
    from roost_broker.clock import SystemClock
    from roost_edge.motion.pixels import small_gray
    from roost_edge.motion.tuning import MAX_FRAMES
    from roost_edge.sources.settings import CameraSettings
    from roost_edge.sources.video import VideoSource

    source = VideoSource(CameraSettings(source="video", path=str(clip), fps=fps, realtime=False), SystemClock())
    source.open()
    planes: list[Any] = []
    times_ns: list[int] = []
    try:
        while (frame := source.read()) is not None:
            if len(planes) == MAX_FRAMES:
                output.say(f"Only the first {MAX_FRAMES} frames are looked at.")
                break
            planes.append(small_gray(frame.image, motion.width).round().astype("uint8"))
            times_ns.append(frame.media_ns)
    finally:
        source.close()
    if not planes:
        raise Misuse(f"{clip} shows nothing.", "Name a film of some minutes.")
    return planes, times_ns


def _table(before: "Score", best: "Score") -> str:
    rows = [["", "found", "missed", "false", "told twice", "precision", "recall", "frame F1", "seen after"]]
    for what, one in (("as it was", before), ("best", best)):
        counts = [one.events_found, one.events_missed, one.events_false, one.fragments]
        shares = [one.precision, one.recall, one.frame_f1]
        latency = "–" if one.latency_ms is None else f"{one.latency_ms} ms"
        rows.append([what, *map(str, counts), *("–" if x is None else f"{100 * x:.0f} %" for x in shares), latency])
    return output.table(rows)


def _as_data(one: "Score") -> dict[str, object]:
    return {
        "found": one.events_found,
        "missed": one.events_missed,
        "false": one.events_false,
        "fragments": one.fragments,
        "precision": one.precision,
        "recall": one.recall,
        "frameF1": one.frame_f1,
        "latencyMs": one.latency_ms,
    }

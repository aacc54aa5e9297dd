"""What the demo was asked to do: `roost demo` and `scripts/demo` parse the same arguments here."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from roost_broker.errors import Misuse
from roost_edge.demo.models import MODELS

_FAULT = re.compile(r"(?P<model>[A-Za-z0-9_-]+)=(?P<kind>hang|kill|wrong|slow:(?P<ms>[0-9]{1,6}))\Z")
_VIDEO = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mjpg", ".mjpeg", ".mpg", ".ts"})
_SOURCES = "Say synthetic, or name a video or a folder of pictures."

SourceKind = Literal["synthetic", "video", "folder"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What one model is made to do wrong. `kind` is hang, kill, wrong or slow:<ms>."""

    model: str
    kind: str

    @property
    def by_signal(self) -> bool:
        """Done to the process from outside; the others are asked of the daemon (QA)."""
        return self.kind in ("hang", "kill")


@dataclass(frozen=True, slots=True)
class Options:
    """`seconds` None: until Ctrl-C or the end of film or folder. `keep` None: a temporary folder, deleted after."""

    source: SourceKind = "synthetic"
    path: Path | None = None
    seconds: float | None = None
    json: bool = False
    faults: tuple[Fault, ...] = ()
    seed: int = 1
    keep: Path | None = None
    port: int | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the demo's arguments on `parser`."""
    parser.add_argument(
        "--source",
        default="synthetic",
        metavar="synthetic|VIDEO|DIR",
        help="what the camera sees (default: a rendered scene)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="N",
        help="take pictures for so long (default: until Ctrl-C or the end of film or folder)",
    )
    parser.add_argument("--json", action="store_true", help="no view; one summary object on stdout at the end")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="MODEL=hang|slow:MS|kill|wrong",
        help=f"make a model misbehave; may be repeated. Models: {', '.join(MODELS)}",
    )
    parser.add_argument("--seed", type=int, default=1, help="another seed, another story before the camera")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep data, settings and logs in this new folder")
    parser.add_argument("--port", type=int, help="let the private broker listen here (default: any free port)")


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Options from a command line. Raises `Misuse`; argparse itself ends the process for an unknown flag."""
    parser = argparse.ArgumentParser(
        prog="roost demo",
        description="Watch a henhouse: camera, models, rendezvous, archive and alerts, all real.",
    )
    add_arguments(parser)
    return from_namespace(parser.parse_args(arguments))


def from_namespace(given: argparse.Namespace) -> Options:
    """Check what argparse cannot."""
    return build(
        source=given.source,
        seconds=given.seconds,
        json=given.json,
        faults=given.fault,
        seed=given.seed,
        keep=given.keep,
        port=given.port,
    )


def build(
    *,
    source: str = "synthetic",
    seconds: float | None = None,
    json: bool = False,
    faults: Sequence[str] = (),
    seed: int = 1,
    keep: Path | None = None,
    port: int | None = None,
) -> Options:
    """Options from plain values, as a command line has them. Raises `Misuse` with what to write instead."""
    if seconds is not None and not 0 < seconds <= 86_400:
        raise Misuse(f"--seconds {seconds:g} is no time to take pictures for.", "Give more than 0, at most a day.")
    if seed < 0:
        raise Misuse(f"--seed {seed} is negative.", "Give 0 or more.")
    if port is not None and not 1024 <= port <= 65_535:
        raise Misuse(f"--port {port} cannot be used.", "Give 1024 to 65535, or leave it out.")
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise Misuse(f"--keep {keep} is in use.", "Name a new or an empty folder.")
    kind, path = _source(source)
    if seconds is None and json and kind == "synthetic":
        raise Misuse("--json prints its summary at the end, and this run has none.", "Add --seconds N.")
    return Options(
        source=kind,
        path=path,
        seconds=seconds,
        json=json,
        faults=_faults(faults),
        seed=seed,
        keep=keep,
        port=port,
    )


def _faults(texts: Sequence[str]) -> tuple[Fault, ...]:
    found: dict[str, Fault] = {}
    for text in texts:
        match = _FAULT.match(text)
        if match is None:
            raise Misuse(f"--fault {text!r} is not understood.", "Write MODEL=hang, =kill, =wrong or =slow:5000.")
        model = match["model"]
        if model not in MODELS:
            raise Misuse(f"The demo has no model {model!r}.", f"Its models: {', '.join(MODELS)}.")
        if model in found:
            raise Misuse(f"--fault names {model} twice.", "A model has one fault at a time.")
        found[model] = Fault(model, match["kind"])
    return tuple(found.values())


def _source(text: str) -> tuple[SourceKind, Path | None]:
    if text == "synthetic":
        return "synthetic", None
    if not text:
        raise Misuse("--source names nothing.", _SOURCES)
    path = Path(text).expanduser().absolute()
    if path.is_dir():
        return "folder", path
    if path.is_file():
        if path.suffix.lower() not in _VIDEO:
            raise Misuse(f"--source {text} does not look like a video.", "Give a video, or a folder of pictures.")
        return "video", path
    if path.exists():
        raise Misuse(f"--source {text} is neither a file nor a folder.", _SOURCES)
    raise Misuse(f"--source {text}: no such file or folder.", _SOURCES)

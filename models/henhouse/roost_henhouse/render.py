"""Command: `python -m roost_henhouse.render clip|stills|scenes|sheet`. Paths written go to stdout, talk to stderr."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from roost_broker.errors import RoostError
from roost_henhouse.files import contact_sheet, jpeg, write_clip, write_stills
from roost_henhouse.scenes import SIZE, write_scenes


def main(arguments: Sequence[str] | None = None) -> int:
    """Render what is asked for. Exit status: 0 done, 1 could not, 2 wrong arguments."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (RoostError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(options: argparse.Namespace) -> int:
    if options.what == "clip":
        truth = write_clip(
            options.path,
            options.seed,
            options.seconds,
            width=options.size[0],
            height=options.size[1],
            fps=options.fps,
            first=round(options.start * options.fps),
            progress=_progress,
        )
        _say_paths(options.path, truth)
    elif options.what == "stills":
        _say_paths(write_stills(options.path, options.count, options.seed, size=options.size, progress=_progress))
    elif options.what == "scenes":
        write_scenes(
            options.path,
            options.per_class,
            options.seed,
            dict(options.mislabel),
            size=options.size,
            workers=options.workers,
            progress=_progress,
        )
        _say_paths(options.path)
    else:
        options.path.parent.mkdir(parents=True, exist_ok=True)
        options.path.write_bytes(jpeg(contact_sheet(options.seed, options.rows), options.quality))
        _say_paths(options.path)
    return 0


def _say_paths(*paths: Path) -> None:
    sys.stdout.writelines(f"{path}\n" for path in paths)


def _progress(done: int, total: int) -> None:
    if done == total or done % 100 == 0:
        sys.stderr.write(f"{done} of {total}\n")


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = text.lower().replace("×", "x").split("x")
        return int(width), int(height)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 640x480") from error


def _pair(text: str) -> tuple[str, str]:
    shown, equals, wrong = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not a pair such as plymouth_rock=buff_orpington")
    return shown, wrong


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m roost_henhouse.render",
        description="Render a hen's nest box: the same seed gives the same pictures, with the truth beside them.",
    )
    what = parser.add_subparsers(dest="what", required=True, metavar="clip|stills|scenes|sheet")
    clip = what.add_parser("clip", help="a video (.mp4, .avi) and its truth, one JSON line for each frame")
    clip.add_argument("path", type=Path, help="file to write; the truth goes to PATH.jsonl")
    clip.add_argument("--seconds", type=float, default=60.0, help="length in seconds (default %(default)s)")
    clip.add_argument("--start", type=float, default=0.0, help="second of the story to begin with (default 0)")
    clip.add_argument("--fps", type=float, default=10.0, help="frames a second (default %(default)s)")
    stills = what.add_parser("stills", help="a folder of labelled JPEG pictures and labels.csv")
    stills.add_argument("path", type=Path, help="folder to write into")
    stills.add_argument("--count", type=int, default=70, help="how many (default %(default)s)")
    scenes = what.add_parser("scenes", help="JPEG pictures in a folder for each label, as people keep them")
    scenes.add_argument("path", type=Path, help="folder to write into")
    scenes.add_argument("--per-class", type=int, default=60, help="pictures of each label (default %(default)s)")
    scenes.add_argument(
        "--mislabel", type=_pair, action="append", default=[], metavar="SHOWN=WRONG", help="keep one label as another"
    )
    scenes.add_argument("--workers", type=int, default=1, help="rendering processes (default %(default)s)")
    scenes.add_argument("--size", type=_size, default=SIZE, help="such as 640x480 (default 320x240)")
    sheet = what.add_parser("sheet", help="one picture that shows every label")
    sheet.add_argument("path", type=Path, help="JPEG file to write")
    sheet.add_argument("--rows", type=int, default=4, help="examples of each label (default %(default)s)")
    sheet.add_argument("--quality", type=int, default=80, help="of the JPEG (default %(default)s)")
    for command in (clip, stills, scenes, sheet):
        command.add_argument("--seed", type=int, default=1, help="0 or more (default %(default)s)")
    for command in (clip, stills):
        command.add_argument("--size", type=_size, default=(640, 480), help="such as 640x480 (the default)")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`roost demo` and `python -m roost_edge.demo`: options in, exit status out.

Status 0: every request was answered within its SLA and archived, and there was one at least. 1: not so, or the
device could not be started. 2: the arguments cannot work. 130: Ctrl-C once too often, so there is no summary.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from roost_broker.errors import Misuse, RoostError
from roost_edge.capture.request_summary import RequestSummary
from roost_edge.capture.request_summary import summarise as read_log
from roost_edge.demo.endings import heard_by, raised
from roost_edge.demo.folder import temporary_folder
from roost_edge.demo.models import CAMERA, MODELS, find_henhouse
from roost_edge.demo.options import Options, parse
from roost_edge.demo.play import Play, Played
from roost_edge.demo.reporters import Lines, Reporter
from roost_edge.demo.source_check import check_source
from roost_edge.demo.summary import ReplayFigures, Summary, as_json, as_lines, summarise

if TYPE_CHECKING:
    from roost_models.archive.reading import ArchiveReader

FAILED = 1
MISUSE = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    try:
        return run(parse(arguments))
    except KeyboardInterrupt:
        return INTERRUPTED
    except Misuse as error:
        print(error, file=sys.stderr)  # noqa: T201  # this is a command line
        return MISUSE
    except RoostError as error:
        print(error, file=sys.stderr)  # noqa: T201  # as above
        return FAILED


def run(options: Options) -> int:
    """Play the demo and print its summary. Raises `RoostError` when it could not begin. Returns the exit status."""
    henhouse = find_henhouse()
    check_source(options)
    reporter = _reporter(options)
    if options.source != "synthetic":
        reporter.say(
            "The models were trained on rendered scenes and know nothing of real pictures: what they answer here is "
            "not meaningful, that and when they answer is."
        )
    with _folder(options) as folder:
        played = asyncio.run(_play(options, folder, henhouse, reporter))
        with raised():
            summary = _judge(options, played, henhouse, reporter)
    if options.json:
        sys.stdout.write(as_json(summary) + "\n")
    else:
        for line in as_lines(summary):
            reporter.say(line)
    return 0 if summary.ok else FAILED


async def _play(options: Options, folder: Path, henhouse: Path, reporter: Reporter) -> Played:
    interrupted, hurry = asyncio.Event(), asyncio.Event()

    def interrupt() -> None:
        (hurry if interrupted.is_set() else interrupted).set()

    heard_by(asyncio.get_running_loop(), interrupt)
    return await Play(options, folder, henhouse, reporter, interrupted=interrupted, hurry=hurry).run()


def _judge(options: Options, played: Played, henhouse: Path, reporter: Reporter) -> Summary:
    from roost_models.archive.reading import ArchiveReader  # brings numpy

    log, archived = RequestSummary(), 0
    problems, notes = list(played.problems), list(played.notes)
    replays: list[ReplayFigures] = []
    try:
        log = read_log(played.request_log)
        with ArchiveReader(played.archive) as archive:
            # The camera's own: what somebody asked over HTTP is in no request log.
            archived = sum(item.request.tags.get("camera") == CAMERA for item in archive.inputs())
            if archive.count_inputs():
                for figures in _replay(archive, henhouse, reporter):
                    replays.append(figures)  # one by one: what is done is kept when Ctrl-C comes
    except KeyboardInterrupt:
        notes.append("Asking the models again was cut short; what is told of it is what was done by then.")
    except RoostError as error:
        problems.append(str(error))
    return summarise(
        log,
        archived=archived,
        replays=replays,
        alerts=played.sightings,
        seconds=played.seconds,
        source=options.source if options.path is None else str(options.path),
        faults=[f"{fault.model}={fault.kind}" for fault in options.faults],
        notes=notes,
        problems=problems,
        interrupted=played.interrupted,
    )


def _replay(archive: "ArchiveReader", henhouse: Path, reporter: Reporter) -> Iterator[ReplayFigures]:
    """Ask every bundle again what is in the archive, from the archive alone."""
    from roost_models.bundle.opening import open_bundle
    from roost_models.replay import replay

    given = archive.stats().scores_by_model
    for model in MODELS:
        reporter.say(f"Asking {model} again, from the archive alone …")
        report = replay(archive, open_bundle(henhouse / "bundles" / model))
        if report.pure:
            yield ReplayFigures(
                model=model, given=given.get(model, 0), compared=report.compared, identical=report.identical
            )


def _reporter(options: Options) -> Reporter:
    if options.json:
        return Lines(sys.stderr, talk=False)
    if sys.stdout.isatty():
        from roost_edge.demo.live import LiveView  # brings rich

        return LiveView()
    return Lines(sys.stdout, talk=True)


@contextmanager
def _folder(options: Options) -> Iterator[Path]:
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        yield options.keep.absolute()
        return
    with temporary_folder() as folder:
        yield folder

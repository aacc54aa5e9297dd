"""`scripts/boot-test`: options in, exit status out.

Status 0: everything came as it should. 1: something did not, or a step failed. 2: the arguments cannot work.
"""

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from roost_broker.errors import Misuse, RoostError
from roost_edge.demo.folder import temporary_folder
from roost_provisioning.boot_test.options import Options, parse
from roost_provisioning.boot_test.report import Report
from roost_provisioning.boot_test.story import Story

FAILED, MISUSE, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options = parse(arguments)
        report = Report()
        try:
            play(options, report)
        finally:
            if options.json:
                sys.stdout.write(json.dumps(report.as_data(), indent=2, ensure_ascii=False) + "\n")
    except KeyboardInterrupt:
        _say("Interrupted; nothing is left running.")
        return INTERRUPTED
    except Misuse as error:
        _say(str(error))
        return MISUSE
    except RoostError as error:
        _say(str(error))
        return FAILED
    return 0 if report.ok else FAILED


def play(options: Options, report: Report) -> None:
    """Play the story and print what it came to. Raises `RoostError` when a step failed."""
    with _folder(options) as folder:
        try:
            Story(options, folder, report, _say).play()
        except RoostError as error:
            report.problems.append(error.problem.splitlines()[0])
            raise
        finally:
            _say("\n── What it came to " + "─" * 56)
            for line in report.lines():
                _say(line)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


@contextmanager
def _folder(options: Options) -> Iterator[Path]:
    if options.keep is None:
        with temporary_folder() as folder:
            yield folder
    else:
        options.keep.mkdir(parents=True, exist_ok=True)
        yield options.keep.resolve()

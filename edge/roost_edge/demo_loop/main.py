"""`scripts/demo-loop`: options in, exit status out.

Status 0: every turn of the story came as it should. 1: not so, or a step failed. 2: the arguments cannot work.
"""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from roost_broker.errors import Misuse, RoostError
from roost_edge.demo.folder import temporary_folder
from roost_edge.demo.models import find_henhouse
from roost_edge.demo_loop.options import Options, parse
from roost_edge.demo_loop.summary import as_json, as_lines

FAILED = 1
MISUSE = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(parse(arguments))
    except KeyboardInterrupt:
        print("Interrupted; nothing is left running.", file=sys.stderr)  # noqa: T201  # this is a command line
        return INTERRUPTED
    except Misuse as error:
        print(error, file=sys.stderr)  # noqa: T201  # as above
        return MISUSE
    except RoostError as error:
        print(error, file=sys.stderr)  # noqa: T201  # as above
        return FAILED


def run(options: Options) -> int:
    """Play the story and print its summary. Raises `RoostError` when a step failed. Returns the exit status."""
    from roost_edge.demo_loop.story import Loop  # brings numpy

    out = sys.stderr if options.json else sys.stdout

    def say(line: str) -> None:
        out.write(line + "\n")
        out.flush()

    with _folder(options) as folder:
        story = Loop(options, folder, find_henhouse(), say).play()
    if options.json:
        sys.stdout.write(as_json(story) + "\n")
    else:
        say("\n── What it came to " + "─" * 56)
        for line in as_lines(story):
            say(line)
    return 0 if story.ok else FAILED


@contextmanager
def _folder(options: Options) -> Iterator[Path]:
    if options.keep is None:
        with temporary_folder() as folder:
            yield folder
    else:
        options.keep.mkdir(parents=True, exist_ok=True)
        yield options.keep.resolve()

"""The check of a settings' text as a process: `python -m roost_edge.page.checking FILE PID < text`, JSON on stdout.

Opening bundles and schedules costs memory that the page is not to keep. It dies with the page (PID).
"""

import sys
from pathlib import Path

import msgspec

from roost_edge.page.settings_file import MAX_TEXT
from roost_edge.processes.own_process import die_with_parent


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status."""
    path, parent = arguments if arguments is not None else sys.argv[1:]
    die_with_parent(int(parent))
    from roost_edge.settings.check import check

    text = sys.stdin.buffer.read(MAX_TEXT + 1).decode("utf-8", errors="replace")
    sys.stdout.buffer.write(msgspec.json.encode(check(Path(path), text=text)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

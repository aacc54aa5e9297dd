"""The doctor as a process: `python -m roost_edge.doctor --settings FILE --json`. For the desk, which hands it its
settings as JSON (`--settings -`), and wherever neither typer nor rich is to be loaded; people use `roost doctor`.

Status 0: nothing fails. 1: something does. 2: settings or arguments that cannot work.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from roost_broker.clock import SystemClock
from roost_broker.errors import RoostError
from roost_edge.doctor.checks import checks_of
from roost_edge.doctor.examining import chosen, examine, patience_until
from roost_edge.doctor.patient import Patient
from roost_edge.doctor.telling import lines
from roost_edge.processes.own_process import die_with_parent, leave
from roost_edge.settings import loading
from roost_edge.settings.device import Settings

OK, FAILED, MISUSE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m roost_edge.doctor", description="Examine this device.")
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE", help="settings of this device (TOML)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this check, or this group")
    parser.add_argument("--as", dest="user", default="operator", metavar="USER", help="whose name at the broker")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--end", type=int, metavar="NS", help="report what there is at this moment of the monotonic clock"
    )
    parser.add_argument("--die-with", type=int, default=0, metavar="PID", help="be killed when this parent ends")
    options = parser.parse_args(arguments)
    if options.die_with:
        die_with_parent(options.die_with)
    try:
        given = str(options.settings) == "-"
        settings = (
            msgspec.json.decode(sys.stdin.buffer.read(), type=Settings) if given else loading.load(options.settings)
        )
        clock = SystemClock()
        patience = patience_until(options.end, clock.monotonic_ns())
        file = None if given else options.settings
        patient = Patient(settings, file=file, user=options.user, clock=clock, patience=patience)
        report = examine(patient, chosen(checks_of(settings), options.only), end_ns=options.end)
    except RoostError as error:
        sys.stderr.write(f"{error}\n")
        return MISUSE
    if options.json:
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    else:
        sys.stdout.write("\n".join(lines(report)) + "\n")
    return OK if report.ok else FAILED


if __name__ == "__main__":
    leave(main())

"""A role that ends again and again waits longer before each start, whoever starts it.

systemd 252 (Bookworm) restarts at a fixed pace; later ones can slow down, in words that 252 complains about. So the
process counts its own starts, in a folder that systemd keeps from restart to restart and removes when the unit is
stopped, and waits by the policy of `restart`: as under `roost up`.
"""

import logging
from pathlib import Path

import msgspec

from roost_broker.clock import SECOND
from roost_edge.processes.restart import RestartPolicy, after_exit

_log = logging.getLogger(__name__)

UNDER_SYSTEMD = RestartPolicy(first_ns=SECOND // 5, ceiling_ns=60 * SECOND, healthy_ns=120 * SECOND)
"""Longer than at a desk: on a small Pi a role that cannot work may need half a minute to find that out."""


class Starts(msgspec.Struct, frozen=True):
    """The last start of a role, in monotonic time of this boot."""

    failures: int
    started_ns: int


def next_start(before: Starts | None, policy: RestartPolicy, now: int, chance: float) -> Starts:
    """When the process that runs now is to begin its work. `before` is the start before it, None for the first."""
    if before is None or before.started_ns > now:  # a start in the future is of another boot
        return Starts(0, now)
    decision = after_exit(policy, failures=before.failures, started_ns=before.started_ns, now=now, chance=chance)
    return Starts(decision.failures, decision.due_ns)


def remembered(folder: Path, policy: RestartPolicy, now: int, chance: float) -> Starts:
    """`next_start` after what the folder remembers, and remembered there. A folder that fails costs the wait alone."""
    path = folder / "starts.json"
    try:
        before = msgspec.json.decode(path.read_bytes(), type=Starts)
    except FileNotFoundError:
        before = None
    except (OSError, msgspec.DecodeError, ValueError) as error:
        _log.warning("%s cannot be used and counts as not there: %s", path, error)
        before = None
    decided = next_start(before, policy, now, chance)
    try:
        path.write_bytes(msgspec.json.encode(decided))
    except OSError as error:
        _log.warning("the starts of this role cannot be counted: %s", error)
    return decided

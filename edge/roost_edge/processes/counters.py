"""A role's session counter follows it from one unit of systemd into another.

Under systemd a model counts its sessions in a folder of its unit, bound to where every role has it. When the settings
move it to another unit (with `compact`, or back), its count must not fall: readers would take new states for old ones.
"""

import logging
from pathlib import Path

from roost_broker.durable import write_durably
from roost_edge.settings.device import DataLayout

_log = logging.getLogger(__name__)


def carry_over(layout: DataLayout, role: str) -> None:
    """Go on from the highest count that any unit of the models has kept of this role. Harmless without any."""
    path = layout.session(role)
    own = _count(path)
    if own is None:
        return  # whoever counts on knows what to do with a file that holds no number
    highest = max((_count(other) or 0 for other in layout.data.glob(f"models/*/sessions/{role}")), default=0)
    if highest > own:
        write_durably(path, b"%d\n" % highest)


def _count(path: Path) -> int | None:
    """None: there is a file, and no number in it."""
    try:
        return int(path.read_bytes())
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        _log.warning("%s holds no session number that can be read: %s", path, error)
        return None

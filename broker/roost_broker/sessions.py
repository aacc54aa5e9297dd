"""Session numbers: one more at each start of a role, so that a late last will is told from a fresh state."""

import logging
import time
from pathlib import Path

from roost_broker.durable import write_durably

_log = logging.getLogger(__name__)


def next_session(path: Path) -> int:
    """Count up the number stored in `path`, durably, and return it. The first is 1.

    A file that holds no number (a bad card) must not stop a role, nor may the count fall back, or readers would
    take the new session for an old one: it goes on from the seconds since 1970, which no count of starts reaches.
    """
    try:
        number = int(path.read_bytes().strip() or b"x")
        if number < 0:
            raise ValueError
    except FileNotFoundError:
        number = 0
    except ValueError:
        number = int(time.time())
        _log.warning("%s holds no session number; counting on from %d.", path, number)
    number += 1
    write_durably(path, b"%d\n" % number)
    return number

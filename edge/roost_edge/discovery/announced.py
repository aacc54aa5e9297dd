"""Which components were announced once: Home Assistant keeps one until it is told that it is gone.

1. What was announced and is not any more is announced as gone, with its platform alone, from then on.
2. The list is kept before the document is published, so that a power cut forgets nothing that Home Assistant knows.
3. At most 500 are kept; a list that cannot be read is an empty one: Home Assistant's user then removes what is left.
"""

import logging
from pathlib import Path

import msgspec

from roost_broker.durable import write_durably
from roost_edge.discovery.document import Inventory, document, platforms
from roost_edge.discovery.settings import DiscoverySettings

_MOST = 500
_log = logging.getLogger(__name__)


class Announced:
    """The list, in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def before(self) -> dict[str, str]:
        """Key → platform of everything announced so far."""
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("what was announced to Home Assistant cannot be read: %s", error)
            return {}

    def encoded(self, inventory: Inventory, settings: DiscoverySettings) -> bytes:
        """The document as bytes for the wire; what it announces is kept first. Raises `OSError`."""
        found = document(inventory, settings)
        known = self.before()
        both = {**known, **platforms(found)}
        kept = dict(list(both.items())[-_MOST:])
        if kept != known:
            write_durably(self._file, msgspec.json.encode(kept))
        return msgspec.json.encode(found)

"""Where a device keeps how its lines stand, and how it gets there: durable, old or new, never torn.

    <data>/ota/lines/<task>/<model>.json     a `Standing`
    <data>/ota/schedules/<task>.json         the operator's schedule (`schedule_book.Base`)
    <data>/ota/files, bundles                `roost_models.registry.store.BundleStore`
    <data>/ota/registry                      what is trusted and cached of the registry
    <data>/ota/key                           the device's own key, with which it signs what it reports

Whoever is cut in the middle of a write finds the old file, or the new one (`roost_broker.durable`).
"""

import logging
from pathlib import Path
from typing import TypeVar

import msgspec

from roost_broker.durable import write_durably
from roost_edge.ota.lines import Line
from roost_edge.ota.schedule_book import Base
from roost_edge.ota.standing import Standing

_log = logging.getLogger(__name__)
_MAX_BYTES = 1_000_000
_T = TypeVar("_T", Standing, Base)


class OtaFolder:
    """The agent's part of the data folder. Reading never fails: what cannot be read is not there, and said once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def standing(self, line: Line) -> Standing | None:
        """How a line stands; None: it was never touched, or its file is no use."""
        return _read(self._line(line), Standing)

    def write_standing(self, line: Line, standing: Standing) -> None:
        """Durable when this returns. Raises OSError."""
        write_durably(self._line(line), msgspec.json.encode(standing))

    def base(self, task: str) -> Base | None:
        """The operator's schedule of a task, as it was heard last."""
        return _read(self._base(task), Base)

    def write_base(self, task: str, base: Base) -> None:
        """Durable when this returns. Raises OSError."""
        write_durably(self._base(task), msgspec.json.encode(base))

    @property
    def registry(self) -> Path:
        """Trusted and cached metadata of the registry."""
        return self.root / "registry"

    @property
    def key(self) -> Path:
        """The device's own private key."""
        return self.root / "key"

    @property
    def socket(self) -> Path:
        """Where the agent listens to its user's commands."""
        return self.root / "agent.sock"

    def _line(self, line: Line) -> Path:
        return self.root / "lines" / line.task / f"{line.model}.json"

    def _base(self, task: str) -> Path:
        return self.root / "schedules" / f"{task}.json"


def _read(path: Path, kind: type[_T]) -> _T | None:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_BYTES + 1), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, ValueError) as error:
        _log.error("%s cannot be used and counts as not there: %s", path, error)
        return None

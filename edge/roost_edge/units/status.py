"""How the units of a device stand: what systemd knows of each, and what the role last said of itself."""

from collections.abc import Mapping

from msgspec import Struct

from roost_edge.processes.named import every
from roost_edge.settings.device import Settings
from roost_edge.units.names import unit_for

_UNSET = 2**63
"""systemd's word for "not measured" is the greatest number it has."""


class UnitStatus(Struct, frozen=True, kw_only=True):
    """One role as systemd sees it."""

    role: str
    unit: str
    state: str
    """`active`, `inactive`, `activating`, `failed`, …"""
    detail: str
    """What the role said last, or what systemd says of how it ended."""
    pid: int
    restarts: int
    memory_mb: float | None
    """None where systemd does not measure it."""

    @property
    def well(self) -> bool:
        """Running, or at rest because another slot does the work."""
        return self.state in ("active", "inactive")


def statuses(settings: Settings, shown: Mapping[str, Mapping[str, str]]) -> tuple[UnitStatus, ...]:
    """Of every role that the settings have: pure."""
    units = [(role.name, unit_for(settings, role)) for role in every(settings)]
    return tuple(_status(name, unit, shown.get(unit, {})) for name, unit in units)


def _status(role: str, unit: str, values: Mapping[str, str]) -> UnitStatus:
    loaded = values.get("LoadState", "not-found")
    state = values.get("ActiveState", "unknown") if loaded == "loaded" else loaded
    result = values.get("Result", "")
    ended = f"ended: {result}" if result not in ("", "success") else values.get("SubState", "")
    memory = _number(values.get("MemoryCurrent", ""))
    return UnitStatus(
        role=role,
        unit=unit,
        state=state,
        detail=values.get("StatusText", "") or ended,
        pid=_number(values.get("MainPID", "")) or 0,
        restarts=_number(values.get("NRestarts", "")) or 0,
        memory_mb=None if memory is None or memory >= _UNSET else round(memory / 1e6, 1),
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None

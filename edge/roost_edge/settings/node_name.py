"""`name = "@identity"` below [node]: the device is called what its certificate says, so that one file suits a fleet."""

from pathlib import Path

from msgspec import structs

from roost_broker.toml_lines import LineMap
from roost_broker.topics import is_name
from roost_edge.settings.device import DataLayout, Settings
from roost_edge.settings.explain import SettingsError

IDENTITY = "@identity"
_MAX_BYTES = 200


def with_node_name(settings: Settings, path: Path, lines: LineMap, unnamed: str) -> Settings:
    """The settings with the name that enrolment gave, or `unnamed` before it. Raises `SettingsError` without both.

    Reads one small file and no certificate: the roles that read settings need no cryptography for it.
    """
    if settings.node.name != IDENTITY:
        return settings
    data = path.resolve().parent / Path(settings.node.data).expanduser()
    file = DataLayout(data.absolute()).identity / "name"
    try:
        with file.open("rb") as opened:
            name = opened.read(_MAX_BYTES).decode("ascii", errors="replace").strip()
    except OSError:
        name = unnamed
    if not is_name(name):
        problem = f"there is no name in {file}." if not name else f"{name[:80]!r} in {file} cannot be a device's name."
        raise SettingsError(
            path,
            lines.line(("node", "name")),
            "node.name",
            f'"{IDENTITY}" is the name in this device\'s certificate, and {problem}',
            "Enrol the device first: roost enrol. Or write its name here.",
        )
    return structs.replace(settings, node=structs.replace(settings.node, name=name))

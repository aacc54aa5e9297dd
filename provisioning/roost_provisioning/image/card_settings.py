"""Settings that go onto a card: one file for many cards, with each card's own name in it."""

import re
import tomllib
from pathlib import Path

from roost_broker.errors import Misuse
from roost_edge.settings.node_name import IDENTITY
from roost_provisioning.image.card_identity import MAX_FILE

_NODE = re.compile(r"^\s*\[\s*node\s*\]\s*(?:#.*)?$")
_TABLE = re.compile(r"^\s*\[")
_NAME = re.compile(r"""^(\s*name\s*=\s*)(?:"[^"\n]*"|'[^'\n]*')(.*)$""")


def settings_files(settings: Path | None, schedules: list[Path]) -> dict[str, bytes]:
    """What goes beside the seed: `roost.toml` and `schedules/NAME.toml`. Raises `Misuse`: a file with errors too."""
    files: dict[str, bytes] = {}
    if settings is not None:
        from roost_edge.settings.loading import load

        load(settings, unnamed="unnamed")  # its complaint names the line
        files["roost.toml"] = settings.read_bytes()
    for given in schedules:
        for path in sorted(given.glob("*.toml")) if given.is_dir() else [given]:
            files[f"schedules/{path.name}"] = _checked(path)
    return files


def for_card(files: dict[str, bytes], name: str) -> dict[str, bytes]:
    """The same files for the card of this name: `[node] name` is replaced. Raises `Misuse` where it cannot be found."""
    if "roost.toml" not in files or not name:
        return files
    return {**files, "roost.toml": with_name(files["roost.toml"].decode(), name).encode()}


def with_name(text: str, name: str) -> str:
    """The settings with another `[node] name`; comments and everything else stay as they are.

    A device whose settings say `@identity` takes the name of its certificate: nothing is changed then.
    """
    if tomllib.loads(text).get("node", {}).get("name") == IDENTITY:
        return text
    lines, inside = text.split("\n"), False
    for index, line in enumerate(lines):
        if inside and (match := _NAME.match(line)):
            lines[index] = f'{match[1]}"{name}"{match[2]}'
            break
        inside = bool(_NODE.match(line)) or (inside and not _TABLE.match(line))
    changed = "\n".join(lines)
    before, after = tomllib.loads(text), tomllib.loads(changed)
    if after.get("node", {}).get("name") != name or _nameless(before) != _nameless(after):
        raise Misuse(
            'the settings have no line `name = "…"` below `[node]`', "Write it so; each card gets its own name there."
        )
    return changed


def _nameless(document: dict[str, object]) -> dict[str, object]:
    node = document.get("node")
    return {**document, "node": {**node, "name": ""} if isinstance(node, dict) else node}


def _checked(path: Path) -> bytes:
    data = path.read_bytes()
    if len(data) > MAX_FILE:
        raise Misuse(f"{path} has more than {MAX_FILE} bytes", "That is no schedule.")
    try:
        tomllib.loads(data.decode())
    except ValueError as error:
        raise Misuse(f"{path}: {error}", "Mend it; `roost schedule check` says more.") from error
    return data

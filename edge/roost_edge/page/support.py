"""The support bundle: what helps whoever helps, as one file, without what is secret (see `redacting`).

It is made of named things and no others: no key, no picture, no password, no archive is ever read for it. The settings
go in as values, because comments may say anything.
"""

import importlib.metadata
import io
import json
import platform
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import msgspec

from roost_broker.errors import RoostError
from roost_broker.version import VERSION
from roost_edge.desk.about import about
from roost_edge.page import redacting
from roost_edge.page.house import House

_LOG_BYTES, _LOG_LINES, _MOST_LOGS = 200_000, 300, 64
_READ_ME = """A support bundle of the device {node}, made by its page.

about.json     versions, board, operating system
packages.json  Python packages
settings.json  the settings, without what is called like a secret, addresses without what may hold one
states.json    what roles and models said last, and the schedules
doctor.json    the newest doctor's report that was asked for on the page ({doctor})
events.json    the newest events and unreadable messages
logs/          the last lines of each role ({logs})

What looks like a secret was left out, everywhere. Look through it all the same before you send it.
"""


def bundle(house: House) -> bytes:
    """The bytes of a ZIP file."""
    document, secrets = _settings(house)
    logs = _logs(house.settings.layout.log("x").parent)
    view = house.view
    files: dict[str, Any] = {
        "about.json": about(house.settings, house.clock),
        "packages.json": _packages(),
        "settings.json": document,
        "states.json": {
            "broker": view.broker,
            "availability": view.availability,
            "roles": list(view.roles.values()),
            "models": list(view.models.values()),
            "schedules": list(view.schedules.values()),
            "ota": view.ota,
            "page": dict(house.counts),
        },
        "doctor.json": house.report,
        "events.json": {"events": list(view.events), "unreadable": [_without_head(one) for one in view.letters]},
    }
    said = _READ_ME.format(
        node=house.settings.node.name,
        doctor="there is one" if house.report is not None else "nobody has asked yet",
        logs="from the data folder" if logs else "none here: under systemd, journalctl -u 'roost-*' has them",
    )
    texts = {"README.txt": said, **{name: _json(value) for name, value in files.items()}, **logs}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, redacting.text(text, secrets))
    return out.getvalue()


def _settings(house: House) -> tuple[dict[str, Any], set[str]]:
    try:
        return redacting.settings(tomllib.loads(house.file.read()))
    except (RoostError, ValueError):  # not known, not readable, no TOML any more: as this process read them
        return redacting.settings(msgspec.to_builtins(house.settings))


def _packages() -> dict[str, str]:
    found = {one.metadata["Name"]: one.version for one in importlib.metadata.distributions() if one.metadata["Name"]}
    return {"roost": VERSION, "python": platform.python_version(), **dict(sorted(found.items()))}


def _logs(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    if not folder.is_dir():
        return found
    for path in sorted(folder.glob("*.log"))[:_MOST_LOGS]:
        try:
            if path.is_symlink() or not path.is_file():
                continue
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _LOG_BYTES))
                lines = file.read(_LOG_BYTES).decode("utf-8", errors="replace").splitlines()
        except OSError as error:
            lines = [f"cannot be read: {error.strerror}"]
        found[f"logs/{path.name}"] = "\n".join(lines[-_LOG_LINES:]) + "\n"
    return found


def _without_head(letter: Any) -> Any:
    """The first bytes of what could not be read may be anything."""
    return msgspec.structs.replace(letter, head="")


def _json(value: Any) -> str:
    return json.dumps(msgspec.to_builtins(value, str_keys=True, enc_hook=str), indent=2, ensure_ascii=False) + "\n"

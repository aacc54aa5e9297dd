"""The settings a card brings, and what an emulator changes of them: it has no camera but a rendered one. Pure."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Final

import msgspec

from roost_broker.errors import Malformed
from roost_edge.processes.plan import plan
from roost_edge.settings.device import Settings

PLACE: Final = "/etc/roost/roost.toml"
SEEDED: Final = "roost/roost.toml"
"""On the boot partition; taken over at the first boot."""

DOCTOR_S: Final = 600
"""How long the desk of an emulated device may examine."""

_DESK: Final = r"(?m)^(\s*\[\s*desk\s*\][^\n]*)$"
_TABLE = re.compile(r"^\s*\[\s*([^\]]+?)\s*\]")
_REAL = re.compile(r'^(\s*source\s*=\s*)"(?:picamera|opencv|video|folder)"')


def read(text: str) -> Settings:
    """Settings as they are written, paths as they stand. Raises `Malformed`."""
    try:
        return msgspec.convert(tomllib.loads(text), Settings)
    except (msgspec.ValidationError, ValueError) as error:
        raise Malformed(f"The card's roost.toml cannot be read: {error}.", "Build the image again.") from error


def rendered(text: str) -> tuple[str, tuple[str, ...]]:
    """The same with every camera rendered, and the names of those that are changed. Raises `Malformed`."""
    before = read(text)
    lines: list[str] = []
    table = ""
    for line in text.splitlines():
        if found := _TABLE.match(line):
            table = found[1].replace('"', "")
        camera = re.fullmatch(r"cameras\.[\w-]+", table) is not None
        lines.append(_REAL.sub(r'\1"synthetic"', line) if camera else line)
    after = read(changed := "\n".join(lines) + "\n")
    left = [name for name, camera in after.cameras.items() if camera.source != "synthetic"]
    if left:
        raise Malformed(
            f"Cameras that an emulator has not: {', '.join(left)}.",
            'Give each camera a table of its own, with a line source = "…".',
        )
    names = tuple(name for name, camera in before.cameras.items() if camera.source != "synthetic")
    return (changed if names else text), names


def with_operator(text: str, operator: str) -> str:
    """The same, with this operator among those whose certificate the device's broker takes. Raises `Malformed`."""
    known = read(text).mosquitto.outside.operators
    if operator in known:
        return text
    line = f"operators = [{', '.join(json.dumps(name) for name in (*known, operator))}]"
    if known:
        changed = re.sub(r"(?ms)^\s*operators\s*=\s*\[.*?\]", line, text)
    elif re.search(r"(?m)^\s*\[\s*mosquitto\.outside\s*\]", text):
        changed = re.sub(r"(?m)^(\s*\[\s*mosquitto\.outside\s*\][^\n]*)$", rf"\1\n{line}", text)
    else:
        changed = f"{text}\n[mosquitto.outside]\n{line}\n"
    if operator not in read(changed).mosquitto.outside.operators:
        raise Malformed("The card's roost.toml names its operators in a way not understood here.", "Write: " + line)
    return changed


def with_slow_desk(text: str) -> str:
    """The same, with time for an emulated device's `doctor`, which takes as many minutes as a Pi takes seconds.

    Raises `Malformed`.
    """
    if read(text).desk.doctor_timeout_s >= DOCTOR_S:
        return text
    line = f"doctor_timeout_s = {DOCTOR_S}"
    changed = re.sub(r"(?m)^\s*doctor_timeout_s\s*=.*$", line, text)
    if changed == text and re.search(_DESK, text):
        changed = re.sub(_DESK, rf"\1\n{line}", text)
    elif changed == text:
        changed = f"{text}\n[desk]\n{line}\n"
    try:
        if read(changed).desk.doctor_timeout_s == DOCTOR_S:
            return changed
    except Malformed:
        pass  # a table that stands there in another form
    raise Malformed("The card's roost.toml has a desk in a way not understood here.", "Write it as a table: [desk]")


def compacted(text: str) -> str:
    """The same for a compact device (`compact = true`). Raises `Malformed`."""
    if read(text).node.compact:
        return text
    line = "compact = true"
    changed = re.sub(r"(?m)^\s*compact\s*=\s*false\b", line, text)
    if changed == text:
        changed = re.sub(r"(?m)^(\s*\[\s*node\s*\][^\n]*)$", rf"\1\n{line}", text)
    if not read(changed).node.compact:
        raise Malformed("The card's roost.toml has a node in a way not understood here.", f"Write below [node]: {line}")
    return changed


def roles(settings: Settings) -> frozenset[str]:
    """Who must be ready, by the names under which they are heard (see `heard`)."""
    return frozenset(f"{role.task}/{role.model}" if role.kind == "model" else role.name for role in plan(settings))


def waiting_for(wanted: frozenset[str], ready: Mapping[str, int], before: Mapping[str, int]) -> tuple[str, ...]:
    """Those that are not ready, or are so only by a message from an earlier session."""
    return tuple(sorted(name for name in wanted if name not in ready or ready[name] <= before.get(name, -1)))

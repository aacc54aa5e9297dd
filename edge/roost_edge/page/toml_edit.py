"""One value in a TOML text, replaced where it stands; comments and everything else stay. Pure.

It knows plain tables (`[a.b]`) with plain keys, as people write settings. Whoever calls reads the result again and
compares: what this does not know it must not guess.
"""

import json
import re
import tomllib
from typing import Any

_HEADER = re.compile(r"\s*\[(?!\[)(?P<name>[^\[\]]+)\]\s*(#.*)?$")
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


def with_value(text: str, table: tuple[str, ...], key: str, value: Any) -> str:
    """The text with `key` of `table` set to a value; a table that is not there is added at the end."""
    lines = text.splitlines()
    begin = next((nth for nth, line in enumerate(lines) if _names(line) == table), None)
    new = f"{_name(key)} = {literal(value)}"
    if begin is None:
        return "\n".join([*lines, "", f"[{'.'.join(map(_name, table))}]", new, ""])
    end = next(
        (nth for nth in range(begin + 1, len(lines)) if lines[nth].lstrip().startswith("[") and _is_header(lines[nth])),
        len(lines),
    )
    for nth in range(begin + 1, end):
        if re.match(rf"\s*{re.escape(_name(key))}\s*=", lines[nth]):
            return "\n".join([*lines[:nth], new, *lines[_value_end(lines, nth, end) :], ""])
    return "\n".join([*lines[: begin + 1], new, *lines[begin + 1 :], ""])


def literal(value: Any) -> str:
    """A list, a table, a number or a text as TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_name(name)} = {literal(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"{value!r}"


def _names(line: str) -> tuple[str, ...]:
    found = _HEADER.match(line)
    if found is None:
        return ()
    try:
        document: Any = tomllib.loads(f"[{found['name']}]")
    except tomllib.TOMLDecodeError:
        return ()
    names: list[str] = []
    while document:
        ((name, document),) = document.items()
        names.append(name)
    return tuple(names)


def _is_header(line: str) -> bool:
    try:
        tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _value_end(lines: list[str], begin: int, end: int) -> int:
    """The line behind a value that may go over several."""
    for last in range(begin + 1, end + 1):
        try:
            tomllib.loads("\n".join(lines[begin:last]))
        except tomllib.TOMLDecodeError:
            continue
        return last
    return end


def _name(key: str) -> str:
    return key if _BARE.match(key) else json.dumps(key, ensure_ascii=False)

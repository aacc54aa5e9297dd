"""From "it does not validate" to a sentence that helps: file, line, field, what was expected, and the remedy.

msgspec stops at the first fault and hides the names of tables that people chose (`$.cameras[...]`). So the
fault is looked for again with one such table at a time, until each name on its path is known. What a struct's own
check refuses (`__post_init__`) is found by `culprit`.
"""

import re
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from roost_broker.errors import Misuse
from roost_broker.toml_lines import LineMap
from roost_edge.settings.culprit import culprit, not_none, type_at

_AT = re.compile(r"\A(?P<what>.*?)(?: - at `(?P<path>\$[^`]*)`)?\Z", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]|(?P<any>\[\.\.\.\])")
_PLAIN_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text in quotes",
    "bool": "true or false",
    "object": "a table",
    "array": "a list",
    "null": "nothing",
}


class SettingsError(Misuse):
    """A settings file that cannot be used. `field` is a dotted path, `line` counts from 1."""

    def __init__(self, file: Path, line: int, field: str, problem: str, remedy: str) -> None:
        super().__init__(
            f"{file}, line {line}: {field}: {problem}" if field else f"{file}, line {line}: {problem}", remedy
        )
        self.file = file
        self.line = line
        self.field = field
        self.cause = problem


def explain(
    error: msgspec.ValidationError, document: dict[str, Any], struct: type[msgspec.Struct], file: Path, lines: LineMap
) -> SettingsError:
    """The error about `document`, which did not convert to `struct`."""
    document, error = _single_out(document, struct, error)
    match = _AT.match(str(error))
    what = match["what"] if match else str(error)
    path = _concrete(match["path"] or "" if match else "", document)
    kind = type_at(struct, path)

    if unknown := _UNKNOWN.match(what):
        name = unknown["name"]
        return SettingsError(
            file,
            lines.line((*path, name)),
            ".".join((*path, name)),
            "there is no such setting.",
            _did_you_mean(name, kind),
        )
    if missing := _MISSING.match(what):
        name = missing["name"]
        wanted = _expectation(type_at(struct, (*path, name)))
        table = ".".join(path)
        return SettingsError(
            file,
            lines.line(path),
            ".".join((*path, name)),
            f"this setting is required ({wanted}) and missing.",
            f"Add `{name} = …` below [{table}]." if table else f"Add the table [{name}].",
        )
    if isinstance(kind, inspect.StructType) and not what.startswith("Expected "):  # the sentence of a __post_init__
        path = culprit(document, struct, error) or path
        return SettingsError(file, lines.line(path), ".".join(path), what.rstrip(".") + ".", "Correct this value.")
    return SettingsError(
        file,
        lines.line(path),
        ".".join(path),
        _in_plain_words(what),
        f"Write {_expectation(kind)}{_example(struct, path)}.",
    )


def explain_refusal(
    error: Misuse, document: dict[str, Any], struct: type[msgspec.Struct], file: Path, lines: LineMap
) -> SettingsError:
    """The error about `document`, which a struct's own check refused with a problem and a remedy."""
    path = culprit(document, struct, error)
    return SettingsError(file, lines.line(path), ".".join(path), error.problem, error.remedy)


def _single_out(
    document: dict[str, Any], struct: type[msgspec.Struct], error: msgspec.ValidationError
) -> tuple[dict[str, Any], msgspec.ValidationError]:
    """Reduce every freely named table on the fault's path to its one faulty entry."""
    match = _AT.match(str(error))
    steps = list(_STEP.finditer(match["path"] or "")) if match else []
    for depth, step in enumerate(steps):
        if not step["any"]:
            continue
        where = _concrete("".join(s[0] for s in steps[:depth]), document)
        table = _walk(document, where)
        if not isinstance(table, dict):
            break
        for name in list(table):
            trial = _with(document, where, {name: table[name]})
            try:
                msgspec.convert(trial, struct)
            except msgspec.ValidationError as again:
                document, error = trial, again
                break
    return document, error


def _walk(document: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _with(document: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    if not path:
        return dict(value)
    return {**document, path[0]: _with(document.get(path[0], {}), path[1:], value)}


def _concrete(path: str, document: Any) -> tuple[str, ...]:
    """`$.cameras[...].fps` as ("cameras", "nest", "fps"): a reduced table has one name only."""
    names: list[str] = []
    for step in _STEP.finditer(path):
        if step["any"]:
            table = _walk(document, tuple(names))
            names.append(next(iter(table)) if isinstance(table, dict) and table else "…")
        else:
            names.append(step["name"] or step["index"])
    return tuple(names)


def _did_you_mean(name: str, kind: inspect.Type | None) -> str:
    import difflib  # for mistakes alone; daemons are small without it

    known = [field.encode_name for field in kind.fields] if isinstance(kind, inspect.StructType) else []
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"Did you mean `{close[0]}`?"
    return f"Known here: {', '.join(sorted(known))}." if known else "Remove it."


def _in_plain_words(what: str) -> str:
    """msgspec's sentence with TOML's words for the types."""
    if match := re.match(r"Expected `(.+?)`, got `(.+?)`\Z", what):
        return f"expected {_alternatives(match[1])}, but found {_alternatives(match[2])}."
    if what.startswith("Expected "):
        return f"expected {what.removeprefix('Expected ').replace('`', '')}."
    return f"{what.rstrip('.')}."


def _alternatives(types: str) -> str:
    return " or ".join(
        _PLAIN_TYPES.get(name.strip(), name.strip()) for name in types.split("|") if name.strip() != "null"
    )


def _expectation(kind: inspect.Type | None) -> str:
    kind = not_none(kind)
    if isinstance(kind, inspect.LiteralType):
        return "one of " + ", ".join(f'"{value}"' for value in kind.values)
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        words = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
        if kind.ge is not None and kind.le is not None:
            return f"{words} from {kind.ge} to {kind.le}"
        if kind.ge is not None:
            return f"{words} of at least {kind.ge}"
        return f"{words} above {kind.gt}" if kind.gt is not None else words
    if isinstance(kind, inspect.StructType | inspect.DictType):
        return "a table"
    if isinstance(kind, inspect.ListType | inspect.VarTupleType | inspect.SetType):
        return f"a list, each entry {_expectation(kind.item_type)}"
    if isinstance(kind, inspect.UnionType):
        return " or ".join(_expectation(option) for option in kind.types if not isinstance(option, inspect.NoneType))
    if isinstance(kind, inspect.BoolType):
        return "true or false"
    return "a text in quotes"


def _example(struct: type[msgspec.Struct], path: tuple[str, ...]) -> str:
    """`, for example `port = 1883``, where the field has a default worth showing."""
    parent = type_at(struct, path[:-1]) if path else None
    if not isinstance(parent, inspect.StructType):
        return ""
    for field in parent.fields:
        if field.encode_name == path[-1] and isinstance(field.default, bool | int | float | str):
            value = msgspec.json.encode(field.default).decode()
            return f", for example `{path[-1]} = {value}`"
    return ""

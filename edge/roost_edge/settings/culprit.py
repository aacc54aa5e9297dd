"""Which one setting a struct's own check refused: it says what is wrong, and not always where.

A refusal belongs to the deepest table that, converted alone, is refused with the same sentence. In that table the
culprit is the setting without which nothing is refused any more; of several, the one that the sentence names.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from roost_broker.errors import Misuse

Path = tuple[str, ...]
_PLACE = re.compile(r" - at `\$[^`]*`\Z")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")


def culprit(document: Mapping[str, Any], struct: type[msgspec.Struct], error: Exception) -> Path:
    """Path of that setting, or of its table where no single one is it. `error` came of converting `document`."""
    sentence = _sentence(error)
    for path, table, kind in _tables(document, inspect.type_info(struct), ()):
        if _refusal(table, kind) == sentence:
            return (*path, *_within(table, kind, sentence))
    return ()


def type_at(struct: type[msgspec.Struct], path: Path) -> inspect.Type | None:
    """What stands at a path; None where nothing can."""
    kind: inspect.Type | None = inspect.type_info(struct)
    for name in path:
        kind = not_none(kind)
        if isinstance(kind, inspect.StructType):
            kind = next((field.type for field in kind.fields if field.encode_name == name), None)
        elif isinstance(kind, inspect.DictType):
            kind = kind.value_type
        elif isinstance(kind, inspect.ListType | inspect.VarTupleType):
            kind = kind.item_type
        else:
            return None
    return not_none(kind)


def not_none(kind: inspect.Type | None) -> inspect.Type | None:
    """The one real alternative of `X | None`; other unions stay whole."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        real = [option for option in kind.types if not isinstance(option, inspect.NoneType)]
        return not_none(real[0]) if len(real) == 1 else kind
    return kind


def _tables(
    value: object, kind: inspect.Type | None, path: Path
) -> Iterator[tuple[Path, Mapping[str, Any], inspect.StructType]]:
    """Every table of the document that is a struct, the inner ones first."""
    kind = not_none(kind)
    if isinstance(kind, inspect.StructType) and isinstance(value, Mapping):
        for field in kind.fields:
            if field.encode_name in value:
                yield from _tables(value[field.encode_name], field.type, (*path, field.encode_name))
        yield path, value, kind
    elif isinstance(kind, inspect.DictType) and isinstance(value, Mapping):
        for name, part in value.items():
            yield from _tables(part, kind.value_type, (*path, name))
    elif isinstance(kind, inspect.ListType | inspect.VarTupleType) and isinstance(value, list):
        for index, part in enumerate(value):
            yield from _tables(part, kind.item_type, (*path, str(index)))


def _within(table: Mapping[str, Any], kind: inspect.StructType, sentence: str) -> Path:
    """The setting of this table, as a path of one name or none."""
    without = {name: _refusal({key: table[key] for key in table if key != name}, kind) for name in table}
    cures = [name for name, refusal in without.items() if not refusal]
    named = [word for word in re.findall(r"\w+", sentence) if word in table]
    for name in (*(name for name in named if name in cures), *cures, *named):
        return (name,)
    others = [name for name, refusal in without.items() if refusal != sentence and not _misses(refusal, name)]
    return tuple(others[:1])


def _misses(refusal: str, name: str) -> bool:
    found = _MISSING.match(refusal)
    return found is not None and found["name"] == name


def _refusal(table: Mapping[str, Any], kind: inspect.StructType) -> str:
    try:
        msgspec.convert(table, kind.cls)
    except (msgspec.ValidationError, Misuse) as error:
        return _sentence(error)
    return ""


def _sentence(error: Exception) -> str:
    return _PLACE.sub("", str(error))

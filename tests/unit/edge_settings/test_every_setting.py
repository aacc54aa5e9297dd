"""Each setting that there is, given something it cannot be: the error names line, field and remedy.

The settings are found by looking at the structs, so that a new one is in this corpus on the day it is made.
"""

import copy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from msgspec import inspect

from roost_edge.cli.config import to_toml
from roost_edge.settings.device import Settings
from roost_edge.settings.explain import SettingsError
from roost_edge.settings.loading import load
from roost_edge.settings.schema import schema

BASE: dict[str, Any] = {
    "node": {"name": "coop-1"},
    "tasks": {
        "nest": {
            "schedule": "s.toml",
            "models": {"champion": {"bundle": "b", "ota": "bird"}},
            "state": {"light": {"file": "light.txt"}},
        }
    },
    "cameras": {"box": {"task": "nest"}},
    "ota": {"registry": "registry", "root": "root.json"},
}
"""Loads; has one entry of everything that people give names to, and every part that is required somewhere."""
NAMES = {
    ("tasks",): "nest",
    ("tasks", "nest", "models"): "champion",
    ("tasks", "nest", "state"): "light",
    ("cameras",): "box",
    ("alerts", "rules"): "guest",
    ("mosquitto", "programs"): "screen",
}
Step = tuple[str, ...]


def real(kind: inspect.Type) -> inspect.Type:
    """The one real alternative of `X | None`, without its constraints' wrapper."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        options = [option for option in kind.types if not isinstance(option, inspect.NoneType)]
        return real(options[0]) if len(options) == 1 else kind
    return kind


def tables(kind: inspect.Type, path: Step = ()) -> Iterator[tuple[Step, inspect.StructType]]:
    """Every table of the settings with the struct it is, by its path."""
    kind = real(kind)
    if isinstance(kind, inspect.StructType):
        yield path, kind
        for field in kind.fields:
            yield from tables(field.type, (*path, field.encode_name))
    elif isinstance(kind, inspect.DictType) and path in NAMES:
        yield from tables(kind.value_type, (*path, NAMES[path]))


def settings() -> Iterator[tuple[Step, inspect.Type]]:
    """Every single setting."""
    for path, struct in tables(inspect.type_info(Settings)):
        for field in struct.fields:
            kind = real(field.type)
            if not isinstance(kind, inspect.StructType | inspect.DictType):
                yield (*path, field.encode_name), kind


def changed(path: Step, value: object) -> dict[str, Any]:
    """The base with this one setting; a table that is new has what is required in it."""
    document = copy.deepcopy(BASE)
    table = document
    for depth, name in enumerate(path[:-1], start=1):
        if name not in table and (struct := STRUCTS.get(path[:depth])):
            table[name] = {field.encode_name: something(field.type) for field in struct.fields if field.required}
        table = table.setdefault(name, {})
    table[path[-1]] = value
    return document


def something(kind: inspect.Type) -> object:
    kind = real(kind)
    return kind.values[0] if isinstance(kind, inspect.LiteralType) else "something"


def refused(folder: Path, document: dict[str, Any]) -> SettingsError:
    file = folder / "roost.toml"
    file.write_text(to_toml(document), encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert caught.value.remedy
    assert caught.value.remedy[-1] in ".?`]):"
    return caught.value


ALL = dict(settings())
STRUCTS = dict(tables(inspect.type_info(Settings)))


def test_the_base_of_this_corpus_loads(tmp_path: Path) -> None:
    (tmp_path / "roost.toml").write_text(to_toml(BASE), encoding="utf-8")
    assert load(tmp_path / "roost.toml").node.name == "coop-1"
    assert len(ALL) > 100  # the walk finds them


@pytest.mark.parametrize("path", ALL, ids=".".join)
def test_what_a_setting_cannot_be_is_told_with_its_line_its_name_and_what_it_can_be(path: Step, tmp_path: Path) -> None:
    wrong = [[["neither a text nor a number"]]]
    error = refused(tmp_path, changed(path, wrong))
    assert error.field.startswith(".".join(path))
    text = (tmp_path / "roost.toml").read_text(encoding="utf-8").splitlines()
    assert text[error.line - 1].startswith(f"{path[-1]} = "), error
    assert "expected" in error.cause


ANY_NUMBER = {("cameras", "box", "seed")}
NUMBERS = [
    path
    for path, kind in ALL.items()
    if isinstance(kind, inspect.IntType | inspect.FloatType) and path not in ANY_NUMBER
]


@pytest.mark.parametrize("path", NUMBERS, ids=".".join)
@pytest.mark.parametrize("value", [-(10**15), 10**15], ids=["far too small", "far too large"])
def test_no_number_is_without_bounds_and_the_one_refused_is_named(path: Step, value: int, tmp_path: Path) -> None:
    error = refused(tmp_path, changed(path, value))
    text = (tmp_path / "roost.toml").read_text(encoding="utf-8").splitlines()
    assert error.field == ".".join(path), error
    assert text[error.line - 1].startswith(f"{path[-1]} = "), error


@pytest.mark.parametrize("path", STRUCTS, ids=lambda path: ".".join(path) or "the file")
def test_a_setting_that_is_not_there_is_told_in_every_table(path: Step, tmp_path: Path) -> None:
    document = changed((*path, "no_such_setting"), 1)
    error = refused(tmp_path, document)
    assert error.field == ".".join((*path, "no_such_setting"))
    assert "no such setting" in error.cause
    text = (tmp_path / "roost.toml").read_text(encoding="utf-8").splitlines()
    assert text[error.line - 1] == "no_such_setting = 1"


def test_every_default_is_one_that_the_settings_accept(tmp_path: Path) -> None:
    file = tmp_path / "roost.toml"
    file.write_text(to_toml(BASE), encoding="utf-8")
    whole = msgspec.to_builtins(load(file))
    again = tmp_path / "again.toml"
    again.write_text(to_toml(whole), encoding="utf-8")
    assert msgspec.to_builtins(load(again)) == whole
    jsonschema.validate(tomllib.loads(again.read_text(encoding="utf-8")), schema())


@pytest.mark.parametrize("path", STRUCTS, ids=lambda path: ".".join(path) or "the file")
def test_the_published_schema_refuses_what_is_not_there_too(path: Step) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed((*path, "no_such_setting"), 1), schema())

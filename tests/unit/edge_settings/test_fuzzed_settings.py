"""Whatever stands in a settings file, `roost config check` answers with findings and never with a trace."""

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import inspect

from roost_edge.cli.config import to_toml
from roost_edge.settings.check import check
from roost_edge.settings.device import Settings

GOOD = """\
[node]
name = "coop-1"
data = "data"
[broker]
port = 1883
[tasks.henhouse]
schedule = "schedule.toml"
models.champion.bundle = "champion"
[tasks.henhouse.state.light]
file = "light.txt"
[cameras.nest]
task = "henhouse"
source = "synthetic"
motion.masks = [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]]
[alerts]
quiet_labels = ["egg"]
rules.guest.labels = ["fox"]
"""


def known_names() -> list[str]:
    """Of all tables and settings, so that what is made up is not refused at the first key."""
    found: set[str] = set()

    def walk(kind: inspect.Type) -> None:
        for part in getattr(kind, "types", ()) or (
            [kind.value_type] if isinstance(kind, inspect.DictType) else [getattr(kind, "item_type", None)]
        ):
            if isinstance(part, inspect.Type):
                walk(part)
        if isinstance(kind, inspect.StructType):
            for field in kind.fields:
                found.add(field.encode_name)
                walk(field.type)

    walk(inspect.type_info(Settings))
    return sorted(found)


def findings(text: str) -> None:
    """What the check finds in it, as a person must be able to read it."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "roost.toml"
        path.touch()
        found = check(path, text=text)
    lines = text.count("\n") + 1
    for one in found:
        assert one.problem
        assert one.remedy
        assert 1 <= one.line <= lines
        assert "Traceback" not in one.problem


SIGNS = (
    "",
    "=",
    "[",
    "]",
    '"',
    "'''",
    "{",
    "}",
    ".",
    "#",
    "\n",
    "[[",
    "]]",
    "-1",
    "nan",
    "inf",
    "1e999",
    "true",
    "[]",
    "{}",
)
TEXTS = ('"\\u0000"', '"/"', '"../.."', '"@identity"', "1979-05-27", "0x7fffffffffffffff")
EDITS = st.lists(
    st.tuples(
        st.integers(0, len(GOOD)),
        st.integers(0, 12),
        st.one_of(st.sampled_from(SIGNS), st.sampled_from(TEXTS), st.text(max_size=8)),
    ),
    min_size=1,
    max_size=4,
)
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["\x00", "/", "~nobody", "a" * 5_000, "ä/ö", "file://x", "://", "rtsp://a:b@c", "..", "\n"]),
)
TABLES = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(known_names()), st.text(min_size=1, max_size=6)), inner, max_size=5),
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(EDITS)
def test_a_good_file_that_was_damaged_is_answered_with_findings(edits: list[tuple[int, int, str]]) -> None:
    text = GOOD
    for at, length, instead in edits:
        text = text[:at] + instead + text[at + length :]
    findings(text)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([field.name for field in msgspec.structs.fields(Settings)]), TABLES, max_size=6))
@example({"tasks": {"a": {"schedule": "\x00"}}})
@example({"node": {"name": "n", "data": "\x00"}})
@example({"node": {"name": "n"}, "tasks": {"a": {"schedule": "a" * 5_000}}})
def test_made_up_tables_are_answered_with_findings(document: dict[str, Any]) -> None:
    findings(to_toml(document))
    findings(to_toml({"node": {"name": "coop-1"}, **document}))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(known_names()), VALUES, min_size=1, max_size=3), st.data())
def test_one_wrong_value_anywhere_in_a_good_file_is_answered_with_findings(
    changes: dict[str, Any], data: st.DataObject
) -> None:
    lines = GOOD.splitlines()
    for name, value in changes.items():
        at = data.draw(st.integers(0, len(lines)))
        lines.insert(at, to_toml({name: value}).rstrip("\n"))
    findings("\n".join(lines))


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"\xef\xbb\xbf[node]", b"\x00" * 100, b"[node]\r\nname = 'n'\r\n"])
def test_bytes_of_any_kind_are_answered_with_findings(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "roost.toml"
    path.write_bytes(data)
    assert all(one.problem and one.remedy for one in check(path))


def test_a_folder_in_the_place_of_the_file_is_a_finding(tmp_path: Path) -> None:
    assert [one.level for one in check(tmp_path)] == ["error"]

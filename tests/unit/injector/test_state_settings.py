from pathlib import Path

import pytest

from roost_broker.clock import SECOND
from roost_edge.settings.explain import SettingsError
from roost_edge.settings.loading import load
from roost_rendezvous.injector.settings import StateValue


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "no source"),
        ({"topic": "a", "file": "b"}, "topic and file"),
        ({"topic": "a/#"}, "topic"),
        ({"topic": "a", "pointer": "x"}, "pointer"),
        ({"command": ("",)}, "command"),
        ({"file": "a\0b"}, "file"),
        ({"file": "a", "every_s": 0.01}, "every_s"),
        ({"file": "a", "stale_after_s": float("nan")}, "stale_after_s"),
        ({"topic": "a", "scale": 0.5}, "scale"),
        ({"computed": "daylight", "latitude": 50.0}, "computed"),
        ({"computed": "daylight", "latitude": 91.0, "longitude": 0.0}, "latitude"),
        ({"topic": "a", "when_stale": "default"}, "default"),
        ({"topic": "a", "default": 1}, "default"),
        ({"topic": "a", "max_bytes": 100_000}, "max_bytes"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_the_setting_named(fields: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        StateValue(**fields)  # type: ignore[arg-type]  # wrong on purpose


def test_what_is_read_again_and_again_is_stale_after_three_turns_and_a_topic_never() -> None:
    assert StateValue(file="a", every_s=10).stale_ns == 30 * SECOND
    assert StateValue(command=("a",), every_s=10, timeout_s=2).stale_ns == 32 * SECOND
    assert StateValue(file="a", dated_by="file").stale_ns is None
    assert StateValue(topic="a").stale_ns is None
    assert StateValue(topic="a", stale_after_s=0.5).stale_ns == SECOND // 2


FILE = """[node]
name = "coop-1"
[tasks.nest]
schedule = "s.toml"
[tasks.nest.state.word]
file = "word.txt"
type = "text"
"""


def test_a_file_is_found_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "roost.toml").write_text(FILE, encoding="utf-8")
    assert load(tmp_path / "roost.toml").tasks["nest"].state["word"].file == str(tmp_path / "word.txt")


@pytest.mark.parametrize(
    ("old", "new", "line", "field"),
    [
        ('type = "text"', "every_s = 0", 7, "tasks.nest.state.word.every_s"),
        ('type = "text"', 'topic = "a"', 7, "tasks.nest.state.word.topic"),
        ('type = "text"', 'typ = "text"', 7, "tasks.nest.state.word.typ"),
        ("state.word", 'state."a b"', 5, "tasks.nest.state"),
    ],
)
def test_a_settings_file_that_cannot_be_is_refused_with_line_and_field(
    tmp_path: Path, old: str, new: str, line: int, field: str
) -> None:
    (tmp_path / "roost.toml").write_text(FILE.replace(old, new), encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load(tmp_path / "roost.toml")
    assert (refused.value.line, refused.value.field) == (line, field)

"""The corpus of bad settings: each names the line, the field, and what to do."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_edge.settings.explain import SettingsError
from roost_edge.settings.loading import load

GOOD = """\
[node]
name = "coop-1"
data = "data"

[broker]
port = 1883

[tasks.henhouse]
schedule = "schedule.toml"

[tasks.henhouse.models.champion]
bundle = "champion"

[cameras.nest]
task = "henhouse"
source = "synthetic"
"""


@dataclass(frozen=True)
class Bad:
    name: str
    change: tuple[str, str]
    line: int
    field: str
    says: str
    remedy: str


CORPUS = (
    Bad("unknown key", ("port = 1883", "prot = 1883"), 6, "broker.prot", "no such setting", "Did you mean `port`?"),
    Bad("unknown table", ("[broker]", "[brokr]"), 5, "brokr", "no such setting", "Did you mean `broker`?"),
    Bad("nothing alike", ("port = 1883", "zzz = 1"), 6, "broker.zzz", "no such setting", "Known here: base, "),
    Bad(
        "unknown key of a camera",
        ('source = "synthetic"', 'sauce = "synthetic"'),
        16,
        "cameras.nest.sauce",
        "no such setting",
        "Did you mean `source`?",
    ),
    Bad(
        "unknown key of a model",
        ('bundle = "champion"', 'bundel = "champion"'),
        12,
        "tasks.henhouse.models.champion.bundel",
        "no such setting",
        "Did you mean `bundle`?",
    ),
    Bad("missing name", ('name = "coop-1"', ""), 1, "node.name", "required", "Add `name = …` below [node]."),
    Bad("missing table", (GOOD[: GOOD.index("[broker]")], ""), 1, "node", "required", "Add the table [node]."),
    Bad(
        "missing task of a camera",
        ('task = "henhouse"', ""),
        14,
        "cameras.nest.task",
        "required",
        "below [cameras.nest]",
    ),
    Bad(
        "text for a number",
        ("port = 1883", 'port = "1883"'),
        6,
        "broker.port",
        "expected a whole number, but found a text in quotes",
        "for example `port = 1883`",
    ),
    Bad("number for a text", ('name = "coop-1"', "name = 1"), 2, "node.name", "expected a text", "a text in quotes"),
    Bad("number for a switch", ('data = "data"', "qa = 1"), 3, "node.qa", "expected true or false", "`qa = false`"),
    Bad(
        "not one of the choices",
        ('source = "synthetic"', 'source = "webcam"'),
        16,
        "cameras.nest.source",
        "webcam",
        '"opencv"',
    ),
    Bad("port out of range", ("port = 1883", "port = 0"), 6, "broker.port", "port is 0", "from 1 to 65535"),
    Bad(
        "password without a name",
        ("port = 1883", 'password = "x"'),
        6,
        "broker.password",
        "without a username",
        "Give both",
    ),
    Bad(
        "refused by the struct's own check",
        ('source = "synthetic"', "fps = 0.0"),
        16,
        "cameras.nest.fps",
        "fps = 0.0 is not between",
        "Correct this value.",
    ),
    Bad(
        "refused in a nested table",
        ('source = "synthetic"', "[cameras.nest.capture]\njpeg_quality = 3"),
        17,
        "cameras.nest.capture.jpeg_quality",
        "not between 40 and 100",
        "Correct this value.",
    ),
    Bad(
        "video without a path",
        ('source = "synthetic"', 'source = "video"'),
        16,
        "cameras.nest.source",
        'needs path = "…"',
        "Correct this value.",
    ),
    Bad(
        "table for a value",
        ("port = 1883", "[broker.port]"),
        6,
        "broker.port",
        "but found a table",
        "Write a whole number",
    ),
    Bad(
        "value for a table",
        (GOOD[GOOD.index("[tasks") :], "[archive]\n[node.qa]"),
        9,
        "node.qa",
        "found a table",
        "true",
    ),
    Bad("not TOML", ("port = 1883", "port = = 1"), 6, "", "not TOML", "Texts need quotes"),
    Bad("the same key twice", ("port = 1883", "port = 1\nport = 2"), 7, "", "not TOML", "each key stands once"),
    Bad("a text never closed", ('source = "synthetic"', 'source = "synthetic'), 16, "", "not TOML", "need quotes"),
    Bad("bad node name", ("coop-1", "coop 1"), 2, "node.name", "'coop 1'", "Use letters"),
    Bad(
        "reserved task name",
        ("[tasks.henhouse]", '[tasks.info]\nschedule = "s"\n[tasks.henhouse]'),
        8,
        "tasks.info",
        "reserved",
        "Choose another task name.",
    ),
    Bad(
        "bad model name",
        ("models.champion]", "models.'champ ion']"),
        11,
        "tasks.henhouse.models.champ ion",
        "'champ ion'",
        "Use letters",
    ),
    Bad(
        "camera of a task that is not there",
        ('task = "henhouse"', 'task = "hen"'),
        15,
        "cameras.nest.task",
        "there is no task 'hen' (tasks here: henhouse)",
        "Add [tasks.hen]",
    ),
    Bad(
        "overrides allowed for one task alone",
        ("[tasks.henhouse.models", "[tasks.henhouse.rendezvous]\nqa = true\n[tasks.henhouse.models"),
        12,
        "tasks.henhouse.rendezvous.qa",
        "for the whole device",
        "below [node]",
    ),
    Bad(
        "camera named like a task",
        ("[cameras.nest]", "[cameras.henhouse]"),
        14,
        "cameras.henhouse",
        "also the name of a task",
        "another name",
    ),
)


def write(folder: Path, text: str) -> Path:
    path = folder / "roost.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("bad", CORPUS, ids=lambda bad: bad.name)
def test_bad_settings_name_line_field_and_remedy(bad: Bad, tmp_path: Path) -> None:
    text = GOOD.replace(*bad.change)
    assert text != GOOD
    path = write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load(path)
    error = caught.value
    assert (error.line, error.field) == (bad.line, bad.field)
    assert bad.says in error.cause
    assert bad.remedy in error.remedy
    assert str(error).startswith(f"{path}, line {bad.line}: ")


def test_the_second_of_two_cameras_is_named_when_it_is_the_faulty_one(tmp_path: Path) -> None:
    text = GOOD + '\n[cameras.door]\ntask = "henhouse"\nwidth = "wide"\n'
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, text))
    assert caught.value.field == "cameras.door.width"
    assert caught.value.line == text[: text.index("width")].count("\n") + 1


def test_a_fault_inside_an_inline_table_has_the_line_of_the_table(tmp_path: Path) -> None:
    text = GOOD.replace('bundle = "champion"', "").replace(
        "[tasks.henhouse.models.champion]", "[tasks.henhouse.models]\nchampion = { bundle = 3 }"
    )
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, text))
    assert caught.value.line == 12
    assert caught.value.field == "tasks.henhouse.models.champion.bundle"


def test_lines_are_right_after_texts_and_lists_of_several_lines(tmp_path: Path) -> None:
    text = '[alerts]\nquiet_labels = [ # a list\n  "egg", # ]\n  "a]b",\n]\n\n[node]\nname = """\ncoop 1"""\n'
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, text))
    assert (caught.value.line, caught.value.field) == (8, "node.name")


def test_a_file_that_is_not_there_says_how_to_begin_one(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=re.escape("`roost config example` prints one")):
        load(tmp_path / "none.toml")


def test_a_file_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "roost.toml"
    path.write_bytes(b'[node]\nname = "h\xfchner"\n')
    with pytest.raises(SettingsError, match="UTF-8") as caught:
        load(path)
    assert caught.value.line == 2


def test_a_file_of_absurd_size_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = write(tmp_path, "#" * 1_000_001)
    with pytest.raises(SettingsError, match="is it the right file"):
        load(path)


def test_the_good_one_of_this_corpus_loads(tmp_path: Path) -> None:
    settings = load(write(tmp_path, GOOD))
    assert settings.node.name == "coop-1"


@pytest.mark.parametrize("value", ["[" * 5_000 + "]" * 5_000, "9" * 5_000], ids=["lists in lists", "a long number"])
def test_a_value_that_the_parser_chokes_on_is_a_reason_and_not_a_crash(value: str, tmp_path: Path) -> None:
    file = tmp_path / "roost.toml"
    file.write_text(f"a = {value}")
    with pytest.raises(SettingsError, match=r"line 1: this cannot be read"):
        load(file)

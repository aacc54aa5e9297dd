"""What the pages on operating schedules and on diagnostics show is true: the picture, the commands, the wishes."""

import re
import shlex
from collections import Counter
from pathlib import Path

import click
import msgspec
import pytest
from typer.main import get_command

from roost_broker.clock import VirtualClock
from roost_broker.diagnosis import COMPONENTS, Diagnosis, read
from roost_broker.faults import Fault
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import Diagnostics
from roost_broker.refusals import Refusals
from roost_broker.topics import NodeTopics
from roost_edge.cli.app import app
from roost_rendezvous import schedule as schedules
from roost_rendezvous.timeline import draw

ROOT = Path(__file__).resolve().parents[3]
OPERATIONS = (ROOT / "docs" / "schedule-operations.md").read_text(encoding="utf-8")
DIAGNOSTICS = (ROOT / "docs" / "diagnostics.md").read_text(encoding="utf-8")


def block(text: str, language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found[0])


def test_the_picture_of_the_page_is_what_the_command_draws_of_the_shipped_schedule() -> None:
    assert block(OPERATIONS, "text").splitlines() == draw(
        schedules.load(ROOT / "models" / "henhouse" / "schedule.toml")
    )


@pytest.mark.parametrize("line", re.findall(r"^\$ roost (.+)$", OPERATIONS, re.MULTILINE))
def test_every_command_of_the_page_exists_with_these_options(line: str) -> None:
    group = get_command(app)
    words = shlex.split(line)
    while isinstance(group, click.Group):
        found = group.get_command(click.Context(group), words[0])
        assert found is not None, words[0]
        group, words = found, words[1:]
    group.make_context("roost", words)  # parsed and checked, not run


def test_the_wishes_of_the_page_are_granted_in_qa_as_it_says() -> None:
    wishes = msgspec.json.decode(block(DIAGNOSTICS, "json"), type=Diagnostics)
    assert wishes.schedule is None
    assert read(wishes, qa=True, component="rendezvous").fault == Fault("slow", 700)
    assert read(wishes, qa=True, component="model", model="fast").fault == Fault("hang")
    assert read(wishes, qa=True, component="injector").overrides("injector") == ["trace", "log-level debug"]


def test_the_table_of_faults_knows_every_component_and_every_fault() -> None:
    assert f"| fault | {' | '.join(COMPONENTS)} |" in DIAGNOSTICS
    for component in COMPONENTS:
        for spec in ("slow:5", "error", "drop", "wrong", "hang"):
            asked = Diagnostics(faults=[{"component": component, "fault": spec}])
            possible = read(asked, qa=True, component=component).fault is not None
            (row,) = re.findall(rf"^\| `{spec.split(':')[0]}.*$", DIAGNOSTICS, re.MULTILINE)
            cells = [cell.strip() for cell in row.strip("|").split("|")]
            assert (cells[1 + COMPONENTS.index(component)] != "–") == possible


def test_every_refusal_is_named_on_the_page() -> None:
    topics, counts = NodeTopics("n").task("t"), Counter[str]()
    refusals = Refusals(MemoryBus(MemoryBroker(), "c"), topics, "decoy", VirtualClock(), counts)
    with pytest.raises(KeyError):
        refusals.note(Diagnosis(refused=("unheard-of",)), "r")
    for what in ("trace", "log-level", "fault", "fault-unknown"):
        assert f"`diagnostics-refused-{what}`" in DIAGNOSTICS

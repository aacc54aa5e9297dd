"""What the documentation shows is read, decoded, played through or run."""

import json
import re
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roost_broker.clock import MS
from roost_broker.messages import Score, decode
from roost_broker.shares import place
from roost_rendezvous import schedule as schedules
from roost_rendezvous.mailbox.actions import Answer
from roost_rendezvous.mailbox.core import Rendezvous
from roost_rendezvous.mailbox.events import DeclinedArrived, Event, ModelGone, ModelUp, RequestArrived, ScoreArrived

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md"])
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_ROW = re.compile(r"^\| `([^`]+)` \| ([\w: ]+) \| (\d+) ms \| (\w+) \|$", re.MULTILINE)
MODELS = ("champion", "fast", "rules", "canary")


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return [body for found, body in _BLOCK.findall(text) if found == language]


def anchors(page: Path) -> set[str]:
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name} links to {link}, and there is no such heading"


def test_every_page_is_in_the_index() -> None:
    linked = {(DOCS / link).resolve() for link in _LINK.findall((DOCS / "README.md").read_text(encoding="utf-8"))}
    missing = [page for page in DOCS.rglob("*.md") if page.name != "README.md" and page.resolve() not in linked]
    assert missing == []


def test_the_message_examples_decode_and_belong_together() -> None:
    examples = [decode(block.encode()) for block in blocks("architecture.md", "json")]
    assert [type(message).__name__ for message in examples] == ["Request", "Receipt", "Score", "Result"]
    assert len({message.request_id for message in examples if hasattr(message, "request_id")}) == 1
    score = examples[2]
    assert isinstance(score, Score)
    assert score.saw == getattr(examples[1], "saw", None)
    for block in blocks("architecture.md", "json"):
        json.loads(block)


def test_the_picture_is_well_formed_and_refers_to_nothing_outside() -> None:
    text = (DOCS / "flow.svg").read_text(encoding="utf-8")
    ET.fromstring(text)  # noqa: S314  our own file
    assert "href" not in text
    assert "prefers-color-scheme: dark" in text
    ids = set(re.findall(r'id="([^"]+)"', text))
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= ids


def test_the_schedule_of_the_page_is_the_one_that_is_shipped() -> None:
    shown = schedules.parse(tomllib.loads(blocks("schedule.md", "toml")[0]))
    shipped = schedules.load(ROOT / "models" / "henhouse" / "schedule.toml")
    assert shown == shipped


def predictions() -> list[tuple[str, str, str, str, str]]:
    """Every row of the schedule page, behind the TOML that it is about: the page's first schedule and one addition."""
    text = (DOCS / "schedule.md").read_text(encoding="utf-8")
    first, *additions = [(found.start(), found[2]) for found in _BLOCK.finditer(text) if found[1] == "toml"]
    rows = []
    for row in _ROW.finditer(text):
        addition = [body for start, body in additions if start < row.start()][-1:]
        rows.append((json.dumps([first[1], *addition]), row[1], row[2], row[3], row[4]))
    return rows


def schedule_of(texts: str) -> schedules.Schedule:
    first, *additions = [tomllib.loads(text) for text in json.loads(texts)]
    for addition in additions:
        first |= addition
    return schedules.parse(first)


def play(schedule: schedules.Schedule, what: str) -> Answer:
    """Play one row through the server's core: request at 0, each model as the row says."""
    core = Rendezvous(schedule)
    events: list[tuple[int, Event]] = []
    request_id, tags = "r", {}
    for model in {*MODELS, *schedule.models}:
        core.handle(ModelUp(message_id="up", model=model, session=1), 0)
    for part in what.split(", "):
        model, *rest = part.split()
        if model == "camera":
            tags = {"camera": rest[0]}
        elif model == "request":
            request_id = rest[0]
        elif rest == ["gone"]:
            core.handle(ModelGone(message_id="gone", model=model, session=1), 0)
        elif rest[0] == "declined":
            events.append((int(rest[1]), DeclinedArrived(message_id="d", request_id=request_id, model=model)))
        else:
            label = rest[1] if len(rest) > 1 else "hen"
            events.append((int(rest[0]), ScoreArrived(message_id="s", request_id=request_id, model=model, label=label)))
    question = RequestArrived(message_id="q", request_id=request_id, opened_ns=0, deadline_ms=2000, tags=tags)
    done = list(core.handle(question, 0))
    waiting = sorted(events, key=lambda event: event[0])
    while not (answers := [action for action in done if isinstance(action, Answer)]):
        deadline = core.deadline()
        assert deadline is not None
        if waiting and waiting[0][0] * MS <= deadline:
            at, event = waiting.pop(0)
            done += core.handle(event, at * MS)
        else:
            done += core.expire(deadline)
    return answers[0]


@pytest.mark.parametrize(("texts", "what", "official", "at", "cause"), predictions(), ids=lambda value: value[:60])
def test_the_server_does_what_the_page_predicts(texts: str, what: str, official: str, at: str, cause: str) -> None:
    schedule = schedule_of(texts)
    answer = play(schedule, what)
    named = answer.chosen.model if answer.chosen is not None else answer.label
    if named in schedule.quorum:
        named += f": {answer.label}"
    assert (named, answer.elapsed_ns, answer.cause) == (official, int(at) * MS, cause)


def test_the_page_predicts_enough() -> None:
    rows = predictions()
    assert {cause for *_, cause in rows} == {"preferred", "fallback", "default"}
    found: dict[str, int] = {}
    for texts, *_ in rows:
        found[texts] = found.get(texts, 0) + 1
    used = [schedule_of(texts) for texts in found]
    for table in ("rollout", "random", "sample", "quorum", "rank"):
        assert any(getattr(schedule, table) for schedule in used), f"no row plays {table}"
    assert next(iter(found.values())) >= 10
    assert min(found.values()) >= 3


def test_the_places_of_cameras_that_the_page_names_are_those_of_the_hash() -> None:
    text = (DOCS / "schedule.md").read_text(encoding="utf-8")
    for camera in ("roof", "west", "door"):
        said = re.search(rf"`{camera}` has (0\.\d\d)|`{camera}` (0\.\d\d)", text)
        assert said is not None
        assert f"{place('challenger', camera):.2f}" == (said[1] or said[2])


def test_the_walk_through_of_adding_a_model_can_be_walked(tmp_path: Path, walk: Callable[..., Any]) -> None:
    """Runs the commands of the page in order, with the page's own model, up to the import of somebody's file."""
    from PIL import Image

    Image.new("RGB", (64, 48), (250, 240, 200)).save(tmp_path / "picture.jpg")
    text = (DOCS / "add-a-model.md").read_text(encoding="utf-8").split("## From somebody's")[0]
    output = ""
    for language, body in _BLOCK.findall(text):
        if language == "python":
            (tmp_path / body.splitlines()[0].removeprefix("# ")).write_text(body, encoding="utf-8")
        if language == "console":
            output = list(walk(body.splitlines(), tmp_path).values())[-1]
    assert "bright" in output.splitlines()[0]
    assert (tmp_path / "brightness-0.1.0.roost").is_file()


def test_the_settings_of_the_walk_through_are_settings() -> None:
    from roost_edge.settings.device import ModelSettings

    section, schedule_line = blocks("add-a-model.md", "toml")
    table = tomllib.loads(section)["tasks"]["henhouse"]["models"]["brightness"]
    assert ModelSettings(**table).bundle == "bundles/brightness"
    block = blocks("schedule.md", "toml")[0]
    changed = schedules.parse({**tomllib.loads(block), **tomllib.loads(schedule_line)})
    assert changed.ignore == ("canary", "brightness")

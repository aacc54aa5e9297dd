"""The Grafana dashboard that is committed asks for what the page tells, and explains each panel."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from roost_broker.messages import Alarms, ModelState, RoleState
from roost_edge.page.measuring import Measured
from roost_edge.page.view import View
from roost_rendezvous.analytics.faces.metrics import Family

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "docs" / "grafana" / "roost.json").read_text(encoding="utf-8")
)
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
HEAD: dict[str, Any] = {"timestamp": 1_800_000_000_000, "message_id": "a" * 32}


def families() -> list[Family]:
    view = View(("nest",), ())
    view.take(ModelState(**HEAD, model="champion", state="ready", session=1), "nest")
    view.take(RoleState(**HEAD, role="monitor", state="ready", session=1, counts={"ran-on-ms nest/slow": 1500}))
    view.take(Alarms(**HEAD, task="nest", signals=5, able=3), "nest")
    return Measured(0).families(view, "1")


def names() -> set[str]:
    found = set()
    for family in families():
        suffixes = {"counter": ("_total",), "info": ("_info",), "histogram": ("", "_bucket", "_sum", "_count")}
        found |= {family.name + suffix for suffix in suffixes.get(family.kind, ("",))}
    return found


def expressions() -> list[str]:
    queries = [one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    return [*queries, *(target["expr"] for panel in PANELS for target in panel["targets"])]


@pytest.mark.parametrize("expression", expressions())
def test_every_expression_asks_for_metrics_and_labels_that_there_are(expression: str) -> None:
    asked = set(re.findall(r"\broost_\w+", expression))
    assert asked
    assert asked <= names()
    labels = {label for family in families() for label in family.labels} | {"instance", "le"}
    grouped = {one.strip() for found in re.findall(r"by \(([^)]+)\)", expression) for one in found.split(",")}
    matched = {one for found in re.findall(r"\{([^}]*)\}", expression) for one in re.findall(r"(\w+)\s*=", found)}
    assert grouped | matched <= labels


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_panel_says_what_it_shows_and_names_no_data_source_of_somebodys_own(panel: dict[str, Any]) -> None:
    assert len(panel["description"].split()) >= 7
    assert {one["datasource"]["uid"] for one in (panel, *panel["targets"])} == {"${datasource}"}
    assert panel["fieldConfig"]["defaults"]["unit"]


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)

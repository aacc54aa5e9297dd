"""What the page about overload shows can be used as it stands, and names what the code knows."""

import json
import tomllib
from pathlib import Path

import msgspec

from roost_edge.settings.device import ModelSettings
from roost_models.bundle.manifest import BatchContract, QueueContract
from roost_models.scaffold.request_desk import RequestDesk

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "overload.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return PAGE.split(f"```{language}\n")[1].split("```")[0]


def test_the_manifests_part_and_the_settings_of_the_page_are_accepted() -> None:
    shown = json.loads(block("json"))
    assert msgspec.convert(shown["queue"], QueueContract).strategy == "auto"
    assert msgspec.convert(shown["batch"], BatchContract).sizes == [1, 4, 16]
    models = tomllib.loads(block("toml"))["tasks"]["henhouse"]["models"]
    assert msgspec.convert(models["champion"], ModelSettings).numbers == (1, 2)


def test_the_counts_of_the_page_are_those_of_a_scaffold() -> None:
    rows = [line.split("|")[1].split("`")[1::2] for line in PAGE.splitlines() if line.startswith("| `")]
    counts = {name for row in rows for name in row} - {"strategy", "skip", "batch", "auto"}
    assert "batch_1" in counts
    described = RequestDesk.__doc__ or ""
    for name in counts:
        stem = name.split("_")[0]
        assert stem in described, name

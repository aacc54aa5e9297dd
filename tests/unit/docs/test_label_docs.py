"""The commands of the pages on labels and datasets are run, in their order, over pictures made here."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from roost_models.labels.scoring import Weights

DOCS = Path(__file__).resolve().parents[3] / "docs"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def lines_of(page: str) -> list[str]:
    blocks = _BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))
    return [line for block in blocks for line in block.splitlines()]


def test_the_commands_of_both_pages_can_be_walked(tmp_path: Path, walk: Callable[..., Any]) -> None:
    rows = ["filename,hens"]
    for number in range(24):
        label = ("hen", "jay")[number % 2]
        path = tmp_path / "birds" / label / f"cam_2026-05-{number // 4 + 1:02}_0{number % 10}00.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (number * 10, 255 - number * 10, 40)).save(path)
        rows.append(f"{path.relative_to(tmp_path)},{number % 2}")
    (tmp_path / "truth.csv").write_text("\n".join(rows), encoding="utf-8")
    said = walk(lines_of("labels.md"), tmp_path)
    assert "24 labels are new" in next(iter(said.values()))
    assert "48 were known" in said["$ roost label import labels.jsonl"]
    shown = walk(lines_of("datasets.md"), tmp_path)
    assert "nest-box 2026-05-01" in shown["$ roost dataset show birds"]
    assert "all is well" in shown["$ roost dataset check birds"]


def test_the_page_names_the_points_that_count() -> None:
    text = (DOCS / "labels.md").read_text(encoding="utf-8")
    rows = [float(points) for points in re.findall(r"^\| .* \| (\d(?:\.\d)?) \|$", text, re.MULTILINE)]
    weights = Weights()
    assert rows == [
        max(weights.suggestion, weights.authors_disagree),
        weights.canary,
        weights.close,
        weights.default,
        weights.alarm,
        weights.models,
        weights.rare,
        weights.fallback,
    ]
    assert f"less than {weights.close_margin} above" in text
    assert f"less than {weights.rare_share:.0%}".replace("%", " %") in text

"""The commands of the pages on labels and datasets are run, in their order, over pictures made here."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from PIL import Image

from roost_models.labels.scoring import Weights

DOCS = Path(__file__).resolve().parents[3] / "docs"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MAIN = "import sys; from roost_edge.cli import main; sys.exit(main())"


def walk(page: str, folder: Path) -> dict[str, str]:
    """Run every command of a page; what each printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROOST_")}
    said = {}
    for block in _BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        for line in block.splitlines():
            command = shlex.split(line.removeprefix("$ roost "))
            done = subprocess.run(
                [sys.executable, "-c", MAIN, *command],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            said[line] = done.stdout + done.stderr
    return said


def test_the_commands_of_both_pages_can_be_walked(tmp_path: Path) -> None:
    rows = ["filename,hens"]
    for number in range(24):
        label = ("hen", "jay")[number % 2]
        path = tmp_path / "birds" / label / f"cam_2026-05-{number // 4 + 1:02}_0{number % 10}00.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (number * 10, 255 - number * 10, 40)).save(path)
        rows.append(f"{path.relative_to(tmp_path)},{number % 2}")
    (tmp_path / "truth.csv").write_text("\n".join(rows), encoding="utf-8")
    said = walk("labels.md", tmp_path)
    assert "24 labels are new" in next(iter(said.values()))
    assert "48 were known" in said["$ roost label import labels.jsonl"]
    shown = walk("datasets.md", tmp_path)
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

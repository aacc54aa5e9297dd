"""The training page's story is played through, command by command."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roost_models.bundle.opening import open_bundle

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"


def test_the_story_of_the_page_can_be_walked(tmp_path: Path, walk: Callable[..., Any]) -> None:
    blocks = re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    assert len(lines) == 9
    walk(lines, tmp_path, timeout=120)
    first, second = (
        open_bundle(tmp_path / "roost-centre/bundles/nest-head" / version) for version in ("1.0.0", "1.0.1")
    )
    assert "plymouth_rock" not in first.manifest.labels
    assert "plymouth_rock" in second.manifest.labels
    assert first.manifest.files["backbone.tflite"] == second.manifest.files["backbone.tflite"]
    assert second.manifest.trained_on is not None
    assert second.manifest.trained_on.version == 2

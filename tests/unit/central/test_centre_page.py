"""What docs/centre.md shows can be loaded, and runs as far as it can without a centre."""

import re
from pathlib import Path

import pytest

from roost_broker.centre.layout import CentreLayout
from roost_models.central.settings import load

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "centre.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", blocks("toml"))
def test_every_settings_example_is_a_centre(block: str, tmp_path: Path) -> None:
    (tmp_path / "centre.toml").write_text(block, encoding="utf-8")
    settings = load(CentreLayout(tmp_path))
    assert settings.access.urls


def test_the_examples_in_python_can_be_imported() -> None:
    (block,) = blocks("python")
    found: dict[str, object] = {}
    exec(compile(block, "docs/centre.md", "exec"), found)  # noqa: S102 - our own page
    assert callable(found["main"])

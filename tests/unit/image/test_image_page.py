"""What docs/image.md shows is accepted as it stands there."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from roost_broker.errors import Misuse
from roost_provisioning.cli import app, image_build
from roost_provisioning.image.build.building import STAGES
from roost_provisioning.image.build.device_files import DEFAULT_BUNDLES, gather
from roost_provisioning.image.build.first_partition import write_card_files
from roost_provisioning.image.recipe import BOOT_LABEL, DATA_LABEL, ROOT_LABEL

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "image.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def build_command() -> Any:
    command: Any = get_command(app)
    return command.commands["image"].commands["build"]


def test_each_build_on_the_page_is_one_the_command_understands() -> None:
    lines = re.findall(r"^\$ roost image build(.*)$", PAGE, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        build_command().make_context("build", shlex.split(line))


def test_the_pages_options_are_those_of_the_command() -> None:
    known = {name for parameter in build_command().params for name in parameter.opts}
    shown = set(re.findall(r"`(--[a-z-]+)", "\n".join(line for line in PAGE.splitlines() if line.startswith("| `--"))))
    assert shown <= known
    assert known - shown <= {"--settings", "--seed", "--bundle", "-o", "--help"}


def test_the_settings_on_the_page_make_a_device(tmp_path: Path) -> None:
    (tmp_path / "schedules").mkdir()
    shutil.copy(ROOT / "models/henhouse/schedule.toml", tmp_path / "schedules/henhouse.toml")
    (tmp_path / "device.toml").write_text(block("toml"), encoding="utf-8")
    gather(tmp_path / "device.toml", (), ROOT / "models/henhouse", tmp_path / "device")
    assert all(f"`{name}`" in PAGE or name in PAGE for name in DEFAULT_BUNDLES)


def test_the_login_on_the_page_is_taken_as_user_data(tmp_path: Path) -> None:
    (tmp_path / "ada").write_text(block("yaml"), encoding="utf-8")
    write_card_files(tmp_path, user_data=tmp_path / "ada", network=None, seed=None)
    assert (tmp_path / "user-data").read_text(encoding="utf-8") == block("yaml")


@pytest.mark.parametrize("word", [BOOT_LABEL, ROOT_LABEL, DATA_LABEL, *STAGES[1:]])
def test_labels_and_stages_are_called_as_on_the_page(word: str) -> None:
    assert re.search(rf"\b{word}\b", PAGE)


def test_a_read_only_root_that_nobody_tried_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="not tried with trixie"):
        image_build.build(
            release="trixie", mirror="https://m.example/debian", read_only_root=True, cache=tmp_path / "cache"
        )
    assert not list(tmp_path.iterdir())

"""The page about alarms shows settings that there are, and an example that works."""

import re
from pathlib import Path

import msgspec
import pytest

from roost_rendezvous.analytics.alarms.episode import Contribution, Episode, Verdict
from roost_rendezvous.analytics.alarms.settings import AnalyticsAlarmSettings

PAGE = (Path(__file__).parents[3] / "docs" / "alarms.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.S)
    assert found is not None
    return found[1]


def test_the_settings_shown_are_accepted_and_mean_six_alarms() -> None:
    lines = [line for line in block("toml").splitlines() if "=" in line]
    found = {name: float(value) for name, value in (line.split(" = ") for line in lines)}
    assert msgspec.convert(found, AnalyticsAlarmSettings).alarms_per_week == 6.0


def test_the_table_has_every_setting_with_its_default() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", PAGE[PAGE.index("## All settings") :], re.M))
    assert told == {field.name: str(field.default) for field in msgspec.structs.fields(AnalyticsAlarmSettings)}


def test_every_verdict_is_explained() -> None:
    assert all(f"| `{verdict}` |" in PAGE for verdict in Verdict.__args__)


def test_the_parts_of_an_alarm_that_are_explained_exist() -> None:
    fields = {field.name for of in (Episode, Contribution) for field in msgspec.structs.fields(of)}
    assert {"nines", "beside_others", "per_week"} <= fields
    assert all(f"| `{name}` |" in PAGE for name in ("nines", "beside_others", "per_week"))


def test_the_example_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block("python"), "alarms.md", "exec"), {})  # noqa: S102 - the page's own example
    printed = capsys.readouterr().out.strip()
    assert printed
    assert f"It prints `{printed}`" in PAGE

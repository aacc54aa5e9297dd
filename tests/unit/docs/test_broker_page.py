"""docs/broker.md: its settings are settings, its command exists, and its table of roles has them all."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from roost_broker.access_rules import may
from roost_broker.mosquitto_device import DeviceBrokerSettings, program_rights
from roost_broker.role_access import Household, Role, sessions
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics
from roost_edge.cli.app import app
from roost_edge.processes.plan import KINDS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "broker.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_block_of_settings_is_accepted() -> None:
    assert len(BLOCKS) == 4
    for block in BLOCKS:
        for section, values in tomllib.loads(block).items():
            struct = {"broker": BrokerSettings, "mosquitto": DeviceBrokerSettings}[section]
            settings = msgspec.convert(values, struct)
            if isinstance(settings, DeviceBrokerSettings):
                program_rights(settings, NodeTopics("coop-1"))


@pytest.mark.parametrize("command", ["setup", "render"])
def test_the_commands_of_the_page_exist_with_their_options(command: str) -> None:
    assert f"roost broker {command}" in PAGE
    said = CliRunner().invoke(app, ["broker", command, "--help"]).output
    for option in ("--check", "--json", "--root") if command == "setup" else ("--json", "--root"):
        assert option in said


def test_the_table_of_rights_has_every_kind_of_role_and_names_the_right_streams() -> None:
    part = PAGE.split("## What a role may do")[1].split("**Schedules**")[0]
    rows = {row[0].strip("`"): row[1:] for row in re.findall(r"^\| (.+?) \| (.*?) \| ?(.*?) ?\|$", part, re.MULTILINE)}
    rows["ota"] = rows.pop("OTA agent")
    assert rows.keys() - {"role", "---", "watcher", "operator"} == set(KINDS)
    device = NodeTopics("n")
    home = Household(device, ("t",), ("c",), (("t", "s"),), (), ("request/ota",))
    for kind in KINDS:
        camera = "c" if kind == "capture" else ""
        role = Role(kind, kind, task="t", model="m", camera=camera, other="other")
        grants = [grant for some in sessions(role, home).values() for grant in some]
        flow = device.task("t")
        streams = {"raw": flow.raw, "input": flow.input, "schedule": flow.schedule, "receipts": flow.receipts}
        for stream, topic in {**streams, "state": flow.state, "ota": device.ota}.items():
            assert may(grants, "write", topic) == (f"`{stream}`" in rows[kind][1]), (kind, stream)

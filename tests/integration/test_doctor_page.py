"""docs/doctor.md, tried as it is written."""

import asyncio
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from device_folder import write_bundle, write_pictures, write_schedule, write_settings
from task_device import QUICK

from roost_broker.messages import Ask, decode
from roost_broker.mosquitto import PrivateBroker
from roost_edge.doctor.checks import checks_of
from roost_edge.processes.supervisor import Supervisor
from roost_edge.settings import loading

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (.+)$", PAGE, re.MULTILINE)
ROWS = re.findall(r"^\| `([a-z]+)(?:/[A-Z/]+)?` \|", PAGE, re.MULTILINE)


def card(folder: Path, port: int) -> Path:
    write_bundle(folder, "bright")
    write_schedule(folder, "bright")
    write_pictures(folder, 10, 240)
    return write_settings(folder, node="coop-1", port=port, bundles={"bright": "bright"})


def test_the_table_names_every_check_and_no_other(tmp_path: Path) -> None:
    settings = card(tmp_path, 1883)
    with settings.open("a", encoding="utf-8") as file:
        file.write('[gateway]\n[ota]\nregistry = "registry"\nroot = "root.json"\n')
    text = settings.read_text(encoding="utf-8")
    bundle = 'models.bright.bundle = "bright"\n'
    assert bundle in text
    settings.write_text(text.replace(bundle, f'{bundle}models.bright.ota = "bright"\n'), encoding="utf-8")
    groups = dict.fromkeys(check.group for check in checks_of(loading.load(settings)))
    assert [row for row in ROWS if row in groups] == list(groups)


def test_the_question_of_the_page_is_one() -> None:
    (example,) = [block for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) if "roost.ask" in block]
    ask = decode(json.dumps(json.loads(example)).encode())
    assert isinstance(ask, Ask)
    assert (ask.verb, ask.data["only"]) == ("doctor", ["camera", "storage"])


@pytest.mark.broker
@pytest.mark.processes
def test_every_command_of_the_page_does_what_it_says(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    settings = card(tmp_path, own_mosquitto.port)
    environment = {
        **os.environ,
        "ROOST_SETTINGS": str(settings),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }

    async def typed(line: str) -> str:
        words = shlex.split(line)
        if words[0] == "mosquitto_rr":
            words += ["-p", str(own_mosquitto.port)]
        process = await asyncio.create_subprocess_exec(
            *words, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        assert process.returncode == 0, f"{line}\n{out.decode()}{err.decode()}"
        return out.decode()

    async def main() -> None:
        supervisor = Supervisor(settings, policy=QUICK)
        try:
            await supervisor.start(settle_s=0)
            await supervisor.wait_ready(90)
            assert len(COMMANDS) == 6
            for line in COMMANDS:
                if shutil.which(line.split()[0], path=environment["PATH"]) is None:
                    continue  # mosquitto_rr comes in a package of its own
                said = await typed(line)
                if line.startswith("mosquitto_rr"):
                    answer = json.loads(said)
                    assert (answer["schema"], answer["status"]) == ("roost.answer/1", "ok")
                elif "--json" in line:
                    assert json.loads(said)["checks"][0]["name"] == "storage"
                else:
                    assert said.splitlines()[-1].startswith("coop-1: ")
        finally:
            await supervisor.stop()

    run(main(), timeout=180)

"""The page at /docs in a real browser, without any other server."""

import asyncio
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from proxy_world import SCHEDULE, TASK, device

from roost_broker.mosquitto import PrivateBroker

pytestmark = [pytest.mark.broker, pytest.mark.processes]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(BROWSER is None, reason="no chromium is installed: the page is not looked at")
def test_the_page_draws_the_device_its_tasks_and_every_operation(
    run: Callable[..., Any], mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "page") as world:
            process = await asyncio.create_subprocess_exec(
                *(
                    BROWSER or "",
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    f"--user-data-dir={tmp_path / 'browser'}",
                ),
                *("--virtual-time-budget=4000", "--dump-dom", world.url + "/docs"),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            dom = (await process.communicate())[0].decode()
            assert re.search(r'id="health"[^>]*>ready<', dom)
            assert f'<option value="{TASK}">' in dom
            assert SCHEDULE.version in dom
            assert "<td>champion</td>" in dom
            assert dom.count('<details class="op">') == 6
            assert f"{world.url}/v1/tasks/{TASK}/requests" in dom  # the curl line

    run(main(), timeout=60)

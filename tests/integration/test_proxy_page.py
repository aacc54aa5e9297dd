"""The page at /docs in a real browser, without any other server."""

import asyncio
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import BROWSER, page
from PIL import Image
from proxy_world import SCHEDULE, TASK, device

from roost_broker.mosquitto import PrivateBroker

pytestmark = [pytest.mark.broker, pytest.mark.processes]
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed: the page is not looked at")


@needs_browser
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


ANSWER = 'document.querySelector("#answer .pill")?.textContent'


@needs_browser
def test_the_form_asks_and_shows_the_answer_to_values_a_picture_and_what_is_no_question(
    run: Callable[..., Any], mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        Image.new("RGB", (64, 48), (200, 120, 40)).save(tmp_path / "a hen's.jpg")
        async with (
            device(mosquitto, tmp_path, "form") as world,
            page(tmp_path, world.url + "/docs") as tab,
        ):
            await tab.until('document.getElementById("health")?.textContent === "ready"')
            await tab.value('document.querySelector("input[value=values]").click()')
            for name, text in (("values", '{"number": 7}'), ("tags", "place=door, who=me"), ("deadline", "1500")):
                await tab.value(f'document.getElementById("{name}").value = {json.dumps(text)}')
            await tab.value('document.getElementById("send").click()')
            assert await tab.until(ANSWER) == "200 preferred"
            assert "7 0.90" in await tab.value('document.querySelector("#answer .big").textContent')
            asked = world.seen[-1]
            assert (asked.tags, asked.deadline_ms) == ({"place": "door", "who": "me"}, 1500)

            await tab.value('document.getElementById("values").value = "{"')
            await tab.value('document.getElementById("send").click()')
            await tab.until(f'({ANSWER})?.startsWith("400")')

            await tab.value('document.querySelector("input[value=picture]").click()')
            await tab.choose("#file", tmp_path / "a hen's.jpg")
            await tab.until('!document.getElementById("preview").hidden')
            await tab.value('document.getElementById("send").click()')
            await tab.until(f'({ANSWER}) === "200 preferred"')
            assert "64x48" in await tab.value('document.querySelector("#answer .big").textContent')
            assert "'a hen'\\''s.jpg'" in await tab.value('document.getElementById("curl").textContent')

            shown = [await tab.picture(scheme) for scheme in ("light", "dark")]
            paper = [Image.open(io.BytesIO(one)).convert("L").getpixel((5, 5)) for one in shown]
            assert paper[0] > 200 > 60 > paper[1]
            # Nothing but the refusal that was asked for.
            assert [one for one in tab.broken if "400" not in one] == []

    run(main(), timeout=60)

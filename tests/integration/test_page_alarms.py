"""Alarms on the device's page, in a real browser; and what a scraper gets, and does not get, at /metrics."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from alarm_story import CULPRIT, DEVICE, LEARNING, SENTENCE, everybody_is_ready, head, monitor
from browser import BROWSER, Page, page
from page_world import PASSWORD, TASK, device

from roost_broker.messages import Answer, ModelState, Reply, Result, encode
from roost_broker.mosquitto import PrivateBroker
from roost_edge.page import scraper_token

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed: the page is not worked")
pytestmark = [pytest.mark.processes, pytest.mark.broker]
TEXT = 'document.querySelector("main").textContent'
READY = '!window.left && document.readyState === "complete" && Boolean(document.querySelector("main h1"))'
PHONE = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
TORN = """
    [...document.querySelectorAll("main strong, main li, main .note")].flatMap((one) => {
      const torn = [], looking = document.createTreeWalker(one, NodeFilter.SHOW_TEXT);
      while (looking.nextNode()) {
        for (const word of looking.currentNode.textContent.matchAll(/\\w+/g)) {
          const range = document.createRange();
          range.setStart(looking.currentNode, word.index);
          range.setEnd(looking.currentNode, word.index + word[0].length);
          if (new Set([...range.getClientRects()].map((box) => box.top)).size > 1) torn.push(word[0]);
        }
      }
      return torn;
    })
"""
"""Words that stand on two lines."""
NATIVE = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


async def log_in(tab: Page) -> None:
    await tab.until("Boolean(document.querySelector('input[type=password]'))")
    await tab.value("document.querySelector('input[type=password]').focus()")
    await tab.type(PASSWORD)
    await tab.value("window.left = true; document.querySelector('.login button').click()")
    await tab.until(READY)


@needs_browser
def test_an_alarm_is_drawn_and_told_and_a_person_says_that_it_is_known(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def main() -> None:
        async with device(tmp_path, own_mosquitto) as (world, client):
            known = await monitor(client)
            async with page(tmp_path, f"{world.url}/alarms") as tab:
                await log_in(tab)
                await tab.until(f'{TEXT}.includes("the model changed: {SENTENCE}")')
                assert "1 alarm, 1 open" in await tab.value(TEXT)
                await tab.until(f'{TEXT}.includes("henhouse/latency/champion/evaluate")')
                assert "stranger than 99 of 100" in await tab.value(TEXT)
                drawn = "document.querySelector('.plot rect.span.bad').getBoundingClientRect().height"
                assert await tab.value(drawn) == 12  # its style sheet is there
                assert [one for one in tab.broken if "Security" in one] == []
                await tab.value(
                    "[...document.querySelectorAll('button')].find(one => /normal/.test(one.textContent)).click()"
                )
                question = await known.get()
                assert question.data["alarm"] == "ab12"
                reply = Reply(**head(), verb="acknowledge", transaction=question.transaction, status="ok")
                await client.publish(DEVICE.response("acknowledge"), encode(reply))

    run(main(), timeout=120)


@needs_browser
def test_on_a_phone_no_name_is_torn_inside_a_word_what_learns_is_folded_and_an_open_alarm_is_not_well(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def main() -> None:
        async with device(tmp_path, own_mosquitto) as (world, client):
            await monitor(client)
            await everybody_is_ready(world, client)
            async with page(tmp_path, f"{world.url}/alarms") as tab:
                await tab.do("Emulation.setDeviceMetricsOverride", **PHONE)
                await log_in(tab)
                await tab.until(f'{TEXT}.includes("settings ask for is ready, but 1 alarm is open")')
                await tab.until(f'{TEXT}.includes("{CULPRIT}")')
                assert "4 of 8 have too little history" in await tab.value(TEXT)
                assert await tab.value("document.querySelector('main .badge').textContent") == "alarm"
                rows = f"[...document.querySelectorAll('td')].filter((one) => one.textContent === '{LEARNING}')"
                assert not await tab.value(f"{rows}[0].checkVisibility()")
                await tab.value("document.querySelector('main details').open = true")
                assert await tab.value(f"{rows}[0].checkVisibility()")
                assert await tab.value(TORN) == []

    run(main(), timeout=120)


@needs_browser
def test_while_everything_learns_the_page_is_short_says_so_first_calls_nothing_well_and_can_be_let_stand(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def main() -> None:
        async with device(tmp_path, own_mosquitto) as (world, client):
            await monitor(client, at_first=True)
            await everybody_is_ready(world, client)
            async with page(tmp_path, f"{world.url}/alarms") as tab:
                await log_in(tab)
                await tab.until(f'{TEXT}.includes("What is usual here is not known yet")')
                await tab.until(f'{TEXT}.includes("8 of 8 have too little history")')
                seen = "[...document.querySelectorAll('main .badge')].filter((one) => one.checkVisibility())"
                assert await tab.value(f"{seen}.map((one) => one.textContent)") == ["learning"]
                folded = (
                    "[...document.querySelectorAll('main details')].map((one) => one.querySelectorAll('tr').length)"
                )
                assert await tab.value(folded) == [9, 2]
                live = "'live' in document.querySelector('main').dataset"
                assert await tab.value(live)
                assert 'href="?still"' in await tab.value("document.querySelector('main noscript').textContent")
                await tab.value("window.left = true; location.search = '?still'")
                await tab.until(READY)
                assert not await tab.value(live)

    run(main(), timeout=120)


def test_a_scraper_needs_the_token_and_gets_the_form_that_it_asks_for(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def main() -> None:
        async with device(tmp_path, own_mosquitto) as (world, client), aiohttp.ClientSession() as http:
            token = scraper_token.make(world.data / "page" / "metrics-token")
            await client.start()
            said = Answer(model="champion", version="1", label="hen", score=0.9)
            result = Result(
                **head(), request_id="b" * 32, cause="preferred", elapsed_ms=50.0, sla_ms=2_000, answer=said
            )
            await client.publish(DEVICE.task(TASK).results("anybody"), encode(result))
            state = ModelState(**head(), model="champion", state="ready", session=1)
            await client.publish(DEVICE.task(TASK).model_state("champion"), encode(state))

            async def get(**headers: str) -> tuple[int, str, bytes]:
                async with http.get(f"{world.url}/metrics", headers=headers) as answer:
                    return answer.status, answer.headers["Content-Type"], await answer.read()

            assert (await get())[0] == 401
            assert (await get(Authorization="Bearer nonsense"))[0] == 401
            known = {"Authorization": f"Bearer {token}"}
            while b'roost_model_ready{task="henhouse",model="champion"' not in (await get(**known))[2]:
                pass
            status, kind, text = await get(**known, Accept="application/openmetrics-text;version=1.0.0")
            assert (status, kind) == (200, "application/openmetrics-text; version=1.0.0; charset=utf-8")
            assert b'roost_results_total{task="henhouse",cause="preferred"} 1.0' in text
            assert text.endswith(b"# EOF\n")
            status, kind, native = await get(**known, Accept=NATIVE)
            assert kind.startswith("application/vnd.google.protobuf")
            assert b"roost_result_duration_seconds" in native
            async with http.get(f"{world.url}/alarms", headers=known) as answer:
                assert answer.status == 401  # the token opens nothing else

    run(main(), timeout=60)

"""Alarms on the device's page, in a real browser; and what a scraper gets, and does not get, at /metrics."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from browser import BROWSER, Page, page
from page_world import PASSWORD, TASK, device, into

from roost_broker.clock import MS, SystemClock
from roost_broker.headers import new_header
from roost_broker.messages import Alarms, AlarmSignal, Answer, Ask, ModelState, OpenAlarm, Reply, Result, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics
from roost_edge.page import scraper_token

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed: the page is not worked")
pytestmark = [pytest.mark.processes, pytest.mark.broker]
DEVICE = NodeTopics("coop-1")
TEXT = 'document.querySelector("main").textContent'
READY = '!window.left && document.readyState === "complete" && Boolean(document.querySelector("main h1"))'
NATIVE = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


def head() -> Any:
    return new_header(SystemClock(), "coop-1", "monitor")._asdict()


def an_alarm() -> OpenAlarm:
    now = SystemClock().wall_ns() // MS
    culprit = AlarmSignal(name="henhouse/score/champion/hen", share=0.8, sentence="hens score 0.5, usually 0.8")
    return OpenAlarm(
        alarm_id="ab12",
        task=TASK,
        verdict="model",
        opened_at=now - 3_600_000,
        updated_at=now,
        nines=3.3,
        signals=[culprit],
    )


async def monitor(client: MqttBus) -> "asyncio.Queue[Ask]":
    """What the role says, without the role: a retained list, and answers to both verbs."""
    asked: asyncio.Queue[Ask] = asyncio.Queue()
    known: asyncio.Queue[Ask] = asyncio.Queue()
    client.subscribe(DEVICE.request("alarms"), into(asked))
    client.subscribe(DEVICE.request("acknowledge"), into(known))
    await client.start()
    listed = Alarms(**head(), task=TASK, open=[an_alarm()], signals=2, able=1)
    await client.publish(DEVICE.task(TASK).alarms, encode(listed), retain=True)

    async def answer() -> None:
        while True:
            question = await asked.get()
            signal = {
                "signal": "henhouse/rate/requests",
                "side": "operational",
                "nines": 2.2,
                "now": 31.0,
                "normal": 80.0,
            }
            data = {"alarms": [], "signals": 2, "able": 1, "standing": [signal]}
            reply = Reply(**head(), verb="alarms", transaction=question.transaction, status="ok", data=data)
            await client.publish(DEVICE.response("alarms"), encode(reply))

    client.answering = asyncio.ensure_future(answer())  # type: ignore[attr-defined]  # kept as long as the client is
    return known


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
                await tab.until(f'{TEXT}.includes("the model changed: hens score 0.5, usually 0.8")')
                assert "1 alarm, 1 open" in await tab.value(TEXT)
                await tab.until(f'{TEXT}.includes("henhouse/rate/requests")')
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

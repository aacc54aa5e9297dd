"""The device's page in a real browser, over a real archive, real traces and a real broker."""

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import BROWSER, Page, page
from page_world import PASSWORD, TASK, a_desk, device, into
from PIL import Image

from roost_broker.clock import SystemClock
from roost_broker.headers import new_header
from roost_broker.messages import Alert, Ask, Suggestion, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.presence import role_state
from roost_broker.topics import NodeTopics
from roost_edge.page.settings_file import before_of
from roost_edge.settings import loading

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed: the page is not worked")
pytestmark = [pytest.mark.processes, pytest.mark.broker, needs_browser]
DEVICE = NodeTopics("coop-1")
TEXT = '(document.querySelector("main")?.textContent ?? "")'  # a page that only opens has none
PHONE = {"width": 360, "height": 780, "deviceScaleFactor": 1, "mobile": True}


async def go(tab: Page, address: str) -> None:
    await tab.value("window.left = true")
    await tab.do("Page.navigate", url=address)
    await tab.until('!window.left && document.readyState === "complete" && Boolean(document.querySelector("main h1"))')


async def send(tab: Page, form: str) -> None:
    """Press a form's button and wait for the next page."""
    await tab.value(f"window.left = true; document.querySelector({form!r}).click()")
    await tab.until('!window.left && document.readyState === "complete" && Boolean(document.querySelector("main h1"))')


async def log_in(tab: Page, said: str = PASSWORD) -> None:
    await tab.until("Boolean(document.querySelector('input[type=password]'))")
    await tab.value("document.querySelector('input[type=password]').focus()")
    await tab.type(said)
    await send(tab, ".login button")


def errors(tab: Page) -> list[str]:
    """What the browser complained of, without its advice, and without the refusals that a test provoked."""
    return [one for one in tab.broken if '"verbose"' not in one and '"info"' not in one and "status of 4" not in one]


def test_who_knows_the_password_comes_where_he_wanted_to_go_and_leaves_again(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def main() -> None:
        async with device(tmp_path, own_mosquitto) as (world, _), page(tmp_path, world.picture()) as tab:
            await log_in(tab, "three birds in a tree")
            assert "not the password" in await tab.value(TEXT)
            assert "hen" not in await tab.value(TEXT)
            await log_in(tab)
            assert await tab.value("location.pathname") == f"/gallery/{TASK}/{world.ids[-1]}"
            assert "Who said what" in await tab.value(TEXT)
            assert await tab.value("document.cookie") == ""  # no script can read it
            await send(tab, "footer button")
            assert await tab.value("location.pathname") == "/login"
            assert errors(tab) == []

    run(main(), timeout=60)


def test_a_correction_is_said_on_the_broker_and_seen_in_the_gallery(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def main() -> None:
        heard: asyncio.Queue[Suggestion] = asyncio.Queue()
        async with device(tmp_path, own_mosquitto) as (world, client), page(tmp_path, world.picture()) as tab:
            client.subscribe(DEVICE.task(TASK).suggestions, into(heard))
            await client.start()
            await log_in(tab)
            await tab.value("document.querySelector('input[name=other]').focus()")
            await tab.type("jay <b>")
            await send(tab, ".row button[name=label]")
            said = await heard.get()
            assert (said.label, said.request_id, said.source) == ("jay <b>", world.ids[-1], "page")
            assert said.frame is not None
            assert "somebody at the device's page said jay <b>" in await tab.value(TEXT)
            await go(tab, f"{world.url}/gallery")
            assert await tab.value("document.querySelector('.card .corrected').textContent") == "→ jay <b>"
            assert errors(tab) == []

    run(main(), timeout=60)


def test_the_gallery_is_searched_by_label_and_leafed_through(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def main() -> None:
        async with (
            device(tmp_path, own_mosquitto, locked=False) as (world, _),
            page(tmp_path, f"{world.url}/gallery") as tab,
        ):
            cards = "document.querySelectorAll('.card').length"
            await tab.until(f"{cards} === 24")
            await send(tab, "a[rel=next]")
            assert await tab.value(cards) == 6
            await go(tab, f"{world.url}/gallery")
            await tab.value("document.querySelector('select[name=label]').value = 'egg'")
            await send(tab, ".search button")
            assert await tab.value(cards) == 6
            labels = "[...document.querySelectorAll('.card strong')].map((one) => one.textContent)"
            assert set(await tab.value(labels)) == {"egg"}
            loaded = "[...document.querySelectorAll('.card img')].every((one) => one.complete && one.naturalWidth)"
            await tab.until(loaded)
            assert errors(tab) == []

    run(main(), timeout=60)


def test_what_happens_is_seen_without_a_reload(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def main() -> None:
        async with device(tmp_path, own_mosquitto, locked=False) as (world, client), page(tmp_path, world.url) as tab:
            await client.start()
            await tab.until(f"{TEXT}.includes('desk has not been heard of')")
            await tab.value("window.same = 'page'")
            state = role_state(DEVICE, "desk", 1, SystemClock(), "failed", detail="<b>no</b> disk")
            await client.publish(DEVICE.role("desk"), encode(state), retain=True)
            await tab.until(f"{TEXT}.includes('desk is failed: <b>no</b> disk')")
            head = new_header(SystemClock(), "coop-1", "alerts")._asdict()
            seen = Alert(
                **head,
                **{"type": "new", "alert_id": "a" * 32, "camera": "nest", "task": TASK, "label": "wren"},
                **{"started_at": head["timestamp"], "last_at": head["timestamp"]},
            )
            await client.publish(DEVICE.camera("nest").events, encode(seen))
            await tab.until(f"{TEXT}.includes('wren')")
            assert await tab.value("window.same") == "page"
            assert errors(tab) == []

    run(main(), timeout=60)


def test_a_camera_is_asked_for_a_picture_now(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def main() -> None:
        heard: asyncio.Queue[Ask] = asyncio.Queue()
        async with device(tmp_path, own_mosquitto) as (world, client), page(tmp_path, world.url) as tab:
            client.subscribe(DEVICE.request("picture"), into(heard))
            await client.start()
            await log_in(tab)
            await send(tab, "figure button")
            asked = await heard.get()
            assert (asked.verb, asked.data) == ("picture", {"camera": "nest"})
            assert errors(tab) == []

    run(main(), timeout=60)


def test_the_race_is_drawn_with_the_answer_and_the_work_after_it(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def main() -> None:
        async with (
            device(tmp_path, own_mosquitto, locked=False) as (world, _),
            page(tmp_path, f"{world.url}/requests") as tab,
        ):
            await tab.until("Boolean(document.querySelector('.races a'))")
            await send(tab, ".races a")
            assert await tab.value("document.querySelectorAll('line.answer').length") == 3
            place = "document.querySelector('.step rect.ran-on').getBoundingClientRect()"
            box = f"(({{left, right}}) => [left, right])({place})"
            line = "document.querySelector('line.answer').getBoundingClientRect().left"
            (left, right), answered = await tab.value(box), await tab.value(line)
            assert abs(left - answered) < 3
            assert right > left + 30
            assert "slow ran on for 310 ms" in await tab.value(TEXT)
            assert errors(tab) == []

    run(main(), timeout=60)


def test_a_mask_that_is_drawn_on_the_picture_is_in_the_settings(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def main() -> None:
        async with (
            device(tmp_path, own_mosquitto) as (world, _),
            page(tmp_path, f"{world.url}/settings/areas/nest") as tab,
        ):
            await log_in(tab)
            await tab.until("document.getElementById('ground').complete && !document.getElementById('tools').hidden")
            await tab.value("document.getElementById('begin').click()")
            for x, y in ((0.25, 0.25), (0.75, 0.25), (0.5, 0.75)):
                spot = (
                    "(({left, top, width, height}) => [left + width * X, top + height * Y])"
                    "(document.getElementById('drawing').getBoundingClientRect())"
                )
                left, top = await tab.value(spot.replace("X", str(x)).replace("Y", str(y)))
                for kind in ("mousePressed", "mouseReleased"):
                    where = {"x": left, "y": top, "button": "left", "clickCount": 1}
                    await tab.do("Input.dispatchMouseEvent", type=kind, **where)
            await tab.value("document.getElementById('begin').click()")
            assert await tab.value("document.querySelectorAll('polygon.mask').length") == 1
            await send(tab, ".row button:not([type])")
            assert "saved" in await tab.value(TEXT)
            (mask,) = loading.load(world.file).cameras["nest"].motion.masks
            assert [[round(part, 1) for part in point] for point in mask] == [[0.2, 0.2], [0.8, 0.2], [0.5, 0.8]]
            assert "# no flies" in world.file.read_text(encoding="utf-8")
            assert "# no flies" in before_of(world.file).read_text(encoding="utf-8")
            assert errors(tab) == []

    run(main(), timeout=60)


def test_the_doctor_is_asked_over_the_broker_and_his_report_shown(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def main() -> None:
        async with device(tmp_path, own_mosquitto) as (world, _), page(tmp_path, f"{world.url}/doctor") as tab:
            await log_in(tab)
            async with a_desk(world, own_mosquitto.port):
                await send(tab, 'form[action="/doctor"] button')
                await tab.until(f"{TEXT}.includes('It is wrong.')")
            said = await tab.value(TEXT)
            assert said.index("clock") < said.index("storage")  # what fails comes first
            assert "Set it." in said
            assert errors(tab) == []

    run(main(), timeout=60)


PAGES = ("/", "/requests", "/gallery", "/models", "/alarms", "/settings", "/settings/areas/nest", "/doctor")


def test_every_page_is_readable_on_a_phone_in_the_light_and_in_the_dark(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def main() -> None:
        async with device(tmp_path, own_mosquitto) as (world, _), page(tmp_path, world.url) as tab:
            await log_in(tab)
            await tab.do("Emulation.setDeviceMetricsOverride", **PHONE)
            for path in (*PAGES, f"/gallery/{TASK}/{world.ids[-1]}", f"/requests/{world.ids[-1]}"):
                await go(tab, world.url + path)
                assert await tab.value("document.documentElement.scrollWidth") <= 360, path
                corner = [Image.open(io.BytesIO(await tab.picture(one))).convert("L") for one in ("light", "dark")]
                light, dark = (one.getpixel((2, one.height - 2)) for one in corner)
                assert isinstance(light, int)
                assert isinstance(dark, int)
                assert light > 200 > 60 > dark, path
                small = (
                    "[...document.querySelectorAll('main button, main .button')]"
                    ".filter((one) => one.offsetHeight && one.offsetHeight < 40).length"
                )
                assert await tab.value(small) == 0, path
            assert errors(tab) == []

    run(main(), timeout=90)


def test_without_javascript_everything_can_be_read_and_said(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def main() -> None:
        async with device(tmp_path, own_mosquitto) as (world, _), page(tmp_path, world.url) as tab:
            await tab.do("Emulation.setScriptExecutionDisabled", value=True)
            await go(tab, world.picture())
            await log_in(tab)
            assert "Who said what" in await tab.value(TEXT)
            await send(tab, ".labels .label")
            assert "said" in await tab.value(TEXT)
            for path in PAGES:
                await go(tab, world.url + path)
                assert len(await tab.value(TEXT)) > 40
            await go(tab, f"{world.url}/settings/areas/nest")
            assert await tab.value("document.getElementById('tools').hidden")
            assert "One area a line" in await tab.value(TEXT)

    run(main(), timeout=60)


def test_a_broker_that_goes_away_is_said_and_the_archive_is_still_there(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def main() -> None:
        async with device(tmp_path, own_mosquitto, locked=False) as (world, _), page(tmp_path, world.url) as tab:
            await tab.until("document.querySelectorAll('.card').length === 6")
            own_mosquitto.stop()
            await tab.until(f"{TEXT}.includes('The broker is not reachable')")
            await go(tab, f"{world.url}/gallery")
            assert await tab.value("document.querySelectorAll('.card').length") == 24
            assert "may be old" in await tab.value(TEXT)

    run(main(), timeout=60)

"""The label page in a real browser, worked by keyboard alone, over a real archive."""

import asyncio
import io
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from browser import BROWSER, Page, page
from label_world import TASK, Asked, archive, block
from PIL import Image

from roost_broker.clock import SystemClock
from roost_broker.frames import FrameStore
from roost_models.archive.cases import open_cases
from roost_models.labels.desk import Desk
from roost_models.labels.page.access import Access
from roost_models.labels.page.server import LabelPage
from roost_models.labels.queue import QueueSettings
from roost_models.labels.store import LabelStore
from roost_rendezvous.proxy.refused import Refused

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed: the page is not worked")
pytestmark = pytest.mark.processes

SURE = ("hen", 0.97, "egg")
EGG = ("egg", 0.9, "hen")
CASES = [
    Asked(block((200, 20, 20)), {"canary": EGG, "champion": SURE, "fast": SURE}),  # the canary disagrees
    Asked(block((20, 200, 20)), {"canary": SURE, "champion": ("hen", 0.52, "egg"), "fast": SURE}),  # close
    Asked(block((20, 20, 200)), {"canary": SURE, "champion": SURE, "fast": SURE}),  # dull
    Asked(block((90, 90, 20)), {"canary": SURE}, official=""),  # the default
]


class World:
    """One page with its store."""

    def __init__(self, folder: Path, url: str, store: LabelStore) -> None:
        self.folder, self.url, self.store = folder, url, store

    def said(self) -> list[tuple[str, str | None, str]]:
        """Kind, label and author of every entry."""
        return [(entry.kind, entry.label, entry.author) for entry in self.store.entries()]


@asynccontextmanager
async def labelling(
    folder: Path, cases: list[Asked], *, access: Access | None = None, near_ms: int = 5_000
) -> AsyncIterator[World]:
    archive(folder / "archive", cases)
    source = open_cases(folder / "archive")
    store = LabelStore(folder / "labels.db")
    desk = Desk(
        store,
        source,
        FrameStore(folder / "frames"),
        task=TASK,
        clock=SystemClock(),
        settings=QueueSettings(near_ms=near_ms),
    )
    served = LabelPage(desk, access, port=0)
    stop = asyncio.Event()
    port = await served.start()
    serving = asyncio.ensure_future(served.serve(stop))
    try:
        yield World(folder, f"http{'s' if access and access.tls else ''}://127.0.0.1:{port}", store)
    finally:
        stop.set()
        await serving
        store.close()
        source.close()


COUNT = 'document.getElementById("count").textContent'
WHYS = 'document.getElementById("whys").textContent'
SHOWN = '!document.getElementById("picture").hidden && document.getElementById("picture").complete'
NAMING = 'document.getElementById("name-dialog")?.open'


async def begin(tab: Page, author: str) -> None:
    await tab.until(NAMING)
    await tab.press(*author, "Enter")
    await tab.until(SHOWN)


@needs_browser
def test_a_picture_is_judged_corrected_taken_back_and_skipped_without_a_mouse(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    async def main() -> None:
        async with labelling(tmp_path, CASES) as world, page(tmp_path, world.url) as tab:
            await begin(tab, "anna")
            assert await tab.value(COUNT) == "0 of 3"  # the dull one is not asked
            assert "canary says egg" in await tab.value(WHYS)
            offered = await tab.value('[...document.querySelectorAll(".label")].map((one) => one.textContent)')
            assert offered == ["1egg", "2hen"]

            await tab.press("1")
            await tab.until(f'({COUNT}) === "1 of 3" && ({SHOWN})')
            await tab.until('document.getElementById("undo").disabled === false')
            await tab.press("u")
            await tab.until(f'({COUNT}) === "0 of 3"')
            assert "canary says egg" in await tab.value(WHYS)  # back at the picture
            await tab.press("2")
            await tab.until(f'({COUNT}) === "1 of 3"')
            await tab.press("x", *"too dark", "Enter")
            await tab.until(f'({COUNT}) === "2 of 3"')
            await tab.press("s")
            await tab.until('!document.getElementById("empty").hidden')
            await tab.until("line.then(() => true)")
            assert [kind for kind, _, _ in world.said()] == ["label", "withdrawn", "label", "not-usable", "skip"]
            assert {author for _, _, author in world.said()} == {"anna"}
            reasons = [entry.reason for entry in world.store.entries()]
            assert reasons == ["", "undo", "", "too dark", ""]

            await tab.press("r")  # nothing is asked again of her
            await tab.until('document.getElementById("empty-title").textContent === "Nothing needs to be asked."')
            assert tab.broken == []

    run(main(), timeout=60)


@needs_browser
def test_arrows_go_back_to_a_judged_picture_and_another_key_corrects_it(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    async def main() -> None:
        async with labelling(tmp_path, CASES) as world, page(tmp_path, world.url) as tab:
            await begin(tab, "bert")
            await tab.press("1", "ArrowLeft")
            await tab.until('document.getElementById("chosen").textContent === "egg"')
            await tab.press("2", "ArrowLeft")
            await tab.until('document.getElementById("chosen").textContent === "hen"')
            await tab.until("line.then(() => true)")
            first, second = world.store.entries()
            assert (first.label, second.label, second.supersedes) == ("egg", "hen", first.id)
            history = (
                'document.querySelectorAll("#history li").length === 2 && document.querySelector("#history .gone")'
            )
            await tab.press("ArrowRight", "ArrowLeft")
            assert "egg" in await tab.until(f"({history})?.textContent")

    run(main(), timeout=60)


@needs_browser
def test_a_new_label_is_written_and_gets_a_key_of_its_own(run: Callable[..., Any], tmp_path: Path) -> None:
    async def main() -> None:
        async with labelling(tmp_path, CASES) as world, page(tmp_path, world.url) as tab:
            await begin(tab, "bert")
            await tab.press("/", *"jay <b>", "Enter")
            await tab.until(f'({COUNT}) === "1 of 3"')
            await tab.press("3")  # the third, now
            await tab.until(f'({COUNT}) === "2 of 3"')
            await tab.press("?")
            assert await tab.value('document.getElementById("help-dialog").open')
            await tab.press("1")  # the help is open: no judgement
            await tab.press("Escape")
            await tab.until("line.then(() => true)")
            assert world.said() == [("label", "jay <b>", "bert")] * 2
            assert await tab.value('document.querySelector("#labels b") === null')
            assert tab.broken == []

    run(main(), timeout=60)


@needs_browser
def test_the_author_is_asked_once_and_the_next_visit_remembers_what_is_judged(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    async def main() -> None:
        async with labelling(tmp_path, CASES) as world, page(tmp_path, world.url) as tab:
            await begin(tab, "carla")
            await tab.press("1")
            await tab.until("line.then(() => true)")
            await tab.do("Page.navigate", url=world.url + "/?again")
            await tab.until(f'document.getElementById("who")?.textContent === "carla" && ({SHOWN})')
            assert await tab.value(COUNT) == "0 of 2"
            assert not await tab.value(NAMING)

    run(main(), timeout=60)


@needs_browser
def test_the_page_is_readable_on_a_phone_and_in_the_dark(run: Callable[..., Any], tmp_path: Path) -> None:
    async def main() -> None:
        async with labelling(tmp_path, CASES) as world, page(tmp_path, world.url) as tab:
            await begin(tab, "anna")
            shown = [await tab.picture(scheme) for scheme in ("light", "dark")]
            corner = [Image.open(io.BytesIO(one)).convert("L").getpixel((990, 700)) for one in shown]
            assert corner[0] > 200 > 60 > corner[1]
            phone = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
            await tab.do("Emulation.setDeviceMetricsOverride", **phone)
            assert await tab.value("document.documentElement.scrollWidth") <= 390
            place = await tab.value(
                '(({bottom}, {height}) => ({bottom, height}))(document.getElementById("stage").getBoundingClientRect(),'
                ' document.querySelector(".label").getBoundingClientRect())'
            )
            assert place["bottom"] < 500  # labels are reachable below the picture
            assert place["height"] >= 40  # and large enough for a thumb

    run(main(), timeout=60)


@needs_browser
def test_a_server_that_is_gone_is_said_and_the_judgement_is_not_pretended(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    async def main() -> None:
        async with labelling(tmp_path, CASES) as world:
            inside = page(tmp_path, world.url)
            tab = await inside.__aenter__()
            await begin(tab, "anna")
        await tab.press("1")  # the server has stopped
        await tab.until('!document.getElementById("trouble").hidden')
        assert "roost label serve" in await tab.value('document.getElementById("trouble").textContent')
        assert await tab.value(COUNT) == "0 of 3"
        await inside.__aexit__(None, None, None)

    run(main(), timeout=60)


@needs_browser
def test_with_tokens_the_page_asks_for_one_until_it_is_right_and_the_author_is_its_own(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    async def main() -> None:
        access = Access(tokens={"t" * 24: "anna"})
        async with labelling(tmp_path, CASES, access=access) as world, page(tmp_path, world.url) as tab:
            title = 'document.getElementById("name-title")?.textContent'
            await tab.until(f'({NAMING}) && ({title}) === "Your token?"')
            await tab.press(*"wrong", "Enter")
            await tab.until(
                'document.getElementById("name").value === "" && document.getElementById("name-dialog").open'
            )
            await tab.press(*("t" * 24), "Enter")
            await tab.until(SHOWN)
            assert await tab.value('document.getElementById("who").textContent') == "anna"
            await tab.press("1")
            await tab.until("line.then(() => true)")
            assert world.said() == [("label", "egg", "anna")]

    run(main(), timeout=60)


async def refused(session: aiohttp.ClientSession, method: str, url: str, **how: Any) -> tuple[int, str]:
    async with session.request(method, url, **how) as reply:
        said = json.loads(await reply.read())
        assert said["remedy"]
        return reply.status, said["problem"]


def test_hostile_requests_get_an_error_each_and_nothing_is_written(run: Callable[..., Any], tmp_path: Path) -> None:
    picture = "a" * 64
    good = {"picture": picture, "kind": "label", "label": "hen", "author": "anna"}

    async def main() -> None:
        async with labelling(tmp_path, CASES) as world, aiohttp.ClientSession() as http:
            judge, undo = f"{world.url}/v1/judgements", f"{world.url}/v1/undo"
            cases: list[tuple[int, str, str, dict[str, Any]]] = [
                (415, "POST", judge, {"data": json.dumps(good), "headers": {"Content-Type": "text/plain"}}),
                (403, "POST", judge, {"json": good, "headers": {"Origin": "https://example.org"}}),
                (403, "POST", judge, {"json": good, "headers": {"Sec-Fetch-Site": "cross-site"}}),
                (421, "POST", judge, {"json": good, "headers": {"Host": "example.org"}}),
                (400, "POST", judge, {"data": b"{", "headers": {"Content-Type": "application/json"}}),
                (400, "POST", judge, {"data": b"[" * 9000, "headers": {"Content-Type": "application/json"}}),
                (413, "POST", judge, {"json": {**good, "reason": "x" * 20_000}}),
                (400, "POST", judge, {"json": {**good, "picture": "../../etc/passwd"}}),
                (400, "POST", judge, {"json": {**good, "label": None}}),
                (400, "POST", judge, {"json": {**good, "label": "a\x1b[2J"}}),
                (400, "POST", judge, {"json": {**good, "kind": "withdrawn"}}),
                (400, "POST", judge, {"json": {**good, "author": " "}}),
                (400, "POST", judge, {"json": {**good, "author": "a\nb"}}),
                (400, "POST", judge, {"json": {**good, "more": 1}}),
                (404, "POST", judge, {"json": good}),  # a picture that is nowhere
                (409, "POST", undo, {"json": {"entry": "0" * 32, "author": "anna"}}),
                (405, "GET", judge, {}),
                (404, "GET", f"{world.url}/v1/pictures/{picture}", {}),
                (404, "GET", f"{world.url}/v1/pictures/..%2f..%2fetc", {}),
                (404, "GET", f"{world.url}/else", {}),
            ]
            for status, method, url, how in cases:
                found, problem = await refused(http, method, url, **how)
                assert found == status, (method, url, how, problem)
            assert world.said() == []

    run(main())


def test_another_author_cannot_take_a_judgement_back_and_a_disagreement_is_kept(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    async def main() -> None:
        async with labelling(tmp_path, CASES) as world, aiohttp.ClientSession() as http:

            async def review(author: str) -> Any:
                async with http.get(f"{world.url}/v1/review", params={"author": author}) as reply:
                    return await reply.json()

            async def judge(author: str, label: str) -> Any:
                asked = {"picture": picture, "kind": "label", "label": label, "author": author}
                async with http.post(f"{world.url}/v1/judgements", json=asked) as reply:
                    return (await reply.json())["entry"]

            picture = (await review("anna"))["questions"][0]["picture"]
            entry = await judge("anna", "hen")
            asked = {"entry": entry["id"], "author": "bert"}
            assert (await refused(http, "POST", f"{world.url}/v1/undo", json=asked))[0] == 409
            await judge("bert", "egg")
            question = (await review("carla"))["questions"][0]
            assert question["picture"] == picture
            assert "anna: hen; bert: egg" in question["whys"][0]["text"]
            assert {entry.label for entry in world.store.history(picture)} == {"hen", "egg"}
            assert (await review("carla"))["totals"]["conflicts"] == 1

    run(main())


def test_with_tokens_a_token_says_who_labels_and_without_one_nothing_is_shown(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    token = "t" * 24

    async def main() -> None:
        access = Access(tokens={token: "anna"})
        async with labelling(tmp_path, CASES, access=access) as world, aiohttp.ClientSession() as http:
            for path in ("/v1/review?author=bert", f"/v1/pictures/{'a' * 64}", f"/v1/pictures/{'a' * 64}/history"):
                assert (await refused(http, "GET", world.url + path))[0] == 401
            bad = {"Authorization": f"Bearer {'u' * 24}"}
            assert (await refused(http, "GET", f"{world.url}/v1/review", headers=bad))[0] == 401
            with pytest.raises(Refused, match="token"):
                access.author("Bearer \udcff", "bert")  # as a header arrives whose bytes are no UTF-8
            good = {"Authorization": f"Bearer {token}"}
            async with http.get(f"{world.url}/v1/review?author=bert", headers=good) as reply:
                review = await reply.json()
            assert (review["author"], review["fixedAuthor"]) == ("anna", True)
            asked = {"picture": review["questions"][0]["picture"], "kind": "skip", "author": "bert"}
            async with http.post(f"{world.url}/v1/judgements", json=asked, headers=good) as reply:
                assert (await reply.json())["entry"]["author"] == "anna"

    run(main())


def test_the_store_itself_refuses_to_change_or_remove_an_entry(run: Callable[..., Any], tmp_path: Path) -> None:
    async def main() -> None:
        async with labelling(tmp_path, CASES) as world, aiohttp.ClientSession() as http:
            async with http.get(f"{world.url}/v1/review?author=anna") as reply:
                picture = (await reply.json())["questions"][0]["picture"]
            asked = {"picture": picture, "kind": "label", "label": "hen", "author": "anna"}
            async with http.post(f"{world.url}/v1/judgements", json=asked) as reply:
                assert reply.status == 200
        with sqlite3.connect(tmp_path / "labels.db") as db:
            for statement in ("UPDATE entries SET label = 'egg'", "DELETE FROM entries"):
                with pytest.raises(sqlite3.IntegrityError, match="entries"):
                    db.execute(statement)
        db.close()

    run(main())


def test_the_page_and_its_pictures_say_that_nothing_comes_from_elsewhere(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    async def main() -> None:
        async with labelling(tmp_path, CASES) as world, aiohttp.ClientSession() as http:
            async with http.get(world.url) as reply:
                assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
                assert "http://" not in await reply.text()
            async with http.get(f"{world.url}/v1/review?author=anna") as reply:
                picture = (await reply.json())["questions"][0]["picture"]
            async with http.get(f"{world.url}/v1/pictures/{picture}") as reply:
                assert (reply.content_type, reply.headers["X-Content-Type-Options"]) == ("image/jpeg", "nosniff")
                assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            FrameStore(tmp_path / "archive" / "frames").path(picture).write_bytes(b"<script>alert(1)</script>")
            status, problem = await refused(http, "GET", f"{world.url}/v1/pictures/{picture}")
            assert (status, "content it is named for" in problem) == (404, True)

    run(main())


@needs_browser
def test_of_many_labels_the_first_have_keys_and_the_others_are_found_by_name(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    async def main() -> None:
        names = [f"bird {number:02}" for number in range(40)]
        many = [
            Asked(block((number * 6, 9, 9)), {"canary": (name, 0.9, "x"), "champion": ("hen", 0.9, name)})
            for number, name in enumerate(names)
        ]
        async with labelling(tmp_path, many) as world, page(tmp_path, world.url) as tab:
            await begin(tab, "anna")
            shown = await tab.value('[...document.querySelectorAll(".label kbd")].map((one) => one.textContent)')
            assert len(shown) == len(set(shown)) == 31
            assert not {"s", "u", "x", "r"} & set(shown)
            await tab.press("/", *"d 39", "Enter")
            await tab.press("a")  # the tenth
            await tab.until("line.then(() => true)")
            assert [label for _, label, _ in world.said()] == ["bird 39", "bird 09"]

    run(main(), timeout=60)

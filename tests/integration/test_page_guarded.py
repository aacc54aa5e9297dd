"""What the page refuses, what it writes and what leaves it: asked by a client that is no browser."""

import asyncio
import io
import json
import re
import stat
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from page_world import PASSWORD, TASK, World, device, into, serving
from secured_broker import SecuredBroker

from roost_broker.credentials import WATCHER, as_user
from roost_broker.errors import PeerError
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_edge.page.role import WebPage
from roost_edge.page.settings_file import before_of
from roost_edge.processes.plan import resolve
from roost_edge.roles import compose
from roost_edge.settings import loading

pytestmark = pytest.mark.processes
NOBODY = 9  # a port where no broker is
TOKEN = re.compile(r'name="(form|door|version)" value="([^"]*)"')


class Visitor:
    """Keeps cookies and reads tokens out of forms."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http, self.url = http, url

    async def get(self, path: str, **how: Any) -> tuple[int, str, aiohttp.ClientResponse]:
        async with self.http.get(self.url + path, allow_redirects=False, **how) as reply:
            return reply.status, await reply.text(errors="replace"), reply

    async def post(self, path: str, fields: dict[str, str], **how: Any) -> tuple[int, str, aiohttp.ClientResponse]:
        async with self.http.post(self.url + path, data=fields, allow_redirects=False, **how) as reply:
            return reply.status, await reply.text(errors="replace"), reply

    async def tokens(self, path: str) -> dict[str, str]:
        return dict(TOKEN.findall((await self.get(path))[1]))

    async def log_in(self, said: str = PASSWORD) -> int:
        return (await self.post("/login", {**await self.tokens("/login"), "password": said}))[0]


@asynccontextmanager
async def visiting(world: World, *, locked: bool = True) -> AsyncIterator[Visitor]:
    """There is no broker: nothing of this needs one."""
    if locked:
        world.set_password()
    jar = aiohttp.CookieJar(unsafe=True)  # an address with digits is no unsafe place here
    async with serving(world, NOBODY, begun=False), aiohttp.ClientSession(cookie_jar=jar) as http:
        yield Visitor(http, world.url)


def test_without_a_session_nothing_is_shown_and_nothing_is_done(run: Callable[..., Any], tmp_path: Path) -> None:
    async def main() -> None:
        world = World(tmp_path, NOBODY)
        async with visiting(world) as visitor:
            picture = f"/picture/{TASK}/{'a' * 64}.jpg"
            for path in ("/", "/gallery", "/models", "/settings", "/live", picture, "/snapshot/nest.jpg", "/nowhere"):
                status, text, _ = await visitor.get(path)
                assert (status, "hen" in text) == (401, False), path
            status, _, reply = await visitor.get("/gallery?label=hen", headers={"Accept": "text/html"})
            assert (status, reply.headers["Location"]) == (303, "/login?back=/gallery?label%3Dhen")
            for path in ("/settings", "/doctor", "/support.zip", "/logout", f"/gallery/{TASK}/{world.ids[0]}"):
                assert (await visitor.post(path, {"text": "x"}))[0] == 401, path
            assert (await visitor.get("/healthz"))[0] == 200

    run(main())


def test_without_a_password_it_only_shows(run: Callable[..., Any], tmp_path: Path) -> None:
    async def main() -> None:
        world = World(tmp_path, NOBODY)
        async with visiting(world, locked=False) as visitor:
            status, text, _ = await visitor.get("/gallery")
            assert (status, "hen" in text) == (200, True)
            status, text, _ = await visitor.get("/settings")
            assert (status, "PLANTED" in text, "textarea" in text) == (200, False, False)
            for path in ("/settings", "/doctor", "/support.zip", f"/gallery/{TASK}/{world.ids[0]}"):
                status, text, _ = await visitor.post(path, {"text": "x", "form": ""})
                assert (status, "roost page password" in text) == (403, True), path

    run(main())


def test_a_form_without_its_sessions_token_changes_nothing(run: Callable[..., Any], tmp_path: Path) -> None:
    async def main() -> None:
        world = World(tmp_path, NOBODY)
        before = world.file.read_text(encoding="utf-8")
        async with visiting(world) as visitor:
            assert await visitor.log_in() == 303
            good = await visitor.tokens("/settings")
            fields = {**good, "text": before + "\n# changed", "do": "save"}
            for form in ("", "x", good["form"][:-1]):
                assert (await visitor.post("/settings", {**fields, "form": form}))[0] == 403
            for headers in ({"Origin": "https://example.org"}, {"Origin": "null"}):
                assert (await visitor.post("/settings", fields, headers=headers))[0] == 403
            assert (await visitor.post("/settings", fields, headers={"Host": "example.org"}))[0] == 421
            async with visitor.http.post(visitor.url + "/settings", json=fields) as reply:
                assert reply.status == 415
            assert world.file.read_text(encoding="utf-8") == before
            assert (await visitor.post("/logout", {"form": good["form"]}))[0] == 303
            assert (await visitor.get("/gallery"))[0] == 401

    run(main())


def test_settings_are_written_only_when_they_are_valid_and_nobody_else_was_quicker(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    async def main() -> None:
        world = World(tmp_path, NOBODY)
        world.file.chmod(0o640)
        before = world.file.read_text(encoding="utf-8")
        async with visiting(world) as visitor:
            await visitor.log_in()
            good = await visitor.tokens("/settings")
            wrong = before.replace('schedule = "schedule.toml"', 'shedule = "schedule.toml"')
            status, text, _ = await visitor.post("/settings", {**good, "text": wrong, "do": "save"})
            assert (status, "shedule" in text, "line 10" in text) == (409, True, True)
            assert world.file.read_text(encoding="utf-8") == before
            changed = before.replace("min_area = 0.01", "min_area = 0.02").replace("\n", "\r\n")
            status, text, _ = await visitor.post("/settings", {**good, "text": changed, "do": "check"})
            assert (status, world.file.read_text(encoding="utf-8")) == (200, before)
            status, text, _ = await visitor.post("/settings", {**good, "text": changed, "do": "save"})
            assert (status, "saved" in text) == (200, True)
            assert loading.load(world.file).cameras["nest"].motion.min_area == 0.02
            assert before_of(world.file).read_text(encoding="utf-8") == before
            assert stat.S_IMODE(world.file.stat().st_mode) == 0o640
            status, text, _ = await visitor.post("/settings", {**good, "text": before, "do": "save"})
            assert (status, "by somebody else" in text) == (503, True)

    run(main(), timeout=60)


def test_guessing_is_slowed_down_and_another_password_ends_the_sessions(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    async def main() -> None:
        world = World(tmp_path, NOBODY)
        async with visiting(world) as visitor:
            assert await visitor.log_in() == 303
            assert (await visitor.get("/gallery"))[0] == 200
            world.set_password()  # the same words, another salt
            assert (await visitor.get("/gallery"))[0] == 401
            assert [await visitor.log_in(f"guess number {nth}") for nth in range(4)] == [403, 403, 403, 429]
            status, _, reply = await visitor.post("/login", {**await visitor.tokens("/login"), "password": PASSWORD})
            assert (status, int(reply.headers["Retry-After"]) > 0) == (429, True)  # not even the right one

    run(main())


def test_a_password_file_that_others_can_read_opens_nothing(run: Callable[..., Any], tmp_path: Path) -> None:
    async def main() -> None:
        world = World(tmp_path, NOBODY)
        async with visiting(world) as visitor:
            (world.data / "page" / "password").chmod(0o644)
            status, text, _ = await visitor.get("/gallery")
            assert (status, "chmod 600" in text, "hen" in text) == (409, True, False)

    run(main())


def test_the_support_bundle_has_what_helps_and_no_planted_secret(run: Callable[..., Any], tmp_path: Path) -> None:
    async def main() -> None:
        world = World(tmp_path, NOBODY)
        logs, keys = world.data / "logs", world.data / "identity"
        logs.mkdir()
        keys.mkdir()
        (logs / "alerts.log").write_text(
            'connected with PLANTED-broker-password\nurl rtsp://me:PLANTED-two@cam/1\n{"token": "PLANTED-three"}\n'
            "well\n",
            encoding="utf-8",
        )
        (keys / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nPLANTED-four\n", encoding="utf-8")
        (logs / "link.log").symlink_to(keys / "key.pem")
        text = world.file.read_text(encoding="utf-8")
        world.file.write_text("# PLANTED-five\n" + text, encoding="utf-8")
        async with visiting(world) as visitor:
            await visitor.log_in()
            async with visitor.http.post(visitor.url + "/support.zip", data=await visitor.tokens("/doctor")) as reply:
                assert reply.content_type == "application/zip"
                bundle = zipfile.ZipFile(io.BytesIO(await reply.read()))
        texts = {name: bundle.read(name).decode() for name in bundle.namelist()}
        for name, said in texts.items():
            assert "PLANTED" not in said, name
            assert PASSWORD not in said, name
        assert "well" in texts["logs/alerts.log"]
        assert json.loads(texts["settings.json"])["cameras"]["nest"]["motion"] == {"min_area": 0.01}
        assert json.loads(texts["about.json"])["node"] == "coop-1"
        assert {"states.json", "doctor.json", "events.json", "packages.json", "README.txt"} <= set(texts)

    run(main())


def test_every_answer_keeps_strangers_out_and_nothing_comes_from_elsewhere(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    async def main() -> None:
        world = World(tmp_path, NOBODY)
        async with visiting(world) as visitor:
            assert await visitor.log_in() == 303
            cookies = {one.key: one for one in visitor.http.cookie_jar}
            assert cookies["roost-page"]["httponly"]
            assert cookies["roost-page"]["samesite"] == "Strict"
            for path in ("/", "/gallery", "/settings", "/doctor", "/nowhere", "/static/page.css", "/static/page.js"):
                _, text, reply = await visitor.get(path)
                policy = reply.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert reply.headers["X-Content-Type-Options"] == "nosniff"
                assert not re.search(r"""(src|href|action)=["']?https?:""", text), path
                assert not re.search(r"<script(?! src=)|<style| style=| on[a-z]+=", text), path

    run(main())


def test_hostile_addresses_are_refused_each_with_a_page(run: Callable[..., Any], tmp_path: Path) -> None:
    async def main() -> None:
        world = World(tmp_path, NOBODY)
        async with visiting(world) as visitor:
            await visitor.log_in()
            for status, path in (
                (404, "/picture/henhouse/..%2f..%2fetc%2fpasswd"),
                (404, f"/picture/elsewhere/{'a' * 64}.jpg"),
                (404, f"/picture/henhouse/{'a' * 64}.jpg"),
                (404, "/static/..%2fsettings.py"),
                (404, "/requests/zzz"),
                (404, f"/requests/{'0' * 32}"),
                (404, "/gallery/henhouse/zzz"),
                (404, "/gallery?task=%3Cscript%3E"),
                (400, "/gallery?from=then"),
                (400, "/gallery?before=-1"),
                (404, "/settings/areas/elsewhere"),
                (404, "/snapshot/nest.jpg"),
                (405, "/logout"),
            ):
                found, text, _ = await visitor.get(path)
                assert (found, "<h1>Not done</h1>" in text, "<script>" in text) == (status, True, False), path
            async with visitor.http.post(
                visitor.url + "/settings", data=io.BytesIO(b"x" * 4_000_000), headers=FORM
            ) as reply:
                assert reply.status == 413

    run(main())


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_pages_that_listen_are_bounded_in_number(run: Callable[..., Any], tmp_path: Path) -> None:
    async def main() -> None:
        world = World(tmp_path, NOBODY)
        with world.file.open("a", encoding="utf-8") as file:
            file.write("max_live = 2\n")
        async with visiting(world, locked=False) as visitor:
            replies = [await visitor.http.get(visitor.url + "/live") for _ in range(3)]
            assert [one.status for one in replies] == [200, 200, 503]
            assert b"event: changed" in await replies[0].content.readuntil(b"\n\n")
            for one in replies:
                one.close()

    run(main())


def test_beyond_this_machine_it_begins_only_with_a_password(tmp_path: Path) -> None:
    world = World(tmp_path, NOBODY)
    text = world.file.read_text(encoding="utf-8")
    tls = 'host = "0.0.0.0"\ntls_certificate = "cert.pem"\ntls_key = "key.pem"\n'
    world.file.write_text(text + tls, encoding="utf-8")
    command = (sys.executable, "-m", "roost_edge.daemon", "page", "--settings", str(world.file))
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 2
    assert "Set a password: roost page password." in done.stderr
    world.set_password()
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 2
    assert "cert.pem cannot be used" in done.stderr


def roost(*words: str, said: str = "") -> subprocess.CompletedProcess[str]:
    start = "import sys; from roost_provisioning.cli import main; sys.exit(main())"
    command = (sys.executable, "-c", start, "page", *words)
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=240, check=False)


def test_the_commands_set_a_password_and_put_a_proposal_in_force(run: Callable[..., Any], tmp_path: Path) -> None:
    world = World(tmp_path, NOBODY)
    chosen = ("--settings", str(world.file))
    assert roost("password", *chosen, "--stdin", said="short\n").returncode == 2
    assert roost("password", *chosen).returncode == 2  # nobody to ask
    done = roost("password", *chosen, "--stdin", said=PASSWORD + "\n")
    assert (done.returncode, done.stdout) == (0, "")
    kept = world.data / "page" / "password"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert roost("apply", *chosen, "--yes").returncode == 2  # nothing is proposed
    proposal, before = world.data / "page" / "proposed.toml", world.file.read_text(encoding="utf-8")
    proposal.symlink_to(kept)
    assert roost("apply", *chosen, "--yes").returncode != 0
    proposal.unlink()
    proposal.write_text(before + "nonsense = 1\n", encoding="utf-8")
    done = roost("apply", *chosen, "--yes")
    assert (done.returncode, "nonsense" in done.stderr) == (1, True)
    assert world.file.read_text(encoding="utf-8") == before
    proposal.write_text(before.replace("0.01", "0.02"), encoding="utf-8")
    done = roost("apply", *chosen, "--yes", "--json")
    assert json.loads(done.stdout)["changed"] is True
    assert "+min_area = 0.02" in done.stderr
    assert before_of(world.file).read_text(encoding="utf-8") == before
    assert not proposal.exists()


@pytest.mark.broker
def test_it_stops_in_order_while_pages_listen(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as http:
            async with device(tmp_path, own_mosquitto, locked=False) as (world, _):
                assert isinstance(world.served, WebPage)
                reply = await http.get(world.url + "/live")
            with pytest.raises(aiohttp.ClientPayloadError):  # cut off at once, not waited for
                await reply.content.read()
            reply.close()

    run(main())


@pytest.mark.broker
def test_on_a_secured_broker_it_is_refused_nothing_that_it_asks_for_and_may_not_give_orders(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def main(broker: SecuredBroker, world: World) -> None:
        ear = MqttBus(as_user(broker.device.broker, WATCHER), "ear")
        ear.subscribe("roost/coop-1/henhouse/suggestions", into(heard))
        await ear.start()
        jar = aiohttp.CookieJar(unsafe=True)
        settings = loading.load(world.file)
        with compose(settings, resolve(settings, "page"), settings_file=world.file) as shell:
            assert isinstance(shell, WebPage)
            stop = asyncio.Event()
            working = asyncio.ensure_future(shell.run(stop))
            while not shell.house.view.broker:
                assert not working.done()
                await asyncio.sleep(0)
            async with aiohttp.ClientSession(cookie_jar=jar) as http:
                visitor = Visitor(http, shell.address)
                assert await visitor.log_in() == 303
                form = (await visitor.tokens("/doctor"))["form"]
                path = f"/gallery/{TASK}/{world.ids[0]}"
                assert (await visitor.post(path, {"form": form, "label": "jay"}))[0] == 303
                assert (await heard.get()).label == "jay"
                assert (await visitor.post("/doctor", {"form": form}))[0] == 303
                assert (await visitor.post("/now/nest", {"form": form}))[0] == 303
            stop.set()
            await working
        assert broker.denied == []
        thief = MqttBus(as_user(broker.device.broker, "page"), "coop-1-page")
        await thief.start()
        for topic in ("henhouse/schedule", "request/ota", "henhouse/raw"):
            with pytest.raises(PeerError, match="does not let the user 'page'"):
                await thief.publish(f"roost/coop-1/{topic}", b"{}")
        await thief.stop(forget=True)
        await ear.stop(forget=True)

    with SecuredBroker(tmp_path / "broker") as broker:
        world = World(tmp_path, broker.port)
        text = world.file.read_text(encoding="utf-8")
        without = [line for line in text.splitlines() if not line.startswith(("username", "password"))]
        world.file.write_text("\n".join(without) + "\n", encoding="utf-8")
        world.set_password()
        broker.secure(world.file)
        broker.start()
        run(main(broker, world), timeout=60)

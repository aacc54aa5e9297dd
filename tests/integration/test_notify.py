"""Notices to a service of one's own: by apprise's json:// to a server of this test, through a real broker."""

import asyncio
import base64
import io
import json
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SystemClock
from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.messages import FrameRef, Notice, RoleState, decode, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics

pytestmark = [pytest.mark.broker, pytest.mark.processes]

NODE = NodeTopics("notifier")
CLOCK = SystemClock()
PRIVATE = "geheim-4711"


class Service:
    """Whatever a person uses. `refusing` is how many posts it answers with an error first."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.refused = 0
        self.refusing = 0
        self.news = threading.Condition()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with service.news:
                    well = service.refusing <= 0
                    service.refusing -= 1
                    if well:
                        service.posts.append((self.path, body))
                    else:
                        service.refused += 1
                    service.news.notify_all()
                self.send_response(200 if well else 500)
                self.end_headers()

            def log_message(self, *_words: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    async def until(self, posts: int) -> None:
        def wait() -> bool:
            with self.news:
                return self.news.wait_for(lambda: len(self.posts) >= posts, timeout=90)

        assert await asyncio.to_thread(wait), f"{len(self.posts)} of {posts} posts, {self.refused} refused"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.close()


def card(folder: Path, port: int, addresses: str, more: str = "") -> Path:
    """A device's settings, and its file of addresses."""
    (folder / "schedule.toml").write_text("", encoding="utf-8")
    urls = folder / "notify.urls"
    urls.write_text(addresses, encoding="utf-8")
    urls.chmod(0o600)
    settings = folder / "roost.toml"
    settings.write_text(
        f'[node]\nname = "{NODE.node}"\ndata = "data"\nlog_level = "debug"\n[broker]\nport = {port}\n'
        f'[tasks.henhouse]\nschedule = "schedule.toml"\n[alerts.rules.hens]\n'
        f'[notify]\nurls = "notify.urls"\nretry_s = 0.2\n{more}',
        encoding="utf-8",
    )
    return settings


@asynccontextmanager
async def notifying(settings: Path, bus: MqttBus) -> AsyncIterator[asyncio.subprocess.Process]:
    """The role as a process, ready; `bus` is not started yet."""
    ready = asyncio.Event()

    def heard(delivery: Delivery) -> None:
        delivery.ack()
        state = decode(delivery.payload)
        if isinstance(state, RoleState) and state.state == "ready" and not delivery.retained:
            ready.set()

    bus.subscribe(NODE.role("notify"), heard)
    await bus.start()
    command = (sys.executable, "-m", "roost_edge.daemon", "notify", "--settings", str(settings))
    with (settings.parent / "notify.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, stderr=log, stdout=log)
    try:
        await ready.wait()
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await bus.stop(forget=True)


def notice(frame: FrameRef | None = None, **fields: Any) -> Notice:
    wall = CLOCK.wall_ns()
    more = {"rule": "hens", "kind": "seen", "text": "hen on nest at 10:00 (93%).", **fields}
    return Notice(timestamp=wall // MS, message_id=new_id(wall), frame=frame, **more)


def test_a_notice_reaches_a_service_with_its_picture_and_no_address_is_ever_logged(
    run: Any, tmp_path: Path, own_mosquitto: PrivateBroker, service: Service
) -> None:
    address = f"json://user:{PRIVATE}@127.0.0.1:{service.port}/hook/{PRIVATE}"
    settings = card(tmp_path, own_mosquitto.port, f"# mine\n{address}\nnonsense://{PRIVATE}\n")
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x8825] = {1: "N"}
    Image.new("RGB", (640, 480), (200, 90, 30)).save(out, "JPEG", exif=exif)
    frame = FrameStore(tmp_path / "data" / "frames").put(out.getvalue(), width=640, height=480)
    bus = MqttBus(own_mosquitto.settings(), "speaker")

    async def main() -> None:
        async with notifying(settings, bus):
            said = notice(frame)
            await bus.publish(NODE.notices, encode(said))
            await bus.publish(NODE.notices, encode(said))  # delivered twice, told once
            await bus.publish(NODE.notices, encode(notice(kind="test", rule="test", text="A test.")))
            await service.until(2)

    run(main(), timeout=120)
    (path, first), (_, second) = service.posts
    assert path == f"/hook/{PRIVATE}"
    assert (first["title"], first["message"], second["message"]) == (
        "notifier",
        "hen on nest at 10:00 (93%).",
        "A test.",
    )
    shown = Image.open(io.BytesIO(base64.b64decode(first["attachments"][0]["base64"])))
    assert (shown.size, dict(shown.getexif())) == ((640, 480), {})
    assert second["attachments"] == []
    log = (tmp_path / "notify.log").read_text(encoding="utf-8")
    assert "line 3 (nonsense)" in log
    assert PRIVATE not in log


def test_what_a_service_refuses_is_tried_again_and_other_services_are_not_told_twice(
    run: Any, tmp_path: Path, own_mosquitto: PrivateBroker, service: Service
) -> None:
    good = Service()
    addresses = f"json://127.0.0.1:{good.port}\njson://127.0.0.1:{service.port}\n"
    settings = card(tmp_path, own_mosquitto.port, addresses)
    service.refusing = 3
    bus = MqttBus(own_mosquitto.settings(), "speaker")

    async def main() -> None:
        async with notifying(settings, bus):
            await bus.publish(NODE.notices, encode(notice()))
            await service.until(1)

    try:
        run(main(), timeout=120)
    finally:
        good.close()
    assert (service.refused, len(service.posts), len(good.posts)) == (3, 1, 1)


def test_a_notice_survives_kill_9_and_is_sent_by_the_next_process(
    run: Any, tmp_path: Path, own_mosquitto: PrivateBroker, service: Service
) -> None:
    settings = card(tmp_path, own_mosquitto.port, f"json://127.0.0.1:{service.port}\n")
    service.refusing = 1_000_000

    async def main() -> None:
        bus = MqttBus(own_mosquitto.settings(), "speaker")
        async with notifying(settings, bus) as process:
            await bus.publish(NODE.notices, encode(notice()))
            while service.refused < 1:
                await asyncio.to_thread(lambda: None)
            process.kill()
            await process.wait()
        service.refusing = 0
        async with notifying(settings, MqttBus(own_mosquitto.settings(), "speaker-2")):
            await service.until(1)

    run(main(), timeout=120)
    assert service.posts[0][1]["message"] == "hen on nest at 10:00 (93%)."


def test_a_file_of_addresses_that_others_may_read_is_refused_with_the_remedy(
    run: Any, tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    settings = card(tmp_path, own_mosquitto.port, f"json://{PRIVATE}\n")
    (tmp_path / "notify.urls").chmod(0o640)

    async def main() -> tuple[int | None, str]:
        command = (sys.executable, "-m", "roost_edge.daemon", "notify", "--settings", str(settings))
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        _, words = await process.communicate()
        return process.returncode, words.decode()

    status, words = run(main(), timeout=60)
    assert status == 2
    assert "chmod 600" in words
    assert PRIVATE not in words

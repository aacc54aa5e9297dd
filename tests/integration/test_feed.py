"""The feed as a process of its own: a real Mosquitto, the practise service, kill -9, the commands beside it."""

import asyncio
import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from PIL import Image

from roost_broker.clock import MS, SystemClock
from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.messages import Answer, Input, Output, Result, RoleState, Suggestion, decode, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics
from roost_edge.feed import keys
from roost_edge.feed.keys import Keys
from roost_edge.feed.practise.server import PractiseServer, served
from roost_edge.feed.practise.world import OWNER, PRACTISE_KEYS, Fault

pytestmark = [pytest.mark.broker, pytest.mark.processes]

NODE = NodeTopics("coop-1")
TASK = NODE.task("henhouse")
CLOCK = SystemClock()
PATIENCE_S = 120
SCHEDULE = """task = "henhouse"
sla_ms = 2000
[[step]]
after_ms = 0
accept = ["champion"]
[default]
after_ms = 1900
label = "unknown"
"""


@pytest.fixture
def server() -> Iterator[PractiseServer]:
    with served() as server:
        yield server


def card(folder: Path, port: int, feed: str) -> Path:
    folder.mkdir(mode=0o700)
    (folder / "schedule.toml").write_text(SCHEDULE, encoding="utf-8")
    keys.save(folder / "keys.toml", Keys(**{name: getattr(PRACTISE_KEYS, name) for name in keys.NAMES}))
    settings = folder / "roost.toml"
    settings.write_text(
        f'[node]\nname = "coop-1"\ndata = "data"\n[broker]\nport = {port}\n'
        '[tasks.henhouse]\nschedule = "schedule.toml"\n'
        f'[cameras.nest]\ntask = "henhouse"\nsource = "synthetic"\n[feed]\nsettle_s = 0.0\n{feed}\n',
        encoding="utf-8",
    )
    return settings


def result(frames: FrameStore, label: str, *, score: float = 0.93) -> Result:
    out = io.BytesIO()
    Image.new("RGB", (640, 480), (120, 90, 30)).save(out, "JPEG", comment=b"SECRET-PLACE")
    wall = CLOCK.wall_ns()
    others = [Output(label=label, score=score), Output(label="leghorn", score=0.05), Output(label="empty", score=0.02)]
    return Result(
        timestamp=wall // MS,
        message_id=new_id(wall),
        request_id=new_id(wall),
        cause="preferred",
        answer=Answer(model="champion", version="1", label=label, score=score, outputs=others),
        elapsed_ms=10.0,
        sla_ms=2000,
        tags={"camera": "nest"},
        input=Input(frame=frames.put(out.getvalue(), width=640, height=480)),
    )


class Listener:
    """What others see of the role."""

    def __init__(self, bus: MqttBus) -> None:
        self.bus = bus
        self.states: list[RoleState] = []
        self.suggestions: list[Suggestion] = []
        for topic in (NODE.role("feed"), TASK.suggestions):
            bus.subscribe(topic, self._heard)

    def _heard(self, delivery: Any) -> None:
        delivery.ack()
        message = decode(delivery.payload)
        if isinstance(message, RoleState):
            self.states.append(message)
        elif isinstance(message, Suggestion):
            self.suggestions.append(message)

    def counted(self, name: str) -> int:
        return self.states[-1].counts.get(name, 0) if self.states else 0


async def until(condition: Callable[[], Any]) -> None:
    """Look again and again, giving others their turns: nobody says on the broker what a file or a server holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.to_thread(lambda: None)


@contextlib.asynccontextmanager
async def feeding(settings: Path, listener: Listener) -> AsyncIterator[asyncio.subprocess.Process]:
    """The role alone, as a process, ready. It ends in order, unless the test killed it."""
    before = len(listener.states)
    command = (sys.executable, "-m", "roost_edge.daemon", "feed", "--settings", str(settings))
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        await until(lambda: any(one.state == "ready" for one in listener.states[before:]))
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            assert await process.wait() == 0


async def roost(settings: Path, *words: str) -> tuple[int, Any, str]:
    """A command of the feed, with --json: status, data, talk."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import sys; from roost_edge.cli.app import main; sys.exit(main())", "feed", *words),
        *("--settings", str(settings), "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, json.loads(out) if out else None, err.decode()


@contextlib.asynccontextmanager
async def listening(broker: PrivateBroker) -> AsyncIterator[Listener]:
    bus = MqttBus(broker.settings(), "listener")
    listener = Listener(bus)
    await bus.start()
    try:
        yield listener
    finally:
        await bus.stop(forget=True)


def test_results_become_posts_a_page_and_answers_become_suggestions(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker, server: PractiseServer
) -> None:
    settings = card(tmp_path / "card", own_mosquitto.port, f'keys = "keys.toml"\nbase_url = "{server.url}"')
    frames = FrameStore(tmp_path / "card" / "data" / "frames")

    async def main() -> None:
        async with listening(own_mosquitto) as listener, feeding(settings, listener):
            said = result(frames, "rhode_island_red")
            for _ in range(2):  # a message that comes twice is one post
                listener.bus.publish(TASK.results("nest"), encode(said))
            await until(lambda: server.world.tweets)
            (tweet,) = server.world.tweets.values()
            assert tweet.text.splitlines()[:3] == [
                "Rhode island red, very likely.",
                "rhode island red 93 %",
                "leghorn 5 %",
            ]
            assert b"SECRET" not in server.world.media[tweet.media[0]].data
            site = tmp_path / "card" / "data" / "feed" / "site"
            await until(lambda: (site / "index.html").exists() and tweet.id in (site / "index.html").read_text())
            assert (site / "pictures" / f"{said.request_id}.jpg").read_bytes().startswith(b"\xff\xd8")

            server.world.say(("7", "ann"), f"@{OWNER[1]} looks like a leghorn to me", tweet.id, tweet.at_s)
            server.world.say(("8", "bob"), f"@{OWNER[1]} lovely", tweet.id, tweet.at_s)
            status, found, _ = await roost(settings, "replies", "--fetch")
            assert (status, sorted(one["label"] for one in found["replies"])) == (0, ["", "leghorn"])
            await until(lambda: listener.suggestions)
            (suggestion,) = listener.suggestions
            assert (suggestion.label, suggestion.request_id, suggestion.author) == ("leghorn", said.request_id, "@ann")
            assert suggestion.frame == said.input.frame.sha256  # type: ignore[union-attr]  # it has one
            lines = tmp_path / "s.jsonl"
            await roost(settings, "replies", "--output", str(lines))
            assert [decode(line) for line in lines.read_bytes().splitlines()] == [suggestion]

            status, found, _ = await roost(settings, "check")
            assert (status, found["account"], found["mode"], found["running"]) == (0, f"@{OWNER[1]}", "service", True)
            assert found["budget"]["leftToday"] == 15
            await until(lambda: listener.counted("posted") == 1)
            assert listener.counted("duplicate") == 1

    run(main(), timeout=400)


def test_a_feed_that_is_killed_loses_no_result_and_posts_none_twice(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker, server: PractiseServer
) -> None:
    settings = card(tmp_path / "card", own_mosquitto.port, f'keys = "keys.toml"\nbase_url = "{server.url}"')
    frames = FrameStore(tmp_path / "card" / "data" / "frames")

    async def main() -> None:
        async with listening(own_mosquitto) as listener:
            async with feeding(settings, listener) as process:
                listener.bus.publish(TASK.results("nest"), encode(result(frames, "one")))
                await until(lambda: server.world.tweets)
                os.kill(process.pid, signal.SIGKILL)
                await process.wait()
            for label in ("two", "three"):  # nobody is there; the broker keeps them
                await listener.bus.publish(TASK.results("nest"), encode(result(frames, label)))
            async with feeding(settings, listener):
                await until(lambda: len(server.world.tweets) == 3)
                await until(lambda: listener.counted("posts") == 2)
            first = [one.text.split(",")[0] for one in server.world.tweets.values()]
            assert first == ["One", "Two", "Three"]

    run(main(), timeout=400)


def test_without_keys_what_would_be_posted_is_written_down_and_nothing_is_sent(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker, server: PractiseServer
) -> None:
    settings = card(tmp_path / "card", own_mosquitto.port, f'keys = "later.toml"\nbase_url = "{server.url}"')
    frames = FrameStore(tmp_path / "card" / "data" / "frames")
    dry = tmp_path / "card" / "data" / "feed" / "dry-run"

    async def main() -> None:
        async with listening(own_mosquitto) as listener, feeding(settings, listener):
            listener.bus.publish(TASK.results("nest"), encode(result(frames, "one")))
            await until(lambda: list(dry.glob("*.json")))
            (told,) = dry.glob("*.json")
            assert json.loads(told.read_text())["text"].startswith("One, very likely.\n")
            assert told.with_suffix(".jpg").read_bytes().startswith(b"\xff\xd8")
            await until(lambda: "dry run" in listener.states[-1].detail)
            assert list(server.world.requests) == []
            # Now the keys come: what was seen before stays unposted, what comes is posted.
            (tmp_path / "card" / "keys.toml").rename(tmp_path / "card" / "later.toml")
            listener.bus.publish(TASK.results("nest"), encode(result(frames, "two")))
            await until(lambda: server.world.tweets)
            assert [one.text.split(",")[0] for one in server.world.tweets.values()] == ["Two"]

    run(main(), timeout=400)


def test_keys_that_others_may_read_keep_the_feed_from_starting_and_the_remedy_is_said(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    settings = card(tmp_path / "card", own_mosquitto.port, 'keys = "keys.toml"')
    (tmp_path / "card" / "keys.toml").chmod(0o644)

    async def main() -> None:
        command = (sys.executable, "-m", "roost_edge.daemon", "feed", "--settings", str(settings))
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        _, said = await process.communicate()
        assert process.returncode == 2
        assert b"chmod 600" in said
        status, _, told = await roost(settings, "check", "--offline")
        assert (status, "chmod 600" in told) == (2, True)

    run(main(), timeout=200)


def test_what_waits_is_listed_sent_and_taken_out_by_hand_while_no_feed_runs(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker, server: PractiseServer
) -> None:
    settings = card(
        tmp_path / "card", own_mosquitto.port, f'keys = "keys.toml"\nbase_url = "{server.url}"\nper_day = 2'
    )
    frames = FrameStore(tmp_path / "card" / "data" / "frames")

    async def main() -> None:
        server.world.faults.append(Fault("/1.1/media/upload.json", 503))
        async with listening(own_mosquitto) as listener, feeding(settings, listener):
            for label in ("one", "two", "three", "four"):
                await listener.bus.publish(TASK.results("nest"), encode(result(frames, label)))
            await until(lambda: listener.counted("posts") == 4)
            await until(lambda: listener.counted("service-down") == 1)
        _, found, _ = await roost(settings, "queue")
        assert [one["label"] for one in found["posts"]] == ["one", "two", "three", "four"]
        assert found["pausedS"] > 0
        assert (await roost(settings, "queue", "--drop", "2"))[1]["posts"][1]["label"] == "three"
        status, found, _ = await roost(settings, "post")
        assert (status, found["waiting"]) == (1, 3)  # the pause is kept
        status, found, _ = await roost(settings, "post", "--now")
        assert (status, found["waiting"], found["counts"]) == (1, 1, {"posted": 2})
        assert "budget" in found["why"]
        _, found, _ = await roost(settings, "preview")
        assert found["text"].startswith("Four, very likely.")
        assert found["weight"] <= found["most"] == 280

    run(main(), timeout=400)


def test_hostile_messages_are_put_aside_and_a_site_that_cannot_be_written_stops_no_post(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker, server: PractiseServer
) -> None:
    feed = f'keys = "keys.toml"\nbase_url = "{server.url}"\nsite_folder = "blocked"'
    settings = card(tmp_path / "card", own_mosquitto.port, feed)
    (tmp_path / "card" / "blocked").write_text("a file, not a folder")
    frames = FrameStore(tmp_path / "card" / "data" / "frames")
    state = encode(RoleState(timestamp=1, message_id="0" * 32, role="feed", state="ready", session=1))

    async def main() -> None:
        async with listening(own_mosquitto) as listener, feeding(settings, listener) as process:
            for payload in (b"\xff\xfe", b"[" * 50_000, b'{"schema":"roost.result/1"}', state, os.urandom(90_000)):
                listener.bus.publish(TASK.results("nest"), payload)
            gone = result(frames, "gone")
            assert gone.input is not None and gone.input.frame is not None  # noqa: PT018  # one thing: it has a frame
            frames.remove(gone.input.frame.sha256)
            listener.bus.publish(TASK.results("nest"), encode(gone))
            await until(lambda: listener.counted("frame-missing") == 1)
            listener.bus.publish(TASK.results("nest"), encode(result(frames, "one")))
            await until(lambda: server.world.tweets)
            await until(lambda: listener.counted("site-failed") > 0)
            assert (listener.counted("malformed"), listener.counted("not-a-result")) == (4, 1)
            assert process.returncode is None

    run(main(), timeout=400)


def test_the_practise_service_runs_from_the_command_line_and_ends_in_order(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    async def main() -> None:
        words = ("feed", "practise", "--port", "0", "--json")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "import sys; from roost_edge.cli.app import main; sys.exit(main())", *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        url = json.loads(b"".join([await process.stdout.readline() for _ in range(3)]))["url"]

        def page() -> str:
            with urlopen(f"{url}/") as answer:  # noqa: S310  # our own server
                return str(answer.read().decode())

        assert f"@{OWNER[1]}" in await asyncio.to_thread(page)
        process.terminate()
        assert await process.wait() == 0

    run(main(), timeout=200)


def test_keys_come_in_by_a_pipe_and_never_replace_a_file_unasked(run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    good = "".join(f'{name} = "{name}-1"\n' for name in keys.NAMES)

    async def wrote(text: str, *words: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "import sys; from roost_edge.cli.app import main; sys.exit(main())"),
            *("feed", "keys", str(file), *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(text.encode())
        return process.returncode or 0, (out + err).decode()

    async def main() -> None:
        status, said = await wrote("SECRET = 1\n")
        assert (status, "SECRET" in said, file.exists()) == (2, False, False)
        status, said = await wrote(good)
        assert (status, "consumer_key-1" in said, file.stat().st_mode & 0o777) == (0, False, 0o600)
        assert (await wrote(good.replace("-1", "-2")))[0] == 2
        assert "-1" in file.read_text()
        assert (await wrote(good.replace("-1", "-2"), "--force"))[0] == 0
        assert "-2" in file.read_text()

    tmp_path.chmod(0o700)
    run(main(), timeout=200)

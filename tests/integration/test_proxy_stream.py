"""Many questions on one connection, and real curl on both kinds of address."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from PIL import Image
from proxy_world import TASK, World, device, lines, until

from roost_broker.mosquitto import PrivateBroker

pytestmark = pytest.mark.broker
Run: TypeAlias = Callable[..., Any]
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def line(number: int, **more: Any) -> bytes:
    delay = more.pop("delay_ms", 0)
    asked = {"ref": f"r{number}", "input": {"values": {"number": number, "delayMs": delay}}, **more}
    return json.dumps(asked).encode() + b"\n"


async def stream(world: World, body: Any) -> list[Any]:
    async with world.http.post(world.stream_url, data=body) as response:
        assert response.status == 200
        assert response.content_type == "application/x-ndjson"
        return lines(await response.read())


def test_overlapping_questions_are_answered_each_by_its_ref_the_quick_ones_first(
    run: Run, mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "overlap") as world:
            told = await stream(world, line(1, delay_ms=400) + b"".join(map(line, range(2, 12))))
            assert {one["ref"]: one["result"]["answer"]["label"] for one in told} == {
                f"r{number}": str(number) for number in range(1, 12)
            }
            assert [one["line"] for one in sorted(told, key=lambda one: one["line"])] == list(range(1, 12))
            assert told[-1]["ref"] == "r1"
            assert {one["status"] for one in told} == {200}

    run(main())


def test_answers_come_while_questions_are_still_being_asked(run: Run, mosquitto: PrivateBroker, tmp_path: Path) -> None:
    """1. A question. 2. Its answer, on the same connection. 3. Only now the next question."""

    async def main() -> None:
        async with device(mosquitto, tmp_path, "duplex") as world:
            questions: asyncio.Queue[bytes] = asyncio.Queue()

            async def body() -> AsyncIterator[bytes]:
                while data := await questions.get():
                    yield data

            questions.put_nowait(line(1))
            async with world.http.post(world.stream_url, data=body()) as response:
                for number in (1, 2, 3):
                    told = json.loads(await response.content.readline())
                    assert told["ref"] == f"r{number}"
                    questions.put_nowait(line(number + 1) if number < 3 else b"")
                assert await response.content.read() == b""

    run(main())


def test_bad_lines_are_told_by_number_and_ref_and_end_nothing(
    run: Run, mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "bad-lines") as world:
            bad = b'{"ref": "odd", "input": 5}\n\n{nonsense\n' + line(9, deadlineMs=0) + b'{"ref": 7}\n'
            told = sorted(await stream(world, bad + line(1)), key=lambda one: one["line"])
            assert [(one["line"], one["status"], one.get("ref")) for one in told] == [
                (1, 422, "odd"),
                (2, 400, None),
                (3, 422, "r9"),
                (4, 422, None),
                (5, 200, "r1"),
            ]
            assert all(one["problem"] and one["remedy"] for one in told[:4])

    run(main())


def test_a_default_in_a_stream_says_504(run: Run, mosquitto: PrivateBroker, tmp_path: Path) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "default") as world:
            world.silent = True
            (told,) = await stream(world, line(1, deadlineMs=200))
            assert (told["status"], told["result"]["cause"]) == (504, "default")

    run(main())


def test_a_stream_is_read_no_further_than_so_many_open_questions(
    run: Run, mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "pressure", stream_in_flight=3, max_in_flight=50) as world:
            most = 0

            def in_flight() -> bool:
                nonlocal most
                most = max(most, world.proxy._desk.in_flight)
                return world.proxy.counts["preferred"] >= 30

            watching = asyncio.ensure_future(until(in_flight))
            told = await stream(world, b"".join(line(number, delay_ms=5) for number in range(30)))
            await watching
            assert len(told) == 30
            assert most == 3

    run(main())


def test_streams_wait_for_room_among_all_callers_instead_of_failing(
    run: Run, mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "room", max_in_flight=2, stream_in_flight=10) as world:
            told = await stream(world, b"".join(line(number, delay_ms=20) for number in range(20)))
            assert [one["status"] for one in told] == [200] * 20

    run(main())


def test_a_line_without_end_ends_the_stream_with_a_sentence(run: Run, mosquitto: PrivateBroker, tmp_path: Path) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "endless", max_body_bytes=1000) as world:
            told = await stream(world, line(1) + b"x" * 5000)
            assert sorted((one["line"], one["status"]) for one in told) == [(1, 200), (2, 413)]
            assert (await world.values(1))[0] == 200

    run(main())


def test_a_stream_that_says_nothing_is_ended(run: Run, mosquitto: PrivateBroker, tmp_path: Path) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "idle", stream_idle_ms=100) as world:
            path = f"PUT /v1/tasks/{TASK}/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n"
            assert b'"status":408' in await world.raw(path.encode())

    run(main())


def test_a_client_that_hangs_up_takes_its_open_questions_with_it(
    run: Run, mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "gone") as world:
            world.silent = True
            _, writer = await asyncio.open_connection("127.0.0.1", world.proxy.port)
            body = b"".join(map(line, range(5)))
            path = f"PUT /v1/tasks/{TASK}/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n"
            writer.write(path.encode() + body)
            await until(lambda: len(world.seen) == 5)
            writer.transport.abort()
            await until(lambda: world.proxy._desk.in_flight == 0)
            assert world.proxy.counts["left"] == 5

    run(main())


async def curl(*arguments: str, give: bytes = b"") -> tuple[int, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        *("curl", "-sS", "--max-time", "15", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(give)
    assert process.returncode is not None
    return process.returncode, out, err


@needs_curl
def test_curl_asks_about_a_picture(run: Run, mosquitto: PrivateBroker, tmp_path: Path) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "curl") as world:
            Image.new("RGB", (1500, 1000)).save(tmp_path / "hen.jpg")
            done, out, err = await curl(
                *("-i", "-H", "Content-Type: image/jpeg", "--data-binary", f"@{tmp_path / 'hen.jpg'}"),
                world.ask_url + "?tag.place=door",
            )
            assert (done, err) == (0, b"")
            assert out.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"X-Roost-Cause: preferred" in out
            assert b'"label":"1500x1000' in out
            done, out, _ = await curl("-f", "-d", "a=b", world.ask_url)
            assert done == 22  # what curl -f says of a status of 400 and more

    run(main())


@needs_curl
def test_curl_hears_why_a_large_picture_is_refused(run: Run, mosquitto: PrivateBroker, tmp_path: Path) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "large", max_body_bytes=10_000) as world:
            (tmp_path / "large.jpg").write_bytes(bytes(3_000_000))
            file = f"@{tmp_path / 'large.jpg'}"
            _, out, _ = await curl("-H", "Content-Type: image/jpeg", "--data-binary", file, world.ask_url)
            assert json.loads(out)["status"] == 413

    run(main())


@needs_curl
def test_curl_streams_lines_from_its_input_and_prints_the_answers(
    run: Run, mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "pipe") as world:
            asked = b"".join(map(line, range(50)))
            done, out, err = await curl("-T", "-", "-N", world.stream_url, give=asked)
            assert (done, err) == (0, b"")
            assert sorted(one["result"]["answer"]["label"] for one in lines(out)) == sorted(map(str, range(50)))

    run(main())


@needs_curl
def test_curl_prints_an_answer_before_its_input_has_ended(run: Run, mosquitto: PrivateBroker, tmp_path: Path) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "live") as world:
            process = await asyncio.create_subprocess_exec(
                *("curl", "-sS", "-N", "-T", ".", world.stream_url),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            assert process.stdin is not None
            assert process.stdout is not None
            for number in range(3):
                process.stdin.write(line(number))
                await process.stdin.drain()
                assert json.loads(await process.stdout.readline())["ref"] == f"r{number}"
            process.stdin.close()
            assert await process.wait() == 0

    run(main())


@needs_curl
def test_every_command_of_the_page_about_http_does_what_the_page_says(
    run: Run, mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
    one, many = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)

    async def shell(script: str) -> list[Any]:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-ec", script), cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        return lines(out.replace(b"}{", b"}\n{"))

    async def main() -> None:
        async with device(mosquitto, tmp_path, "page") as world:
            Image.new("RGB", (64, 48)).save(tmp_path / "hen.jpg")
            there = {"http://127.0.0.1:8470": world.url, "tasks/henhouse": f"tasks/{TASK}"}
            posted, inline = await shell(_with(one, there))
            for told in (posted, inline):
                assert told["answer"]["label"].startswith("64x48")
                assert told["tags"] == {"place": "door"}
            assert {told["ref"]: told["status"] for told in await shell(_with(many, there))} == {"a": 200, "b": 200}

    run(main())


def _with(text: str, there: dict[str, str]) -> str:
    for written, real in there.items():
        assert written in text
        text = text.replace(written, real)
    return text

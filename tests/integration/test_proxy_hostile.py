"""Whatever comes by HTTP gets a clear answer, and the proxy goes on: a corpus, slow clients, small limits."""

import asyncio
import base64
import io
import json
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from PIL import Image
from proxy_world import TASK, World, device, until

from roost_broker.mosquitto import PrivateBroker

pytestmark = pytest.mark.broker
Run: TypeAlias = Callable[..., Any]
JSON, JPEG, PNG = "application/json", "image/jpeg", "image/png"


def picture(kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 120, 40)).save(buffer, kind)
    return buffer.getvalue()


def huge_png() -> bytes:
    """A few bytes that say they are 60,000 × 60,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IEND\xaeB`\x82"


def asked(values: object = None, **more: object) -> bytes:
    return json.dumps({"input": {"values": values or {}}, **more}).encode()


VALUES = b'{"input": {"values": {}}}'
CORPUS: dict[str, tuple[str, bytes, int, str]] = {
    "no body": (JPEG, b"", 400, "no body"),
    "no JSON": (JSON, b"{", 400, "not JSON"),
    "not UTF-8": (JSON, b'{"input": {"values": {"a": "\xff"}}}', 400, "not JSON"),
    "JSON of another kind": (JSON, b"[1, 2]", 422, "Expected `object`"),
    "a misspelt field": (JSON, b'{"inptu": {}}', 422, "inptu"),
    "no input": (JSON, b"{}", 422, "input"),
    "values and picture": (JSON, b'{"input": {"values": {}, "inline": ""}}', 422, "either values or inline"),
    "neither": (JSON, b'{"input": {}}', 422, "either values or inline"),
    "a ref outside a stream": (JSON, b'{"ref": "a", "input": {"values": {}}}', 422, "stream"),
    "100,000 levels": (JSON, b'{"input": {"values": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}", 400, "deep"),
    "20 levels": (JSON, asked({"a": json.loads("[" * 20 + "]" * 20)}), 422, "deeper than 12"),
    "too many values": (JSON, asked({"a": "x" * 100_001}), 413, "too many"),
    "values just too many": (JSON, asked({"a": "x" * 99_900}), 413, "over the limit"),
    "a deadline of 0": (JSON, asked(deadlineMs=0), 422, "deadline"),
    "a deadline of weeks": (JSON, asked(deadlineMs=10**10), 422, "1 to 60000 ms"),
    "a deadline in words": (JSON, asked(deadlineMs="soon"), 422, "deadlineMs"),
    "tags that are no texts": (JSON, asked(tags={"a": 1}), 422, "tags"),
    "a tag with a slash": (JSON, asked(tags={"a/b": "c"}), 422, "tag"),
    "33 tags": (JSON, asked(tags={f"t{n}": "" for n in range(33)}), 422, "33 tags"),
    "a tag with a newline": (JSON, asked(tags={"a": "b\nc"}), 422, "odd value"),
    "no base64": (JSON, b'{"input": {"inline": "%%%"}}', 422, "base64"),
    "base64 of nothing": (JSON, b'{"input": {"inline": ""}}', 422, "no JPEG and no PNG"),
    "garbage for a JPEG": (JPEG, bytes(range(256)) * 4, 422, "no JPEG and no PNG"),
    "a JPEG cut off": (JPEG, picture()[:-20], 422, "cut off"),
    "a JPEG's first bytes": (JPEG, picture()[:3], 422, "cut off"),
    "a PNG cut off": (PNG, picture("PNG")[:-12], 422, "cut off"),
    "a PNG with a flipped bit": (PNG, picture("PNG").replace(b"IDAT", b"IDAU"), 422, "checksum"),
    "a PNG said to be a JPEG": (JPEG, picture("PNG"), 422, "said to be image/jpeg"),
    "3.6 gigapixels": (PNG, huge_png(), 413, "over the limit"),
    "inline, cut off": (JSON, asked().replace(b'"values": {}', b'"inline": "/9j/4AAQ"'), 422, "cut off"),
    "a form": ("application/x-www-form-urlencoded", b"a=b", 415, "image/jpeg"),
    "a form with a file": ("multipart/form-data; boundary=x", b"--x--", 415, "image/jpeg"),
    "a GIF": ("image/gif", b"GIF89a", 415, "image/gif"),
    "no content type": ("", picture(), 415, "no content type"),
    "too many bytes": (JPEG, bytes(100_000), 413, "over the limit"),
}


def post(body: bytes, content_type: str, *headers: str, path: str = f"/v1/tasks/{TASK}/requests") -> bytes:
    """The bytes of a request."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(body)}", *headers]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def told(answer: bytes) -> tuple[int, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def assert_clear(world: World, answer: bytes, status: int, words: str) -> None:
    """A sentence, no traceback, and the next caller is served."""
    said, body = told(answer)
    assert (said, body["status"]) == (status, status), body
    assert words in body["problem"] + body["remedy"]
    assert "Traceback" not in answer.decode()
    assert (await world.values(1))[0] == 200


def test_every_bad_body_gets_a_clear_answer_and_the_next_one_is_served(
    run: Run, mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "corpus", max_body_bytes=300_000) as world:
            for name, (content_type, body, status, words) in CORPUS.items():
                body = bytes(400_000) if name == "too many bytes" else body
                try:
                    await assert_clear(world, await world.raw(post(body, content_type)), status, words)
                except AssertionError as error:
                    raise AssertionError(f"{name}: {error}") from error
            assert all(request.input.values == {"number": 1} for request in world.seen)

    run(main(), timeout=60)


REQUESTS: dict[str, tuple[bytes, int, str]] = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "no HTTP"),
    "a word": (b"hello\r\n\r\n", 400, "no HTTP"),
    "a huge header": (post(VALUES, JSON, "X-A: " + "a" * 70_000), 400, "no HTTP"),
    "1000 headers": (post(VALUES, JSON, *(f"X-{n}: a" for n in range(1000))), 400, "no HTTP"),
    "a huge address": (post(VALUES, JSON, path="/" + "a" * 70_000), 400, "no HTTP"),
    "two lengths": (post(VALUES, JSON, "Content-Length: 3"), 400, "no HTTP"),
    "bad chunks": (
        b"POST /v1/tasks/nest/requests HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        400,
        "",
    ),
    "another host": (post(VALUES, JSON).replace(b"Host: localhost", b"Host: evil.example"), 421, "localhost"),
    "another page": (post(VALUES, JSON, "Origin: https://evil.example"), 403, "evil.example"),
    "another method": (post(b"", JSON).replace(b"POST", b"DELETE"), 405, "Use POST"),
    "nothing there": (post(VALUES, JSON, path="/v1/hens"), 404, "/v1/hens"),
    "an odd task": (post(VALUES, JSON, path="/v1/tasks/%00%ff/requests"), 404, "no task"),
    "a parameter nobody knows": (
        post(picture(), JPEG, path=f"/v1/tasks/{TASK}/requests?deadline=5"),
        400,
        "no parameter 'deadline'",
    ),
    "a deadline of words": (post(picture(), JPEG, path=f"/v1/tasks/{TASK}/requests?deadline_ms=1e3"), 422, "1e3"),
    "parameters beside JSON": (post(VALUES, JSON, "X-Roost-Tag-a: b"), 400, "belongs into it"),
    "diagnostics that are none": (post(picture(), JPEG, "X-Roost-Diagnostics: {"), 400, "not JSON"),
    "an empty key": (post(VALUES, JSON, "Idempotency-Key:"), 400, "Idempotency-Key"),
    "a compressed body": (post(zlib.compress(VALUES), JSON, "Content-Encoding: deflate"), 415, "deflate"),
}


def test_every_bad_request_gets_a_clear_answer_and_the_next_one_is_served(
    run: Run, mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "requests") as world:
            for name, (request, status, words) in REQUESTS.items():
                try:
                    await assert_clear(world, await world.raw(request), status, words)
                except AssertionError as error:
                    raise AssertionError(f"{name}: {error}") from error

    run(main(), timeout=60)


def test_a_body_that_does_not_arrive_is_given_up_and_others_are_served_meanwhile(
    run: Run, mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "slow", body_timeout_ms=200) as world:
            slow = asyncio.ensure_future(world.raw(post(VALUES, JSON)[:-5]))
            assert (await world.values(1))[0] == 200
            status, body = told(await slow)
            assert status == 408
            assert "200 ms" in body["problem"]

    run(main())


def test_headers_that_do_not_arrive_cost_the_connection_and_nobody_else(
    run: Run, mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "headers", header_timeout_ms=200) as world:
            slow = asyncio.ensure_future(world.raw(b"POST /v1/tasks/nest/requests HTTP/1.1\r\nHost: lo"))
            assert (await world.values(1))[0] == 200
            assert await slow == b""

    run(main())


def test_who_asks_and_reads_no_answer_loses_the_connection(run: Run, mosquitto: PrivateBroker, tmp_path: Path) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "deaf", body_timeout_ms=200, max_connections=2) as world:
            deaf = socket.create_connection(("127.0.0.1", world.proxy.port))
            deaf.setblocking(False)
            asked = b"GET /docs HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000
            async with asyncio.timeout(60):
                while True:  # until the proxy hangs up
                    try:
                        deaf.send(asked)
                    except BlockingIOError:
                        await asyncio.sleep(0)
                    except ConnectionError:
                        break
                    assert (await world.values(1))[0] == 200
            deaf.close()

    run(main(), timeout=30)


def test_a_connection_too_many_is_told_so(run: Run, mosquitto: PrivateBroker, tmp_path: Path) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "connections", max_connections=3) as world:
            open_ = [await asyncio.open_connection("127.0.0.1", world.proxy.port) for _ in range(3)]
            status, body = told(await world.raw())
            assert status == 503
            assert "connections" in body["problem"]
            for _, writer in open_:
                writer.close()
                await writer.wait_closed()

    run(main())


def test_bodies_that_would_fill_the_memory_are_refused(run: Run, mosquitto: PrivateBroker, tmp_path: Path) -> None:
    async def main() -> None:
        limits = {"max_body_bytes": 100_000, "body_memory_bytes": 100_000}
        async with device(mosquitto, tmp_path, "memory", **limits) as world:
            request = post(b" " * 90_000 + VALUES, JSON)
            first = asyncio.ensure_future(world.raw(request[:-5], b""))
            assert (await world.values(1))[0] == 200
            answer = b""
            while b" 429 " not in answer:  # until the first has sent so much
                answer = await world.raw(post(b" " * 50_000 + VALUES, JSON))
            assert told(answer)[0] == 429
            first.cancel()
            while b" 200 OK" not in answer:  # what the one who hung up had taken is given back
                answer = await world.raw(post(b" " * 50_000 + VALUES, JSON))

    run(main())


def test_a_line_that_does_not_end_takes_its_share_of_the_memory(
    run: Run, mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        limits = {"max_body_bytes": 100_000, "body_memory_bytes": 100_000}
        async with device(mosquitto, tmp_path, "line", **limits) as world:
            head = f"PUT /v1/tasks/{TASK}/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n"
            _, writer = await asyncio.open_connection("127.0.0.1", world.proxy.port)
            writer.write(head.encode() + b" " * 90_000)
            answer = b""
            async with asyncio.timeout(60):
                while b" 429 " not in answer:  # until so much of the line has come
                    answer = await world.raw(post(b" " * 50_000 + VALUES, JSON))
                writer.close()
                while b" 200 OK" not in answer:  # what the one who hung up had taken is given back
                    answer = await world.raw(post(b" " * 50_000 + VALUES, JSON))

    run(main())


def test_a_picture_that_the_card_does_not_take_is_refused_with_the_reason(
    run: Run, mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "card") as world:
            world.own_frames.parent.write_bytes(b"a file where a folder should be")
            status, said = told(await world.raw(post(picture(), JPEG)))
            assert (status, "cannot be stored" in said["problem"]) == (503, True)
            assert str(tmp_path) not in said["problem"]
            assert (await world.values(1))[0] == 200

    run(main())


def test_a_client_that_hangs_up_in_the_middle_of_a_body_is_forgotten(
    run: Run, mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "gone") as world:
            _, writer = await asyncio.open_connection("127.0.0.1", world.proxy.port)
            writer.write(post(VALUES, JSON)[:-5])
            await writer.drain()
            writer.transport.abort()
            assert (await world.values(1))[0] == 200
            assert world.proxy.counts["requests"] == 1

    run(main())


def test_a_result_that_nobody_can_read_goes_to_the_dead_letters(
    run: Run, mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "letters") as world:
            bus = world.bus("rogue")
            await bus.start()
            await bus.publish(world.flow.results("proxy-http"), b"{rubbish")
            await until(lambda: world.proxy.counts["dead-letters"])
            await bus.stop()
            assert (await world.values(1))[0] == 200

    run(main())


def test_inline_text_of_base64_is_measured_before_it_is_unpacked(
    run: Run, mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    async def main() -> None:
        async with device(mosquitto, tmp_path, "pixels", max_pixels=1000) as world:
            status, body = await world.post({"input": {"inline": base64.b64encode(picture()).decode()}})
            assert status == 413
            assert "64×48" in body["problem"]

    run(main())

"""The request proxy on a real Mosquitto, with a real injector and rendezvous server: one question, one answer."""

import asyncio
import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from aiohttp import web
from PIL import Image
from proxy_world import SCHEDULE, TASK, device, healthy, until

from roost_broker.errors import PeerError
from roost_broker.frames import FrameStore
from roost_broker.messages import Result, decode
from roost_broker.mosquitto import PrivateBroker
from roost_rendezvous import schedule as schedules
from roost_rendezvous.proxy.front import Front
from roost_rendezvous.proxy.settings import ProxySettings

pytestmark = pytest.mark.broker
Run: TypeAlias = Callable[..., Any]
Device: TypeAlias = Callable[..., Any]


def picture(kind: str = "JPEG", size: tuple[int, int] = (64, 48)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 120, 40)).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def up(mosquitto: PrivateBroker, tmp_path: Path, request: pytest.FixtureRequest) -> Device:
    """`async with up(qa=True, …) as world`: a device of this test's own."""

    def make(**settings: Any) -> Any:
        return device(mosquitto, tmp_path, request.node.nodeid, **settings)

    return make


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_is_answered_and_was_stored_for_the_models_by_reference(run: Run, up: Device, kind: str) -> None:
    async def main() -> None:
        async with up() as world:
            data = picture(kind)
            headers = {"Content-Type": f"image/{kind.lower()}", "X-Roost-Tag-Place": "door"}
            url = world.ask_url + "?deadline_ms=1500&tag.who=me"
            async with world.http.post(url, data=data, headers=headers) as response:
                result = decode(await response.read())
                assert response.status == 200
                assert response.headers["X-Roost-Cause"] == "preferred"
                assert response.headers["X-Roost-Request"] == world.seen[0].request_id
            assert isinstance(result, Result)
            assert result.answer is not None
            assert result.answer.label == f"64x48, {len(data)} bytes"
            assert result.tags == {"place": "door", "who": "me"}
            (asked,) = world.seen
            assert asked.deadline_ms == 1500
            assert asked.input.inline is None
            assert asked.input.frame is not None
            assert asked.input.frame.media_type == f"image/{kind.lower()}"
            assert [hop.component for hop in asked.provenance.path] == ["proxy", "injector"]

    run(main())


def test_json_is_answered_within_the_sla_of_the_schedule_when_it_names_no_deadline(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up() as world:
            status, body = await world.values(7, tags={"a": "b"})
            assert (status, body["answer"]["label"], body["tags"]) == (200, "7", {"a": "b"})
            assert body["schema"] == "roost.result/1"
            assert world.seen[0].deadline_ms == SCHEDULE.sla_ms

    run(main())


def test_an_inline_picture_in_json_goes_to_the_models_by_reference_too(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up() as world:
            text = base64.b64encode(picture(size=(320, 200))).decode()
            status, body = await world.post({"input": {"inline": text}})
            assert status == 200
            assert body["answer"]["label"].startswith("320x200")
            assert world.seen[0].input.inline is None

    run(main())


def test_a_default_is_504_with_the_whole_result_so_that_nobody_takes_it_for_an_answer(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up() as world:
            world.silent = True
            async with world.http.post(world.ask_url, json={"input": {"values": {}}, "deadlineMs": 300}) as response:
                body = await response.json()
                assert response.status == 504
                assert response.headers["X-Roost-Cause"] == "default"
            assert body["default"]["label"] == "unknown"
            assert "answer" not in body

    run(main())


def test_without_a_rendezvous_the_caller_hears_503_and_when_to_try_again(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up(rendezvous=False, margin_ms=50) as world:
            async with world.http.post(world.ask_url, json={"input": {"values": {}}, "deadlineMs": 50}) as response:
                assert response.status == 503
                assert response.headers["Retry-After"] == "1"
                assert (await response.json())["problem"] == "No answer: the rendezvous gave no result in time."
            assert world.proxy.counts["no-result"] == 1
            assert not await healthy(world)

    run(main())


def test_a_question_asked_while_the_broker_is_gone_gets_its_official_result_when_it_is_back_in_time(
    run: Run, own_mosquitto: PrivateBroker, tmp_path: Path
) -> None:
    """1. The broker is killed and forgets everything. 2. A question is asked. 3. It is back before the deadline."""

    async def main() -> None:
        async with device(own_mosquitto, tmp_path, "back") as world:
            await asyncio.to_thread(own_mosquitto.kill)
            while await healthy(world):
                pass
            asking = asyncio.ensure_future(world.values(3, deadlineMs=15_000))
            await until(lambda: world.proxy.counts["requests"])
            await asyncio.to_thread(own_mosquitto.start)
            status, body = await asking
            assert status in (200, 504)  # the schedule counts from the question: it may have come to the default
            assert body["schema"] == "roost.result/1"

    run(main(), timeout=40)


def test_overlapping_requests_of_one_client_each_get_their_own_answer(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up() as world:
            asked = [world.post({"input": {"values": {"number": n, "delayMs": (7 * n) % 40}}}) for n in range(40)]
            answers = await asyncio.gather(*asked)
            assert [(status, body["answer"]["label"]) for status, body in answers] == [(200, str(n)) for n in range(40)]

    run(main())


def test_one_too_many_is_refused_at_once_and_the_others_are_answered(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up(max_in_flight=2) as world:
            world.delay_ms = 400
            first = [asyncio.ensure_future(world.values(n)) for n in range(2)]
            await until(lambda: len(world.seen) == 2)
            async with world.http.post(world.ask_url, json={"input": {"values": {}}}) as response:
                assert response.status == 429
                assert response.headers["Retry-After"] == "1"
            assert [status for status, _ in await asyncio.gather(*first)] == [200, 200]

    run(main())


def test_a_client_that_hangs_up_leaves_nothing_behind(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up() as world:
            world.delay_ms = 300
            asking = asyncio.ensure_future(world.post({"input": {"inline": base64.b64encode(picture()).decode()}}))
            await world.asked.wait()
            asking.cancel()
            await until(lambda: world.proxy.counts["left"])
            async with world.http.get(world.url + "/healthz") as response:
                assert (await response.json())["inFlight"] == 0
            await until(
                lambda: world.proxy.counts["late-result"]
            )  # the models worked on, and their word is called by its name

    run(main())


def test_asked_again_with_the_same_key_it_is_the_same_request_with_the_same_answer(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up() as world:
            body = {"input": {"values": {"number": 5}}}
            first = await world.post(body, **{"Idempotency-Key": "k1"})
            again = await world.post(body, **{"Idempotency-Key": "k1"})
            other = await world.post({"input": {"values": {"number": 6}}}, **{"Idempotency-Key": "k1"})
            assert first == again
            assert first[1]["messageId"] == again[1]["messageId"]
            assert other[1]["answer"]["label"] == "6"  # never the answer to something else
            assert len({request.request_id for request in world.seen}) == 2

    run(main())


def test_two_at_once_with_the_same_key_are_asked_once_and_both_answered(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up() as world:
            world.delay_ms = 100
            one, other = await asyncio.gather(
                *(world.post({"input": {"values": {"number": 5}}}, **{"Idempotency-Key": "k"}) for _ in range(2))
            )
            assert one == other
            assert len(world.seen) == 1
            assert world.proxy.counts["joined"] == 1

    run(main())


def test_the_trace_of_the_caller_goes_into_the_provenance(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up() as world:
            parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            _, body = await world.post({"input": {"values": {}}}, traceparent=parent)
            assert body["provenance"]["traceParent"] == parent
            _, body = await world.post({"input": {"values": {}}}, traceparent="nonsense")
            assert body["provenance"].get("traceParent") != "nonsense"

    run(main())


OVERRIDE = {"diagnostics": {"schedule": schedules.to_object(SCHEDULE)}}


def test_a_schedule_of_its_own_is_refused_outside_qa_and_counted(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up() as world:
            status, body = await world.values(1, **OVERRIDE)
            assert status == 403
            assert "QA" in body["problem"]
            assert world.seen == []
            assert world.proxy.counts["diagnostics-refused"] == 1

    run(main())


def test_in_qa_a_schedule_of_its_own_is_honoured_and_a_bad_one_is_told(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up(qa=True) as world:
            status, body = await world.values(1, **OVERRIDE)
            assert (status, body["cause"]) == (200, "override")
            status, body = await world.values(1, diagnostics={"schedule": {"task": TASK}})
            assert status == 422
            assert "schedule" in body["problem"]

    run(main())


def test_tasks_health_and_an_unknown_task_are_told_plainly(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up() as world:
            async with world.http.get(world.url + "/v1/tasks") as response:
                (task,) = (await response.json())["tasks"]
            assert task["task"] == TASK
            assert task["ready"] is True
            assert task["scheduleVersion"] == SCHEDULE.version
            assert [(model["model"], model["state"]) for model in task["models"]] == [("champion", "ready")]
            url = world.url + "/v1/tasks/hencoop/requests"
            async with world.http.post(url, json={"input": {"values": {}}}) as response:
                assert response.status == 404
                assert (await response.json())["tasks"] == [TASK]

    run(main())


def test_pictures_are_kept_within_their_budget_and_those_of_cameras_are_left_alone(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up(frames_budget_mb=1, max_body_bytes=900_000) as world:
            shown = Image.effect_noise((512, 512), 90).convert("RGB")
            sent = []
            for number in range(8):
                buffer = io.BytesIO()
                shown.rotate(number).save(buffer, "JPEG", quality=95)
                sent.append(buffer.getvalue())
            camera = world.frames.put(sent[0], width=512, height=512)
            for data in sent:
                async with world.http.post(
                    world.ask_url, data=data, headers={"Content-Type": "image/jpeg"}
                ) as response:
                    assert response.status == 200
            kept = sum(path.stat().st_size for path in world.frames) - len(sent[0])
            assert 0 < kept <= 1_000_000 < sum(map(len, sent))
            assert world.frames.read(camera) == sent[0]
            assert len(list(FrameStore(world.own_frames))) == len(list(world.frames)) - 1

    run(main())


def test_counts_and_address_are_on_the_roles_topic(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up(state_every_ms=100) as world:
            said: asyncio.Queue[Any] = asyncio.Queue()
            bus = world.bus("reader")
            bus.subscribe(world.topics.role("proxy"), lambda delivery: said.put_nowait(decode(delivery.payload)))
            await bus.start()
            try:
                await world.values()
                while (state := await said.get()).counts.get("preferred") != 1:
                    pass
                assert state.state == "ready"
                assert state.detail == world.url
            finally:
                await bus.stop()

    run(main())


def test_a_taken_port_is_told_with_what_to_do(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up() as world:
            second = Front(web.Application(), ProxySettings(port=world.proxy.port))
            with pytest.raises(PeerError, match=r"Address already in use\. Choose another port"):
                await second.start()
            await second.stop()

    run(main())


def test_stopping_gives_those_who_wait_a_moment(run: Run, up: Device) -> None:
    async def main() -> None:
        async with up(drain_ms=2_000) as world:
            world.delay_ms = 200
            asking = asyncio.ensure_future(world.values(4))
            await world.asked.wait()
            await world.proxy._front.stop()
            assert (await asking)[0] == 200

    run(main())

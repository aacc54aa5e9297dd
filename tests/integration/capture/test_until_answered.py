"""The role capture over a bus: accepted means asked until archived and answered, whatever dies on the way."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from capture_world import AGAIN, CAMERA, FILM, TASK, Device, Run

from roost_broker.memory import MemoryBroker
from roost_broker.messages import with_fields
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_edge.capture.request_log import RequestLog


def test_a_broker_that_forgot_everything_is_asked_again_until_receipt_and_result_are_there(
    device: Device, memory: MemoryBroker, run: Run
) -> None:
    async def main() -> None:
        async with device.others(silent=True) as others, device.capture(**AGAIN):
            await others.until(lambda: others.count("finished") == 1)
            first = {request.request_id: request for request in others.requests}
            memory.restart(forget=True)
            others.requests.clear()
            await others.until(lambda: {request.request_id for request in others.requests} == set(first))
            for request in others.requests:
                before = first[request.request_id]
                assert request.message_id == before.message_id
                assert request.issued is not None
                assert before.issued is not None
                assert request.issued.attempt > before.issued.attempt
                assert request.issued.monotonic_ns > before.issued.monotonic_ns
                assert request.issued.seq == before.issued.seq
            others.answer_all()
            await others.until(lambda: others.count("open") == 0)
            summary = device.summary()
            assert summary.requests == summary.answered == summary.receipts == summary.republished == len(first)
            assert summary.second_answers == 0

    run(main())


def test_a_request_answered_but_not_archived_is_asked_again_and_stays_answered_once(device: Device, run: Run) -> None:
    async def main() -> None:
        async with device.others(silent=True) as others, device.capture(max_requests=1, **AGAIN):
            await others.until(lambda: len(others.requests) == 1)
            request = others.requests[0]
            receipt, result = others.make_answer(request)
            others.answers[request.request_id] = receipt, result
            others.bus.publish(request.return_address, result)
            await others.until(lambda: others.count("answered") == 1 and len(others.requests) >= 3)
            others.answer_all()
            await others.until(lambda: others.count("open") == 0 and others.count("duplicate-results") >= 1)
            assert others.count("answered") == device.summary().answered == 1

    run(main())


def test_after_a_crash_the_next_process_goes_on_with_what_is_open(device: Device, run: Run) -> None:
    async def main() -> None:
        async with device.others(silent=True) as others:
            async with device.capture(crash=True):
                await others.until(lambda: others.count("finished") == 1)
            left = {request.request_id for request in others.requests}
            assert {found.request_id for found in opened(device)} == left
            others.requests.clear()
            others.silent = False
            async with device.capture(msgspec.structs.replace(FILM, frames=1)):
                await others.until(lambda: others.count("finished") == 1 and others.count("open") == 0)
            assert {request.request_id for request in others.requests} == left
            assert all(request.issued is not None and request.issued.attempt > 1 for request in others.requests)
            assert device.summary().answered == device.summary().receipts == len(left)

    def opened(device: Device) -> list[Any]:
        with RequestLog(device.log_path) as log:
            return log.open_requests()

    run(main())


def test_unknown_fields_of_a_request_survive_being_published_again(device: Device, run: Run) -> None:
    async def main() -> None:
        async with device.others(silent=True) as others, device.capture(max_requests=1, **AGAIN):
            await others.until(lambda: len(others.payloads) >= 2)
            first, again = (msgspec.json.decode(payload) for payload in others.payloads[:2])
            assert {key for key in first if first[key] != again[key]} == {"issued"}
            assert {key for key in again["issued"] if first["issued"].get(key) != again["issued"][key]} == {
                "attempt",
                "monotonicNs",
            }

    run(main())


def test_a_second_answer_is_counted_and_not_stored_over_the_first(device: Device, run: Run) -> None:
    async def main() -> None:
        async with device.others() as others, device.capture(max_requests=1):
            await others.until(lambda: others.count("answered") == 1)
            _, result = others.answers[others.requests[0].request_id]
            others.bus.publish(TASK.results("cam"), with_fields(result, messageId="f" * 32, cause="fallback"))
            await others.until(lambda: others.count("second-answers") == 1)
            assert device.summary().second_answers == 1
            assert device.summary().by_cause == {"preferred": 1}

    run(main())


def test_rubbish_on_the_return_address_goes_to_the_dead_letters_and_harms_nothing(device: Device, run: Run) -> None:
    async def main() -> None:
        async with device.others(silent=True) as others, device.capture(max_requests=1):
            await others.until(lambda: len(others.requests) == 1)
            receipt, result = others.make_answer(others.requests[0])
            for rubbish in (b"?", b"\xff\x00", b"{}", receipt):
                others.bus.publish(TASK.results("cam"), rubbish)
            others.bus.publish(TASK.receipts, result)
            await others.until(lambda: len(others.dead_letters) == 5)
            others.bus.publish(TASK.results("cam"), with_fields(result, requestId="e" * 32))
            others.bus.publish(TASK.receipts, with_fields(receipt, requestId="e" * 32))
            await others.until(
                lambda: others.count("stranger-results") == 1 and others.count("receipts-of-others") == 1
            )
            others.answer_all()
            await others.until(lambda: others.count("open") == 0)
            assert others.count("unreadable") == 5
            assert device.summary().answered == 1

    run(main())


@pytest.mark.broker
def test_mosquitto_killed_in_the_middle_no_accepted_request_stays_open(
    own_mosquitto: PrivateBroker, tmp_path: Path, run: Run
) -> None:
    settings = own_mosquitto.settings()
    device = Device(tmp_path / "device", lambda client_id: MqttBus(settings, client_id))
    endless = msgspec.structs.replace(FILM, frames=0, realtime=True, fps=50)

    async def main() -> None:
        quick = {"interval_ms": 60, "republish_after_ms": 500, "republish_max_ms": 1000}
        async with device.others() as others, device.capture(endless, max_requests=30, **quick):
            await others.until(lambda: len(others.requests) >= 5)
            others.silent = True  # some are open when the broker dies
            await others.until(lambda: len(others.requests) >= 10)
            await asyncio.to_thread(own_mosquitto.kill)
            others.silent = False
            await asyncio.to_thread(own_mosquitto.start)
            await others.until(lambda: others.count("finished") == 1 and others.count("open") == 0)
            summary = device.summary()
            assert summary.requests == summary.answered == summary.receipts == 30
            assert summary.republished >= 1
            assert summary.second_answers == 0

    run(main(), timeout=60)


def test_a_broker_that_forgot_everything_is_told_again_whether_something_moves(
    device: Device, memory: MemoryBroker, run: Run
) -> None:
    async def main() -> None:
        async with device.others() as others, device.capture():
            await others.until(lambda: others.count("finished") == 1)
            memory.restart(forget=True)
            others.motions.clear()
            await others.until(lambda: others.motions == ["off"])
            assert memory.retained(CAMERA.motion)

    run(main())

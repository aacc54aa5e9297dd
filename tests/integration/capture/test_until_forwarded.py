"""Where the device has a gateway, requests are asked again until it has them, and no capture waits for that."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from capture_world import FILM, NODE, TASK, Device, Others

from roost_broker.messages import Hop, Provenance, Receipt, Request, RoleState, encode
from roost_broker.receipts import GATEWAY

QUICK = {"republish_after_ms": 20, "republish_max_ms": 40}
Run = Any


async def gateway_says_it_is_ready(others: Others, until: Callable[[], bool]) -> None:
    """As it does every few seconds, until something has become true."""
    state = RoleState(timestamp=1, message_id="a" * 32, session=1, role=GATEWAY, state="ready")
    while not until():
        others.bus.publish(NODE.role(GATEWAY), encode(state), retain=True)
        await asyncio.sleep(0.02)


def gateway_has(others: Others, request: Request) -> None:
    receipt = Receipt(
        timestamp=1,
        message_id=request.request_id[::-1],
        provenance=Provenance(path=[Hop(node=NODE.node, component=GATEWAY)]),
        request_id=request.request_id,
        saw="0" * 64,
    )
    others.bus.publish(TASK.receipts, encode(receipt))


def test_an_answered_request_is_asked_again_until_the_gateway_has_it(device: Device, run: Run) -> None:
    async def main() -> None:
        async with device.others() as others, device.capture(max_requests=1, forwarded=True, **QUICK):
            await others.until(lambda: others.count("answered") == 1 and others.count("open") == 0)
            assert others.count("unforwarded") == 1
            asked = len(others.requests)  # a gateway that is off is not waited for; a slow answer is
            await gateway_says_it_is_ready(others, lambda: len(others.requests) > asked)
            assert len({one.request_id for one in others.requests}) == 1
            gateway_has(others, others.requests[0])
            await others.until(lambda: others.count("unforwarded") == 0)

    run(main())


def test_a_gateway_that_is_off_holds_up_nothing_and_the_next_process_goes_on(device: Device, run: Run) -> None:
    async def main() -> None:
        async with device.others() as others:
            async with device.capture(forwarded=True, max_open=1, crash=True, **QUICK):
                await others.until(lambda: others.count("finished") == 1 and others.count("open") == 0)
                asked = {request.request_id for request in others.requests}
                assert others.count("unforwarded") == len(asked) > 1
            others.requests.clear()
            async with device.capture(msgspec.structs.replace(FILM, frames=1), forwarded=True, **QUICK):
                await gateway_says_it_is_ready(others, lambda: asked <= {one.request_id for one in others.requests})

    run(main())

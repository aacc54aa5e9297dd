"""Whoever asks a device's desk: one question, and its answer, known by the transaction."""

import asyncio
from collections.abc import Sequence

import msgspec

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import SystemClock
from roost_broker.errors import Malformed, PeerError
from roost_broker.headers import new_header
from roost_broker.messages import Ask, JsonObject, Reply, decode, encode
from roost_broker.topics import NodeTopics
from roost_edge.doctor.findings import Report


async def ask(bus: Bus, device: NodeTopics, verb: str, data: JsonObject, timeout_s: float) -> Reply:
    """`bus` is not started yet, and is stopped at the end. Raises `PeerError` when nobody answers in time."""
    head = new_header(SystemClock(), device.node, "operator")
    answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def heard(delivery: Delivery) -> None:
        delivery.ack()
        try:
            message = decode(delivery.payload)
        except Malformed:
            return  # not from a desk of ours
        if isinstance(message, Reply) and message.transaction == head.message_id and not answered.done():
            answered.set_result(message)

    bus.subscribe(device.response(verb), heard)
    await bus.start()
    try:
        question = Ask(**head._asdict(), verb=verb, transaction=head.message_id, data=data)
        await bus.publish(device.request(verb), encode(question))
        async with asyncio.timeout(timeout_s):
            reply = await answered
    except TimeoutError:
        raise PeerError(
            f"{device.node} did not answer within {timeout_s:g} s.",
            "See whether it is there (its topics `availability` and `roles/desk`), or give it longer: --timeout.",
        ) from None
    finally:
        await bus.stop(forget=True)
    if reply.status == "error":
        raise PeerError(f"{device.node}: {reply.problem}", reply.remedy)
    return reply


async def examination(bus: Bus, base: str, node: str, only: Sequence[str], timeout_s: float) -> Report:
    """What a device's doctor finds. Raises `PeerError`."""
    reply = await ask(bus, NodeTopics(node, base), "doctor", {"only": list(only)} if only else {}, timeout_s)
    try:
        return msgspec.convert(reply.data, Report)
    except msgspec.ValidationError as error:
        raise PeerError(
            f"{node} answered in a way that this Roost does not understand: {error}.", "Bring both to one version."
        ) from error

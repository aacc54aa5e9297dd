"""Carrying out the plan of the streams, and looking at how they are."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from roost_broker.centre.access import NatsUnreachable
from roost_broker.centre.streams import Step, StreamPlan, settled, step
from roost_broker.errors import PeerError

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext, api

_NS = 1_000_000_000
_MAX_UNACKED = 20_000


class StreamRefused(PeerError):
    """JetStream does not take a stream or consumer as it is planned."""


class ConsumerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One durable reader of a stream."""

    name: str
    waiting: int
    """Messages that it has not been given yet."""
    unacknowledged: int


class StreamStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one stream is."""

    name: str
    messages: int
    bytes: int
    max_bytes: int
    replicas: int
    replicas_behind: int
    """Replicas that are away or not up to date."""
    leader: str
    first_ms: int | None
    """When the oldest message was stored."""
    consumers: tuple[ConsumerStatus, ...]


async def apply(
    client: "Client", plans: Iterable[StreamPlan], *, shrink: bool = False, dry_run: bool = False
) -> tuple[Step, ...]:
    """Make the streams and consumers as planned; what is so already stays untouched.

    Without `shrink` nothing is done that would throw messages away. Raises `StreamRefused`, `NatsUnreachable`.
    """
    from nats.errors import Error

    steps = []
    for plan in plans:
        try:
            steps.append(await _apply_one(client.jetstream(timeout=10), plan, shrink, dry_run))
        except (TimeoutError, OSError) as error:
            raise NatsUnreachable(
                f"JetStream does not answer for the stream {plan.name}.", "Is a majority of its servers running?"
            ) from error
        except Error as error:
            raise StreamRefused(
                f"The stream {plan.name} was refused: {_words(error)}.",
                "Compare [streams] in centre.toml with what the servers can give (replicas, bytes on the disk).",
            ) from error
    return tuple(steps)


async def forget_readers(client: "Client", plans: Iterable[StreamPlan]) -> None:
    """Delete the durable consumers: those that `apply` makes begin at the oldest message. Raises `NatsUnreachable`."""
    from nats.errors import Error
    from nats.js.errors import NotFoundError

    js = client.jetstream(timeout=10)
    for plan in plans:
        for durable in plan.durables:
            try:
                await js.delete_consumer(plan.name, durable)
            except NotFoundError:
                continue
            except (TimeoutError, OSError, Error) as error:
                raise NatsUnreachable(f"JetStream does not answer for the stream {plan.name}.") from error


async def _apply_one(js: "JetStreamContext", plan: StreamPlan, shrink: bool, dry_run: bool) -> Step:
    found = await _found(js, plan)
    decided = step(plan, found, shrink=shrink)
    if dry_run:
        return decided
    if found is None:
        await js.add_stream(_config(plan))
    elif decided.changes:
        target = settled(plan, found, decided)
        if target != found:
            await js.update_stream(_config(target))
    for durable in decided.durables:
        await js.add_consumer(plan.name, _consumer(durable, plan))
    return decided


async def _found(js: "JetStreamContext", wanted: StreamPlan) -> StreamPlan | None:
    """The stream as it is; what nobody has said is as it is wanted."""
    from nats.js.errors import NotFoundError

    name = wanted.name
    try:
        info = await js.stream_info(name)
    except NotFoundError:
        return None
    config = info.config
    consumers = {one.name: one.config for one in await js.consumers_info(name)}
    waits = [float(one.ack_wait or 0) for durable, one in consumers.items() if durable in wanted.durables]
    return StreamPlan(
        name=name,
        subjects=tuple(config.subjects or ()),
        description=config.description or "",
        max_age_s=float(config.max_age or 0),
        max_bytes=config.max_bytes or -1,
        replicas=config.num_replicas or 1,
        dedupe_s=float(config.duplicate_window or 0),
        discard="new" if config.discard == "new" else "old",
        per_subject=config.max_msgs_per_subject,
        rollup=bool(config.allow_rollup_hdrs),
        direct=bool(config.allow_direct),
        durables={durable: one.filter_subject or "" for durable, one in consumers.items()},
        redeliver_s=waits[0] if waits else wanted.redeliver_s,
    )


def _config(plan: StreamPlan) -> "api.StreamConfig":
    from nats.js import api

    return api.StreamConfig(
        name=plan.name,
        description=plan.description,
        subjects=list(plan.subjects),
        retention=api.RetentionPolicy.LIMITS,
        max_bytes=plan.max_bytes,
        max_age=plan.max_age_s,
        max_msgs_per_subject=plan.per_subject,
        discard=api.DiscardPolicy(plan.discard),
        storage=api.StorageType.FILE,
        num_replicas=plan.replicas,
        duplicate_window=plan.dedupe_s,
        allow_rollup_hdrs=plan.rollup,
        allow_direct=plan.direct,
    )


def _consumer(durable: str, plan: StreamPlan) -> "api.ConsumerConfig":
    from nats.js import api

    return api.ConsumerConfig(
        durable_name=durable,
        filter_subject=plan.durables[durable],
        deliver_policy=api.DeliverPolicy.ALL,
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=plan.redeliver_s,
        max_ack_pending=_MAX_UNACKED,
        max_waiting=8,
    )


async def status(client: "Client", names: Iterable[str]) -> tuple[StreamStatus, ...]:
    """How these streams are; one that is missing is left out. Raises `NatsUnreachable`."""
    from nats.errors import Error
    from nats.js.errors import NotFoundError

    js = client.jetstream(timeout=10)
    found = []
    for name in names:
        try:
            found.append(await _status_of(js, name))
        except NotFoundError:
            continue
        except (TimeoutError, OSError, Error) as error:
            raise NatsUnreachable(
                f"JetStream does not answer for the stream {name}: {_words(error)}.",
                "Is a majority of its servers running?",
            ) from error
    return tuple(found)


async def behind(client: "Client", stream: str, subjects: str, after: int) -> int:
    """How many messages of these subjects a stream has behind its place `after`. Raises `NatsUnreachable`."""
    from nats.errors import Error
    from nats.js import api
    from nats.js.errors import NotFoundError

    js = client.jetstream(timeout=10)
    config = api.ConsumerConfig(
        deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=after + 1,
        filter_subject=subjects,
        ack_policy=api.AckPolicy.EXPLICIT,
        headers_only=True,
        inactive_threshold=5,
        mem_storage=True,
        num_replicas=1,
    )
    try:
        made = await js.add_consumer(stream, config)  # never read: it only counts
        await js.delete_consumer(stream, made.name)
    except NotFoundError:
        return 0
    except (TimeoutError, OSError, Error) as error:
        raise NatsUnreachable(f"JetStream does not answer for the stream {stream}: {_words(error)}.") from error
    return made.num_pending or 0


async def _status_of(js: "JetStreamContext", name: str) -> StreamStatus:
    info = await js.stream_info(name)
    cluster = info.cluster
    peers = (cluster.replicas or []) if cluster else []
    consumers = [
        ConsumerStatus(name=one.name, waiting=one.num_pending or 0, unacknowledged=one.num_ack_pending or 0)
        for one in await js.consumers_info(name)
        if one.config.durable_name
    ]
    return StreamStatus(
        name=name,
        messages=info.state.messages,
        bytes=info.state.bytes,
        max_bytes=info.config.max_bytes or -1,
        replicas=info.config.num_replicas or 1,
        replicas_behind=sum(bool(peer.offline) or not peer.current for peer in peers),
        leader=(cluster.leader or "") if cluster else "",
        first_ms=await _first_ms(js, name, info),
        consumers=tuple(sorted(consumers, key=lambda one: one.name)),
    )


async def _first_ms(js: "JetStreamContext", name: str, info: "api.StreamInfo") -> int | None:
    from nats.js.errors import NotFoundError

    if not info.state.messages:
        return None
    try:
        first = await js.get_msg(name, seq=info.state.first_seq)
    except NotFoundError:  # it has just gone
        return None
    return int(first.time.timestamp() * 1000) if first.time else None


def _words(error: BaseException) -> str:
    return str(getattr(error, "description", None) or error or type(error).__name__).rstrip(".")


async def trim(
    client: "Client", names: Iterable[str], *, consumer: str, above: float, floors: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Take out of streams that hold more than this share of their bytes what `consumer` has acknowledged.

    `floors` says how far streams without that consumer have been read. Returns how many messages were taken out, by
    stream. Raises `NatsUnreachable`.
    """
    from nats.errors import Error

    js = client.jetstream(timeout=10)
    trimmed = {}
    for name in names:
        try:
            info = await js.stream_info(name)
            bound = info.config.max_bytes or -1
            if bound <= 0 or info.state.bytes <= above * bound:
                continue
            floor = (floors or {}).get(name, -1)
            if floor < 0:
                reader = await js.consumer_info(name, consumer)
                floor = reader.ack_floor.stream_seq if reader.ack_floor else 0
            if floor < info.state.first_seq:
                continue
            await js.purge_stream(name, seq=floor + 1)
            after = await js.stream_info(name)
        except (TimeoutError, OSError, Error) as error:
            raise NatsUnreachable(f"JetStream does not answer for the stream {name}: {_words(error)}.") from error
        trimmed[name] = info.state.messages - after.state.messages
    return trimmed

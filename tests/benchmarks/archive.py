"""What the centre's archive carries (promise F11): messages stored a second, written to a day's file, read again.

Everything on this machine: a NATS server of one node whose stream is filled before the archiver starts. The baselines
of each run are plain code for the same bytes: a reader that pulls the stream and appends each batch to a file with
fsync; pyarrow writing the same columns to one file, and reading it. What the archive does beyond them is what it is
for: repetitions recognised, days and tasks told apart, order, every file with its record and digest.
"""

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from report import Outcome, Say, at_least

from roost_broker.centre.access import NatsAccess, connect
from roost_broker.centre.applying import apply
from roost_broker.centre.envelope import Envelope, headers_of
from roost_broker.centre.lanes import LANES, subject_of
from roost_broker.centre.nats_server import PrivateNats
from roost_broker.centre.pulling import Puller
from roost_broker.centre.streams import StreamSettings, plans
from roost_broker.clock import SystemClock
from roost_models.central.archiver import Archiver
from roost_models.central.compaction import compact
from roost_models.central.reading import CentralArchive
from roost_models.central.staging import Staging

_TOPIC = "roost/bench/nest/input"
_BATCH = 500
_FAR_MS = 10**13
"""By then every day is over."""


def run(quick: bool, say: Say) -> Outcome:
    """See the module."""
    outcome = Outcome()
    count = 10_000 if quick else 50_000
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as name, PrivateNats(Path(name) / "nats") as centre:
        outcome.data = data = asyncio.run(_measure(Path(name), centre.access(), count, say))
    outcome.lines += [
        f"plain reader     {data['plain_per_s']:8.0f} messages/s",
        f"archiver         {data['stored_per_s']:8.0f} messages/s, each on the disk before it is acknowledged",
        f"plain pyarrow    {data['pyarrow_write_per_s']:8.0f} messages/s written, "
        f"{data['pyarrow_read_per_s']:8.0f} read",
        f"archive          {data['compacted_per_s']:8.0f} messages/s written, {data['read_per_s']:8.0f} read",
        f"a message of {data['payload_bytes']} B takes {data['file_bytes']:.0f} B in a day's file",
    ]
    outcome.goals += [
        at_least("F11", "archiver / plain reader", "×", round(data["stored_per_s"] / data["plain_per_s"], 2), 0.2),
        at_least(
            "F11",
            "compaction / plain pyarrow",
            "×",
            round(data["compacted_per_s"] / data["pyarrow_write_per_s"], 2),
            0.05,
        ),
        at_least(
            "F11", "reading / plain pyarrow", "×", round(data["read_per_s"] / data["pyarrow_read_per_s"], 2), 0.05
        ),
    ]
    return outcome


async def _measure(folder: Path, access: NatsAccess, count: int, say: Say) -> dict[str, Any]:
    client = await connect(access, name="bench")
    await apply(client, plans(StreamSettings()))
    say(f"{count} messages into the stream …")
    streams, outbox = client.jetstream(timeout=30), os.urandom(16).hex()
    now_ms = SystemClock().wall_ns() // 1_000_000
    for begin in range(1, count + 1, _BATCH):
        made = [
            Envelope(_TOPIC, os.urandom(300).hex().encode(), "bench", outbox, "inputs", seq, now_ms)
            for seq in range(begin, begin + _BATCH)
        ]
        await asyncio.gather(
            *(streams.publish(subject_of(_TOPIC, "inputs"), one.payload, headers=headers_of(one)) for one in made)
        )
    say("A plain reader …")
    plain_s = await _plain(client, folder / "plain.bin", count)
    say("The archiver …")
    stored_s = await _archived(client, folder / "archive", count)
    await client.close()
    say("Writing a day, and reading it …")
    write_s, size = _compacted(folder / "archive")
    begun = time.perf_counter()
    rows = list(CentralArchive(folder / "archive").rows())
    read_s = time.perf_counter() - begun
    if len(rows) != count:
        raise AssertionError(f"{len(rows)} of {count} messages were read")
    plain_write_s, plain_read_s = _pyarrow(folder / "plain.parquet", rows)
    return {
        "messages": count,
        "payload_bytes": len(rows[0].payload),
        "plain_per_s": count / plain_s,
        "stored_per_s": count / stored_s,
        "compacted_per_s": count / write_s,
        "read_per_s": count / read_s,
        "pyarrow_write_per_s": count / plain_write_s,
        "pyarrow_read_per_s": count / plain_read_s,
        "file_bytes": size / count,
    }


async def _plain(client: Any, target: Path, count: int) -> float:
    """Pull, append, fsync, acknowledge."""
    from nats.js import api

    config = api.ConsumerConfig(name="plain", durable_name="plain", ack_policy=api.AckPolicy.EXPLICIT)
    config.max_ack_pending = 20_000
    stream = LANES["inputs"].stream
    await client.jetstream().add_consumer(stream, config)
    done, begun = 0, time.perf_counter()
    with target.open("wb") as file:
        async with Puller(client, stream, "plain", batch=_BATCH) as puller:
            while done < count:
                messages = await puller.next(1.0)
                file.write(b"".join(message.payload for message in messages))
                file.flush()
                os.fsync(file.fileno())
                await puller.acknowledge(messages)
                done += len(messages)
    return time.perf_counter() - begun


async def _archived(client: Any, root: Path, count: int) -> float:
    stop = asyncio.Event()
    left = count

    def stored(new: int) -> None:
        nonlocal left
        left -= new
        if left <= 0:
            stop.set()

    archiver = Archiver(client, root, stored=stored)
    begun = time.perf_counter()
    await archiver.run(stop)
    return time.perf_counter() - begun


def _compacted(root: Path) -> tuple[float, int]:
    staging = Staging(root)
    begun = time.perf_counter()
    files = compact(staging, _FAR_MS, close_after_ms=0)
    elapsed = time.perf_counter() - begun
    staging.close()
    return elapsed, sum(one.bytes for one in files)


def _pyarrow(target: Path, rows: list[Envelope]) -> tuple[float, float]:
    """The same columns by pyarrow alone: seconds to write and to read them as Python values."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    begun = time.perf_counter()
    names = ("node", "outbox", "seq", "topic", "received_ms", "stored_ms", "payload")
    pq.write_table(pa.table({name: [getattr(one, name) for one in rows] for name in names}), target, compression="zstd")
    with target.open("rb") as file:
        os.fsync(file.fileno())
    written = time.perf_counter()
    pq.read_table(target).to_pylist()
    return written - begun, time.perf_counter() - written

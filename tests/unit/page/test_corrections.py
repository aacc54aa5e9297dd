"""Corrections: durable until the broker has them, bounded, sent again after a loss."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roost_broker.clock import SystemClock
from roost_broker.errors import PeerError
from roost_broker.headers import new_header
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import Suggestion, decode
from roost_broker.worker import Worker
from roost_edge.page.corrections import Corrections
from roost_edge.page.listening import Sender

TOPIC = "roost/coop-1/nest/suggestions"


def said(request: str, label: str) -> Suggestion:
    head = new_header(SystemClock(), "coop-1", "page")
    return Suggestion(**head._asdict(), request_id=request * 32, label=label, author="anna", source="page")


def test_what_was_said_is_there_after_a_restart_and_the_newest_word_counts(tmp_path: Path) -> None:
    first = Corrections(tmp_path / "c.db", 100)
    first.add(said("a", "hen"), TOPIC)
    first.add(said("a", "jay"), TOPIC)
    first.add(said("b", "egg"), TOPIC)
    first.close()
    second = Corrections(tmp_path / "c.db", 100)
    found = second.of(["a" * 32, "b" * 32, "c" * 32])
    assert {key[0]: (one.label, one.sent) for key, one in found.items()} == {"a": ("jay", False), "b": ("egg", False)}
    assert len(second.waiting(10)) == 3
    second.close()


def test_of_those_that_were_sent_the_oldest_go_and_those_that_wait_stay(tmp_path: Path) -> None:
    kept = Corrections(tmp_path / "c.db", 3)
    for nth in range(3):
        kept.add(said(str(nth), "hen"), TOPIC)
    with pytest.raises(PeerError, match="wait for the broker"):
        kept.add(said("3", "hen"), TOPIC)
    kept.sent(kept.waiting(1)[0].seq)
    kept.add(said("3", "hen"), TOPIC)
    assert {key[0] for key in kept.of([str(nth) * 32 for nth in range(4)])} == {"1", "2", "3"}
    kept.close()


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(PeerError, match="cannot be used for corrections"):
        Corrections(tmp_path / "c.db", 3)


def test_one_said_while_the_broker_is_away_is_sent_when_it_is_back(run: Callable[..., Any], tmp_path: Path) -> None:
    async def main() -> None:
        broker, heard = MemoryBroker(), asyncio.Queue[Any]()
        reader, bus = MemoryBus(broker, "reader"), MemoryBus(broker, "page")
        reader.subscribe(TOPIC, lambda delivery: (delivery.ack(), heard.put_nowait(decode(delivery.payload)))[0])
        await reader.start()
        corrections, worker = Corrections(tmp_path / "c.db", 10), Worker("test")
        sender = Sender(bus, corrections, worker, Counter())
        sending = asyncio.create_task(sender.run())
        corrections.add(said("a", "jay"), TOPIC)
        sender.wake()
        assert len(await worker.call(corrections.waiting, 10)) == 1  # nobody to take it
        await bus.start()
        taken = await heard.get()
        assert (taken.label, taken.author, taken.source) == ("jay", "anna", "page")
        while await worker.call(corrections.waiting, 10):
            pass
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await bus.stop()
        await reader.stop()
        await worker.call(corrections.close)
        worker.stop()

    run(main())

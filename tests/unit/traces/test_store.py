"""Traces on the card: idempotent, bounded, readable while they are written."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest
from traced_request import REQUEST, message_id, trace

from roost_broker.errors import Misuse, PeerError
from roost_broker.messages import encode
from roost_rendezvous.traces.ring import MAX_PARTS
from roost_rendezvous.traces.settings import TraceSettings
from roost_rendezvous.traces.store import RanOn, TraceReader, TraceStore

DAY_MS = 86_400_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "traces.db"


@pytest.fixture
def store(path: Path) -> Iterator[TraceStore]:
    kept = TraceStore(path, TraceSettings(store_requests=10, keep_days=2))
    yield kept
    kept.close()


@pytest.fixture
def read(path: Path) -> Iterator[Callable[[], TraceReader]]:
    """Opens readers, and closes them in the end."""
    with ExitStack() as stack:

        def opened() -> TraceReader:
            reader = TraceReader(path)
            stack.callback(reader.close)
            return reader

        yield opened


Read: TypeAlias = Callable[[], TraceReader]


def request_id(number: int) -> str:
    return f"{number:04x}" + "0" * 28


def put(store: TraceStore, number: int, at_ms: int, *components: str, ident: str = "") -> None:
    ids = [ident or message_id() for _ in components or ("decoy",)]
    parts = {
        one: encode(trace(component, ("wait", 0, 1), request_id=request_id(number), ident=one))
        for one, component in zip(ids, components or ("decoy",), strict=True)
    }
    with store.transaction():
        store.put(request_id(number), "nest", at_ms, parts)


def test_what_was_put_is_found_by_any_unambiguous_beginning_and_as_the_newest(read: Read, store: TraceStore) -> None:
    put(store, 0x1234, 100)
    put(store, 0x1299, 200)
    reader = read()
    assert reader.find("123").request_id == request_id(0x1234)
    assert reader.find(request_id(0x1299)).at_ms == 200
    assert [one.request_id for one in reader.newest(10)] == [request_id(0x1299), request_id(0x1234)]
    with pytest.raises(Misuse, match="Several"):
        reader.find("12")
    with pytest.raises(Misuse, match="No trace"):
        reader.find("ffff")


def test_messages_that_come_later_are_added_and_the_same_ones_change_nothing(read: Read, store: TraceStore) -> None:
    put(store, 1, 100, "injector", ident="a" * 32)
    put(store, 1, 999, "injector", ident="a" * 32)
    put(store, 1, 999, "decoy", ident="b" * 32)
    reader = read()
    [stored] = reader.newest(10)
    assert [getattr(one, "component", "") for one in stored.messages] == ["injector", "decoy"]
    assert stored.at_ms == 100


def test_the_janitor_deletes_the_oldest_beyond_number_and_days(read: Read, store: TraceStore) -> None:
    now = 10 * DAY_MS
    for number in range(15):
        put(store, number, now - 15 + number)
    put(store, 99, now - 3 * DAY_MS)
    assert store.tidy(now) == 6
    reader = read()
    assert [one.request_id for one in reader.newest(100)] == [request_id(n) for n in range(14, 4, -1)]


def test_the_janitor_keeps_the_bytes_within_the_bound(read: Read, path: Path) -> None:
    store = TraceStore(path, TraceSettings(store_bytes=100_000))
    for number in range(1000):
        put(store, number, number, "decoy", "injector")
    store.tidy(1000)
    requests, size, oldest = read().count()
    assert size <= 100_000
    assert size > 90_000
    assert oldest == 1000 - requests
    store.close()


def test_running_on_is_added_up_by_model_and_told_again_counts_only_what_is_new(read: Read, store: TraceStore) -> None:
    with store.transaction():
        assert store.put_ran_on(RanOn(request_id(1), "nest", "slow", 500), 100) == 500
        assert store.put_ran_on(RanOn(request_id(1), "nest", "slow", 500), 100) == 0
        assert store.put_ran_on(RanOn(request_id(1), "nest", "slow", 700), 100) == 200
        assert store.put_ran_on(RanOn(request_id(1), "nest", "slow", 600), 100) == 0
        assert store.put_ran_on(RanOn(request_id(2), "nest", "slow", 50), 100) == 50
        assert store.put_ran_on(RanOn(request_id(2), "nest", "other", 1), 100) == 1
    totals = read().ran_on()
    assert [tuple(one) for one in totals] == [("nest", "slow", 2, 750, 700), ("nest", "other", 1, 1, 1)]


def test_what_ran_on_is_forgotten_with_the_days_and_bounded_in_number(read: Read, store: TraceStore) -> None:
    now = 10 * DAY_MS
    with store.transaction():
        store.put_ran_on(RanOn(request_id(0), "nest", "slow", 5), now - 3 * DAY_MS)
        for number in range(1, 30):
            store.put_ran_on(RanOn(request_id(number), "nest", "slow", 1), now - 100 + number)
    store.tidy(now)
    [total] = read().ran_on()
    assert (total.requests, total.longest_ns) == (10, 1)


def test_a_reader_sees_what_is_written_while_it_reads(read: Read, store: TraceStore) -> None:
    reader = read()
    put(store, 1, 100)
    assert len(reader.newest(10)) == 1
    put(store, 2, 200)
    assert len(reader.newest(10)) == 2


def test_a_reader_cannot_write(read: Read, store: TraceStore) -> None:
    reader = read()
    with pytest.raises(sqlite3.OperationalError):
        reader._db.execute("DELETE FROM traces")


def test_without_a_store_the_reader_says_who_writes_it(read: Read) -> None:
    with pytest.raises(PeerError, match="monitor"):
        read()


def test_a_file_that_is_no_database_is_set_aside_and_begun_anew(read: Read, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"a bad card" * 1000)
    with pytest.raises(PeerError, match="cannot be read"):
        read()
    store = TraceStore(path, TraceSettings())
    put(store, 1, 100)
    assert len(read().newest(10)) == 1
    assert path.with_suffix(".damaged").read_bytes().startswith(b"a bad card")
    store.close()


def test_a_row_that_cannot_be_unpacked_any_more_is_an_empty_trace(read: Read, store: TraceStore) -> None:
    put(store, 1, 100)
    with store.transaction():
        store._db.execute("UPDATE traces SET body = ?", (b"rust",))
    assert read().newest(10)[0].messages == ()
    put(store, 1, 100, "decoy")
    assert len(read().newest(10)[0].messages) == 1


def test_a_request_keeps_so_many_messages_and_no_more(read: Read, store: TraceStore) -> None:
    for _ in range(3):
        put(store, 1, 100, *["decoy"] * 100)
    assert len(read().newest(1)[0].messages) == MAX_PARTS


def test_a_damaged_file_is_an_error_with_a_remedy_for_who_reads(read: Read, store: TraceStore, path: Path) -> None:
    for number in range(200):
        put(store, number, number)
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + b"\xff" * (len(whole) // 2))
    reader = read()  # the beginning is good
    with pytest.raises(PeerError, match="cannot be read"):
        reader.newest(1000)


def test_a_message_of_the_future_is_left_out_of_what_is_read(read: Read, store: TraceStore) -> None:
    known = encode(trace("decoy", ("wait", 0, 1)))
    with store.transaction():
        store.put(REQUEST, "nest", 1, {"a": b'{"schema":"roost.hologram/9"}', "b": known})
    assert len(read().newest(1)[0].messages) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"share": 1.1}, {"share": -0.1}, {"ring_bytes": 16_000_001}, {"keep_days": 0}, {"flush_ms": 1}],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TraceSettings(**wrong)  # type: ignore[arg-type]  # that is the test

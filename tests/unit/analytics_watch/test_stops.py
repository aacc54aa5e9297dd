"""A stop is watched apart: silences between two looks count, in expected events, with a history of their own."""

from watch_world import BEGIN, DAY, HOUR, MINUTE

from roost_rendezvous.analytics.reading import Reading, Signal
from roost_rendezvous.analytics.watch.planning import Happened
from roost_rendezvous.analytics.watch.streams import Streams

SIGNAL = Signal(task="henhouse", kind="rate", subject="task", part="requests")


def watched(days: int = 9) -> tuple[Streams, int]:
    """One request a minute, looked at every quarter of an hour."""
    streams, at = Streams(10), BEGIN
    while at < BEGIN + days * DAY:
        at += MINUTE
        streams.feed([Happened(SIGNAL, "requests")], at)
        if (at - BEGIN) % (15 * MINUTE) == 0:
            streams.tick(at)
    return streams, at


def stop(readings: list[Reading]) -> Reading:
    [found] = [one for one in readings if one.signal.part == "requests.stop"]
    return found


def test_a_silence_that_was_over_before_the_look_is_read_all_the_same() -> None:
    streams, at = watched()
    usual = stop(streams.tick(at + MINUTE)).surprise or 0.0
    for minute in (41, 42):
        streams.feed([Happened(SIGNAL, "requests")], at + minute * MINUTE)
    reading = stop(streams.tick(at + 45 * MINUTE))
    assert usual < 5.0
    assert (reading.surprise or 0.0) > 30.0
    assert reading.signal.kind == "rate"
    assert (stop(streams.tick(at + 46 * MINUTE)).surprise or 0.0) < 10.0


def test_an_acknowledged_stop_is_judged_afresh() -> None:
    streams, at = watched()
    found = stop(streams.tick(at + 2 * HOUR))
    streams.accept([found.signal.name])
    assert (found.surprise or 0.0) > 60.0
    assert (stop(streams.tick(at + 2 * HOUR + MINUTE)).surprise or 0.0) < 5.0

"""What one request's diagnostics do to the rendezvous and the injector, and that nobody else notices (V7)."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from coop import Coop, after
from stories import Story, ask

from roost_broker.clock import MS
from roost_broker.memory import MemoryBus
from roost_broker.messages import DeadLetter, Diagnostics, Event, JsonObject, Request, encode
from roost_rendezvous.injector.role import StateInjector


def faulty(component: str, fault: str, **more: Any) -> Diagnostics:
    return Diagnostics(faults=[{"component": component, "fault": fault}], **more)


def play_one(play: Callable[[Story], Coop], diagnostics: Diagnostics, *, qa: bool = True) -> tuple[Coop, list[Request]]:
    """The middle one of three requests asks for something, the others for nothing."""
    asked: list[Request] = []

    async def story(coop: Coop) -> None:
        await coop.model("champion", after(50))
        server = await coop.server(qa=qa, state_every_ms=500)
        await asyncio.sleep(1)
        for number in range(3):
            asked.append(coop.request(diagnostics=diagnostics if number == 1 else None))
            await ask(coop, asked[-1])
            await asyncio.sleep(0.01)
        await asyncio.sleep(3)
        coop.server_counts = dict(server.counts)  # type: ignore[attr-defined]  # for the test's eyes

    return play(story), asked


def times_ms(coop: Coop, asked: list[Request]) -> list[int | None]:
    """How long after its request each result came."""
    found: list[int | None] = []
    for request in asked:
        at = [at for at, _ in coop.results().get(request.request_id, [])]
        assert request.issued is not None
        found.append(round((at[0] - request.issued.monotonic_ns) / MS) if at else None)
    return found


def counts(coop: Coop) -> dict[str, int]:
    return coop.server_counts  # type: ignore[attr-defined, no-any-return]  # see play_one


def test_a_rendezvous_that_is_slow_on_purpose_delays_that_one_result_and_nobody_elses(
    play: Callable[[Story], Coop],
) -> None:
    coop, asked = play_one(play, faulty("rendezvous", "slow:700"))
    assert times_ms(coop, asked) == [50, 750, 50]
    result = coop.results()[asked[1].request_id][0][1]
    assert result.provenance.overrides == ["fault rendezvous slow:700"]
    assert coop.results()[asked[0].request_id][0][1].provenance.overrides == []


def test_a_delayed_result_is_given_once_even_when_its_request_is_repeated(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.model("champion", after(50))
        await coop.server(qa=True)
        await asyncio.sleep(1)
        request = coop.request(diagnostics=faulty("rendezvous", "slow:700"))
        for _ in range(3):
            await ask(coop, request)
            await asyncio.sleep(0.2)
        await asyncio.sleep(2)
        await ask(coop, request)
        await asyncio.sleep(2)

    [results] = play(story).results().values()
    assert len({result.message_id for _, result in results}) == 1
    assert len(results) == 2  # the second one after it was published, as ever


def test_a_result_dropped_on_purpose_is_missing_alone_and_the_request_is_done(play: Callable[[Story], Coop]) -> None:
    coop, asked = play_one(play, faulty("rendezvous", "drop"))
    assert times_ms(coop, asked) == [50, None, 50]
    assert coop.broker.waiting("rendezvous-nest") == 0
    assert counts(coop)["fault-drop"] == 1


def test_a_wrong_result_does_not_decode_and_the_request_is_done(play: Callable[[Story], Coop]) -> None:
    coop, asked = play_one(play, faulty("rendezvous", "wrong"))
    assert times_ms(coop, asked) == [50, None, 50]
    own = [payload for topic, payload in coop.bytes_seen if topic == asked[1].return_address]
    assert len(own) == 3
    assert any(payload.startswith(b"\xff") for payload in own)
    assert coop.broker.waiting("rendezvous-nest") == 0


def test_an_error_on_purpose_makes_a_dead_letter_and_no_mailbox(play: Callable[[Story], Coop]) -> None:
    coop, asked = play_one(play, faulty("rendezvous", "error"))
    assert times_ms(coop, asked) == [50, None, 50]
    (letter,) = coop.said(DeadLetter)
    assert "on purpose" in letter.reason


def test_outside_qa_everything_is_refused_counted_and_told_and_the_request_answered_normally(
    play: Callable[[Story], Coop],
) -> None:
    coop, asked = play_one(play, faulty("rendezvous", "drop", trace=True, log_level="debug"), qa=False)
    assert times_ms(coop, asked) == [50, 50, 50]
    refused = {name: count for name, count in counts(coop).items() if name.startswith("diagnostics-refused-")}
    expected = {f"diagnostics-refused-{what}" for what in ("fault", "trace", "log-level")}
    assert refused == dict.fromkeys(expected, 1)
    told = [event for event in coop.said(Event) if event.kind.startswith("diagnostics-refused-")]
    assert {event.kind for event in told} == expected
    assert {event.data["requestId"] for event in told} == {asked[1].request_id}
    assert coop.results()[asked[1].request_id][0][1].provenance.overrides == []


def test_a_flood_of_refusals_is_counted_and_told_once_a_minute(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await asyncio.sleep(1)
        for _ in range(130):
            await ask(coop, coop.request(diagnostics=faulty("rendezvous", "drop")))
            await asyncio.sleep(1)

    told = [event for event in play(story).said(Event) if event.kind == "diagnostics-refused-fault"]
    assert [event.data["count"] for event in told] == [1, 61, 121]


def test_a_request_that_asks_for_it_is_logged_step_by_step_and_the_others_are_not(
    play: Callable[[Story], Coop], caplog: pytest.LogCaptureFixture
) -> None:
    assert not logging.getLogger("roost_rendezvous").isEnabledFor(logging.INFO)
    _, asked = play_one(play, Diagnostics(log_level="debug"))
    lines = [record for record in caplog.records if hasattr(record, "fields")]
    assert [record.getMessage() for record in lines] == ["rendezvous: taken", "rendezvous: answers"]
    assert {record.fields["requestId"] for record in lines} == {asked[1].request_id}  # type: ignore[attr-defined]
    assert lines[1].fields["models"]["champion"] == "answered after 50.0 ms"  # type: ignore[attr-defined]


# the injector


def inject(play: Callable[[Story], Coop], diagnostics: Diagnostics, *, qa: bool = True) -> tuple[Coop, dict[str, int]]:
    """Three requests in a row, 10 ms apart; the first asks for something."""
    found: dict[str, int] = {}

    async def story(coop: Coop) -> None:
        bus = MemoryBus(coop.broker, "injector-nest")
        injector = StateInjector(bus, coop.task(), clock=coop.clock, node="coop-1", session=1, qa=qa)
        stop = asyncio.Event()
        coop._tasks["injector"] = asyncio.ensure_future(injector.run(stop)), stop
        await asyncio.sleep(0.1)
        asker = await coop.bus("asker")
        for number in range(3):
            request = coop.request(diagnostics=diagnostics if number == 0 else None)
            await asker.publish(coop.task().raw, encode(request))
            await asyncio.sleep(0.01)
        await asyncio.sleep(2)
        found.update(injector.counts)

    return play(story), found


def inputs(coop: Coop) -> list[int]:
    """Numbers of the requests on input, in order; -1 for what does not decode."""
    numbers = []
    for topic, payload in coop.bytes_seen:
        if topic.endswith("/input"):
            try:
                numbers.append(msgspec.json.decode(payload, type=Request).input.values["number"])  # type: ignore[index]
            except (msgspec.DecodeError, UnicodeDecodeError):
                numbers.append(-1)
    return numbers


@pytest.mark.parametrize(
    ("fault", "seen"),
    [("slow:500", [2, 3, 1]), ("drop", [2, 3]), ("error", [2, 3]), ("wrong", [-1, 2, 3])],
)
def test_an_injector_told_to_suffer_hurts_that_one_request_alone(
    play: Callable[[Story], Coop], fault: str, seen: list[int]
) -> None:
    coop, found = inject(play, faulty("injector", fault))
    assert inputs(coop) == seen
    assert found[f"fault-{fault.split(':')[0]}"] == 1
    assert len(coop.said(DeadLetter)) == (1 if fault == "error" else 0)
    assert coop.broker.waiting("injector-nest") == 0


def test_the_injector_records_what_is_overridden_where_everybody_finds_it(play: Callable[[Story], Coop]) -> None:
    coop, _ = inject(play, faulty("injector", "slow:5", trace=True, log_level="info"))
    told = [message.provenance.overrides for _, topic, message in coop.seen if topic.endswith("/input")]
    assert told == [["trace", "log-level info", "fault injector slow:5"], [], []]


def test_outside_qa_the_injector_passes_everything_on_unchanged_and_says_what_it_refused(
    play: Callable[[Story], Coop],
) -> None:
    entries: list[JsonObject] = [{"component": "injector", "fault": "drop"}, {"component": "nobody", "fault": "drop"}]
    coop, found = inject(play, Diagnostics(trace=True, faults=entries), qa=False)
    assert inputs(coop) == [1, 2, 3]
    assert (found["diagnostics-refused-fault"], found["diagnostics-refused-trace"]) == (1, 1)
    assert all(request.provenance.overrides == [] for request in coop.said(Request))

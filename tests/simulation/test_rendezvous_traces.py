"""What the rendezvous server tells of traced requests, in virtual time."""

import asyncio
from collections.abc import Callable

import pytest
from coop import Coop, after, declines
from stories import Story, ask

from roost_broker.clock import MS
from roost_broker.messages import Diagnostics, Trace

Play = Callable[[Story], Coop]


def spans(coop: Coop) -> list[tuple[str, int, dict[str, str]]]:
    """Name, length in ms and attributes of every span told, in order."""
    return [
        (span.name, round(span.duration_ns / MS), span.attributes) for trace in coop.said(Trace) for span in trace.spans
    ]


def test_the_wait_ends_with_the_decision_and_says_whose_answer_it_is(play: Play) -> None:
    async def story(coop: Coop) -> None:
        await coop.server(traced=1.0)
        await coop.model("champion", after(300))
        await ask(coop, coop.request())
        await asyncio.sleep(5)

    wait, answer = spans(play(story))
    assert wait[:2] == ("wait", 300)
    assert (wait[2]["model"], wait[2]["cause"], wait[2]["label"]) == ("champion", "preferred", "by-champion")
    assert answer[:2] == ("answer", 0)


def test_a_default_says_why_and_names_no_model(play: Play) -> None:
    async def story(coop: Coop) -> None:
        await coop.server(traced=1.0)
        await coop.model("champion", after(60_000))
        await ask(coop, coop.request())
        await asyncio.sleep(5)

    wait, _ = spans(play(story))
    assert wait[:2] == ("wait", 1900)
    assert wait[2]["cause"] == "default"
    assert wait[2]["reason"]
    assert "model" not in wait[2]


def test_each_late_word_is_told_with_whose_it_is_and_how_late(play: Play) -> None:
    async def story(coop: Coop) -> None:
        await coop.server(traced=1.0)
        await coop.model("champion", after(100))
        await coop.model("canary", after(850))
        await coop.model("fast", after(700))
        await ask(coop, coop.request())
        await asyncio.sleep(5)

    late = [(length, said) for name, length, said in spans(play(story)) if name == "late"]
    assert late == [(600, {"model": "fast"}), (750, {"model": "canary"})]


def test_a_request_that_comes_twice_is_told_once(play: Play) -> None:
    async def story(coop: Coop) -> None:
        await coop.server(traced=1.0)
        await coop.model("champion", after(300))
        request = coop.request()
        await ask(coop, request)
        await asyncio.sleep(0.1)
        await ask(coop, request)
        await asyncio.sleep(5)
        await ask(coop, request)
        await asyncio.sleep(5)

    assert [name for name, *_ in spans(play(story))] == ["wait", "answer"]


@pytest.mark.parametrize(("qa", "told"), [(True, 1), (False, 0)])
def test_at_share_0_only_the_request_that_asks_in_qa_is_told(play: Play, qa: bool, told: int) -> None:
    asking: list[str] = []

    async def story(coop: Coop) -> None:
        server = await coop.server(traced=0.0, qa=qa)
        await coop.model("champion", declines)
        await ask(coop, coop.request())
        request = coop.request(diagnostics=Diagnostics(trace=True))
        asking.append(request.request_id)
        await ask(coop, request)
        await asyncio.sleep(5)
        counted = {kind: count for kind, count in server.counts.items() if "refused" in kind}
        assert counted == ({} if told else {"diagnostics-refused-trace": 1})

    traces = play(story).said(Trace)
    assert [trace.request_id for trace in traces] == asking * told


def test_without_a_tracer_nothing_is_told(play: Play) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.model("champion", after(300))
        await ask(coop, coop.request(diagnostics=Diagnostics(trace=True)))
        await asyncio.sleep(5)

    assert play(story).said(Trace) == []

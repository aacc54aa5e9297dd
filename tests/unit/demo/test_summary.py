import json

from roost_edge.capture.request_summary import RequestSummary
from roost_edge.demo.summary import ReplayFigures, as_json, as_lines, summarise

KEYS = [
    *("requests", "answered", "within_sla", "by_cause", "by_model", "p50_ms", "p99_ms"),
    *("archived", "replay_identical", "alerts", "defaults"),
]


def log(**changes):
    good = {
        "requests": 40,
        "answered": 40,
        "within_sla": 40,
        "receipts": 40,
        "by_cause": {"preferred": 38, "fallback": 1, "default": 1},
        "by_model": {"champion": 38, "fast": 1},
        "p50_ms": 31.46,
        "p99_ms": 612.04,
    }
    return RequestSummary(**(good | changes))


def judged(figures=None, *, archived=40, replays=(), **more):
    given = {"alerts": 3, "seconds": 60.04, "source": "synthetic", "faults": []} | more
    return summarise(figures or log(), archived=archived, replays=list(replays), **given)


def test_the_object_begins_with_the_keys_of_the_contract_in_their_order():
    shown = json.loads(as_json(judged(replays=[ReplayFigures(model="fast", given=10, compared=10, identical=10)])))
    assert list(shown)[: len(KEYS)] == KEYS
    assert (shown["requests"], shown["p50_ms"], shown["p99_ms"], shown["alerts"], shown["defaults"]) == (
        40,
        31.5,
        612,
        3,
        1,
    )
    assert shown["replay_identical"] == 100
    assert shown["seconds"] == 60


def test_everything_answered_in_time_and_archived_is_ok():
    summary = judged()
    assert summary.ok
    assert summary.problems == []


def test_each_broken_promise_is_a_problem_of_its_own():
    assert "3 of 40 requests were not answered." in judged(log(answered=37, within_sla=37)).problems
    assert judged(log(within_sla=39)).problems == ["1 answer came after its SLA."]
    assert judged(archived=39).problems == ["40 requests were accepted, but 39 are in the archive."]
    assert judged(log(receipts=38)).problems == ["2 requests have no receipt from the archive."]
    assert not judged(archived=41).ok
    assert not judged(problems=["A role did not start."]).ok


def test_a_run_without_a_single_request_is_not_ok():
    (problem,) = judged(RequestSummary(), archived=0).problems
    assert "nothing was asked" in problem


def test_a_run_ended_before_the_first_request_says_just_that():
    summary = judged(RequestSummary(), archived=0, interrupted=True)
    (line,) = as_lines(summary)
    assert "ended before anything moved" in line
    assert not summary.ok


def test_when_no_model_ever_answered_it_is_said():
    note = "No model answered; every answer was the schedule's default."
    assert judged(log(by_cause={"default": 40}, by_model={})).notes == [note]
    assert note not in judged(log()).notes
    assert note not in judged(RequestSummary(), archived=0).notes


def test_a_hundred_percent_means_all_and_nothing_compared_is_no_figure():
    nearly = judged(replays=[ReplayFigures(model="champion", given=1_000_000, compared=1_000_000, identical=999_999)])
    assert nearly.replay_identical == 99.99
    assert "1 of 1000000 scores differ when the archive is scored again." in nearly.notes
    assert judged().replay_identical is None


def test_scores_that_could_not_be_compared_are_not_passed_over():
    (note,) = judged(replays=[ReplayFigures(model="fast", given=10, compared=0, identical=0)]).notes
    assert note.startswith("10 of 10 scores of fast could not be compared")


def test_people_are_told_the_same_in_sentences():
    lines = "\n".join(as_lines(judged(log(answered=39, within_sla=39), notes=["The broker ended."])))
    assert "40 requests in 60 s, 39 answered, 39 within their SLA, 40 archived." in lines
    assert "preferred 38" in lines
    assert "Note: The broker ended." in lines
    assert "Problem: 1 of 40 requests were not answered." in lines

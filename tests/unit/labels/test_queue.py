"""The review queue: what teaches most comes first, says why, and nothing is asked twice."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from roost_broker.errors import Misuse
from roost_models.labels.candidate import Candidate, Said
from roost_models.labels.entry import Entry
from roost_models.labels.queue import Queue, QueueSettings, build
from roost_models.labels.scoring import Weights
from roost_models.labels.standing import standing

Make = Callable[..., Entry]


def said(model: str, label: str, score: float = 0.9, margin: float | None = 0.8) -> Said:
    return Said(model, "1", label, score, margin)


def case(number: int, champion: str = "hen", canary: str = "hen", **more: Any) -> Candidate:
    fields: dict[str, Any] = {
        "picture": f"{number:064x}",
        "node": "coop-1",
        "task": "nest",
        "request_id": f"{number:032x}",
        "at_ms": number * 60_000,
        "official": champion,
        "official_model": "champion",
        "cause": "preferred",
        "said": (said("champion", champion), said("canary", canary)),
        **more,
    }
    return Candidate(**fields)


def kinds(queue: Queue) -> list[tuple[int, list[str]]]:
    return [(int(one.candidate.picture, 16), [why.kind for why in one.whys]) for one in queue.questions]


def test_each_reason_puts_a_picture_in_the_queue_and_says_so() -> None:
    close = (said("champion", "hen", 0.5, 0.02), said("canary", "hen"))
    other = (said("champion", "hen"), said("canary", "hen"), said("fast", "egg"))
    cases = [
        case(1),
        case(2, "hen", "egg"),
        case(3, said=close),
        case(4, said=other),
        case(5, "none", official_model="", cause="default", said=()),
        case(6, cause="fallback"),
        case(7, "jay", "jay"),
        *(case(number) for number in range(10, 40)),
    ]
    settings = QueueSettings(alarms=frozenset({"jay"}))
    found = dict(kinds(build(cases, {}, settings=settings)))
    assert found == {
        2: ["canary-disagrees"],
        3: ["close"],
        4: ["models-disagree"],
        5: ["default", "rare"],
        6: ["fallback"],
        7: ["alarm", "rare"],
    }


def test_every_reason_is_a_sentence_for_a_person() -> None:
    (question,) = build([case(2, "hen", "egg")], {}).questions
    assert question.whys[0].text == "The canary says egg, the answer was hen"


def test_what_is_agreed_is_left_out_a_disagreement_is_asked_again_and_a_skip_only_of_others(entry: Make) -> None:
    cases = [case(number, "hen", "egg") for number in (1, 2, 3)]
    holds = {
        case(1).picture: standing([entry(1)]),
        case(2).picture: standing([entry(1), entry(2, "egg", "bert")]),
        case(3).picture: standing([entry(1, None, kind="skip")]),
    }
    of_anna = build(cases, holds, author="anna")
    assert [number for number, _ in kinds(of_anna)] == [2]
    assert (of_anna.judged, of_anna.skipped) == (1, 1)
    assert kinds(of_anna)[0][1][0] == "authors-disagree"
    assert [number for number, _ in kinds(build(cases, holds, author="carla"))] == [2, 3]


def test_a_suggestion_comes_first_even_for_a_picture_no_case_is_known_of(entry: Make) -> None:
    unknown = "f" * 64
    suggested = structs.replace(entry(1, "jay", "passer-by", kind="suggestion"), picture=unknown)
    (first, second) = build([case(2, "hen", "egg")], {unknown: standing([suggested])}).questions
    assert first.candidate.picture == unknown
    assert first.whys[0].text == "Suggested: passer-by says jay"
    assert second.candidate.picture == case(2).picture


def test_a_suggestion_by_request_finds_its_picture_until_that_is_judged(entry: Make) -> None:
    suggested = entry(1, "jay", "passer-by", kind="suggestion", picture=None, request_id=case(7).request_id)
    assert kinds(build([case(7)], {}, [suggested])) == [(7, ["suggestion"])]
    judged = {case(7).picture: standing([entry(2)])}
    assert kinds(build([case(7)], judged, [suggested])) == []


def test_of_pictures_of_one_camera_within_seconds_only_the_best_is_asked() -> None:
    burst = [case(1, "hen", "egg", at_ms=1000 * second, picture=f"{second:064x}") for second in range(1, 9)]
    sharper = replace(burst[3], said=(said("champion", "hen", 0.5, 0.0), said("canary", "egg")))
    burst[3] = sharper
    elsewhere = case(50, "hen", "egg", node="coop-2", at_ms=4000)
    found = build([*burst, elsewhere], {}, settings=QueueSettings(near_ms=5_000))
    assert found.questions[0].candidate == sharper
    assert found.questions[0].alike == 7
    assert {one.candidate.node for one in found.questions} == {"coop-1", "coop-2"}
    assert found.thinned == 7
    assert len(build([*burst, elsewhere], {}, settings=QueueSettings(near_ms=0)).questions) == 9


def test_a_neighbour_of_a_judged_picture_is_not_asked_but_a_suggestion_is(entry: Make) -> None:
    judged, near, far = (case(n, "hen", "egg", at_ms=at) for n, at in ((1, 1000), (2, 2000), (3, 60_000)))
    holds = {judged.picture: standing([entry(1)])}
    assert [number for number, _ in kinds(build([judged, near, far], holds))] == [3]
    holds[near.picture] = standing([entry(2, "jay", "x", kind="suggestion")])
    assert [number for number, _ in kinds(build([judged, near, far], holds))] == [2, 3]


def test_one_kind_of_confusion_does_not_fill_the_queue() -> None:
    common = [case(number, "hen", "egg") for number in range(1, 60)]
    other = [case(100 + number, "jay", "hen") for number in range(3)]
    late = (said("champion", "fox"), said("canary", "fox"), said("fast", "hen"))
    weaker = case(200, "fox", said=late)
    found = [one.candidate for one in build([*common, *other, weaker], {}).questions]
    assert {found.index(one) for one in other} <= set(range(6))
    assert found.index(weaker) < 30
    assert len(found) == 63


def test_the_same_picture_of_two_requests_is_asked_once() -> None:
    found = build([case(1, "hen", "egg"), case(9, "hen", "egg", picture=case(1).picture)], {})
    assert len(found.questions) == 1
    assert found.questions[0].candidate.at_ms == 9 * 60_000


def test_the_queue_is_bounded_and_counts_what_is_left_and_what_is_gone() -> None:
    cases = [case(number, "hen", "egg") for number in range(1, 11)]
    found = build(cases, {}, settings=QueueSettings(most=4), there=lambda one: one.at_ms > 2 * 60_000)
    assert (len(found.questions), found.left, found.gone) == (4, 6, 0)
    found = build(cases, {}, settings=QueueSettings(most=9), there=lambda one: one.at_ms > 2 * 60_000)
    assert (len(found.questions), found.left, found.gone) == (8, 0, 2)


def test_scores_that_are_no_numbers_do_no_harm() -> None:
    odd = (said("champion", "hen", float("inf"), None), said("canary", "egg", float("nan")))
    (question,) = build([case(1, said=odd)], {}).questions
    assert question.points == 1.5


labels = st.sampled_from(["hen", "egg", "jay"])
cases = st.lists(
    st.builds(
        lambda number, champion, canary, at, score: case(
            number,
            champion,
            canary,
            at_ms=at,
            said=(said("champion", champion, score, score / 2), said("canary", canary)),
        ),
        st.integers(1, 40),
        labels,
        labels,
        st.integers(0, 60_000),
        st.floats(0, 1),
    ),
    max_size=30,
    unique_by=lambda one: one.picture,
)


@given(cases, st.randoms())
def test_the_same_cases_in_any_order_give_the_same_queue(cases: list[Candidate], chance: Any) -> None:
    mixed = list(cases)
    chance.shuffle(mixed)
    assert build(mixed, {}) == build(cases, {})


@given(cases)
def test_the_queue_falls_in_points_and_no_two_of_one_camera_are_near(cases: list[Candidate]) -> None:
    found = build(cases, {})
    points = [one.points for one in found.questions]
    assert points == sorted(points, reverse=True)
    assert all(one.whys for one in found.questions)
    times = sorted(one.candidate.at_ms for one in found.questions)
    assert all(later - earlier >= 5_000 for earlier, later in pairwise(times))
    assert len(found.questions) + found.thinned + found.dull == found.looked_at


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong in (
        {"canary": -1.0},
        {"close_margin": 0.0},
        {"rare_share": 2.0},
        {"models": float("nan")},
        {"repeats": 0},
    ):
        with pytest.raises(Misuse):
            Weights(**wrong)
    for bad in ({"most": 0}, {"near_ms": -1}):
        with pytest.raises(Misuse):
            QueueSettings(**bad)

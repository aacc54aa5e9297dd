"""How far two answers are apart."""

from hypothesis import given
from hypothesis import strategies as st

from roost_broker.messages import Output
from roost_models.assessment.comparing import compare

LABELS = ("egg", "hen", "jay", "nest")
SCORES = st.lists(st.floats(0, 1), min_size=4, max_size=4)


def outputs(scores: list[float], top: int = 4) -> list[Output]:
    order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))
    return [Output(label=LABELS[index], score=scores[index]) for index in order[:top]]


@given(SCORES, SCORES, st.floats(0, 1))
def test_it_does_not_matter_who_is_compared_with_whom(one: list[float], other: list[float], tolerance: float) -> None:
    there = compare(outputs(one), outputs(other), tolerance, labels_one=LABELS, labels_other=LABELS)
    back = compare(outputs(other), outputs(one), tolerance, labels_one=LABELS, labels_other=LABELS)
    assert there == back


@given(SCORES, SCORES)
def test_with_all_outputs_the_difference_is_the_largest_of_any_label(one: list[float], other: list[float]) -> None:
    found = compare(outputs(one), outputs(other), 0, labels_one=LABELS, labels_other=LABELS)
    assert found.difference == max(abs(a - b) for a, b in zip(one, other, strict=True))


@given(SCORES, SCORES, st.integers(1, 4))
def test_what_did_not_travel_never_makes_two_answers_further_apart_than_they_are(
    one: list[float], other: list[float], top: int
) -> None:
    whole = compare(outputs(one), outputs(other), 0, labels_one=LABELS, labels_other=LABELS)
    cut = compare(outputs(one, top), outputs(other, top), 0, labels_one=LABELS, labels_other=LABELS)
    assert cut.difference <= whole.difference


@given(SCORES)
def test_an_answer_is_identical_to_itself(one: list[float]) -> None:
    found = compare(outputs(one), outputs(one), 0.0, labels_one=LABELS, labels_other=LABELS)
    assert (found.identical, found.almost, found.difference) == (True, True, 0.0)


def test_the_tolerance_itself_is_tolerated_and_more_is_not() -> None:
    one, other = outputs([0.5, 0.25, 0, 0]), outputs([0.75, 0.25, 0, 0])
    assert compare(one, other, 0.25).almost
    assert not compare(one, other, 0.2499).almost


def test_another_best_label_is_never_almost_identical() -> None:
    one, other = outputs([0.5, 0.49, 0, 0]), outputs([0.49, 0.5, 0, 0])
    found = compare(one, other, 1.0)
    assert (found.same_label, found.almost) == (False, False)


def test_a_label_that_a_model_does_not_know_scores_nothing() -> None:
    one, other = [Output(label="hen", score=0.6)], [Output(label="hen", score=0.6), Output(label="jay", score=0.4)]
    assert compare(one, other, 0, labels_one=["hen"], labels_other=["hen", "jay"]).difference == 0.4
    assert compare(one, other, 0, labels_one=["hen", "jay"], labels_other=["hen", "jay"]).difference == 0.0

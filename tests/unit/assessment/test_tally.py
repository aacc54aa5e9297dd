"""Verdicts counted."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from roost_models.assessment import telling
from roost_models.assessment.durations import Durations
from roost_models.assessment.report import Assessment, Period
from roost_models.assessment.tally import KEPT, About, Tally
from roost_models.assessment.wire import Reply, Verdict
from roost_models.rollout.document import BundleRef
from roost_rendezvous.analytics.binomial import upper_limit

REPORT = Assessment(
    accepted=True,
    task="nest",
    candidate=BundleRef(name="hen", version="2", digest="a" * 64),
    made_at_ms=1,
    period=Period(archive="x", requests=10),
    rules=[],
)


def about(number: int = 0, truth: str = "", node: str = "coop") -> About:
    return About(request_id=f"{number:032x}", node=node, at_ms=number, truth=truth)


def verdict(mine: str, other: str | None, *, difference: float = 0.0, almost: bool | None = None) -> Verdict:
    """Labels, or `!reason` for a failure."""
    replies = [None if said is None else reply(said) for said in (mine, other)]
    assert replies[0] is not None
    same = mine == other and difference == 0
    return Verdict(
        number=0,
        candidate=replies[0],
        champion=replies[1],
        identical=same,
        almost=same if almost is None else almost,
        difference=difference,
    )


def reply(said: str) -> Reply:
    if said.startswith("!"):
        return Reply(failure=said[1:], detail="so it is")
    return Reply(label=said, score=0.9, compute_ns=1_000_000)


def tally(*verdicts: tuple[About, Verdict], labels: str = "labels") -> Tally:
    made = Tally(compared=True, tolerance=0.05, labels_from=labels)
    for one in verdicts:
        made.take(*one)
    return made


def test_the_bound_is_one_minus_the_share_that_is_almost_identical_and_scales_exactly() -> None:
    made = tally(
        *((about(n), verdict("hen", "hen" if n % 4 else "jay", difference=0.9 * (not n % 4))) for n in range(100))
    )
    found = made.agreement()
    assert found is not None
    assert (found.compared, found.almost, found.risk) == (100, 75, 0.25)
    assert found.upper == upper_limit(25, 100)
    assert [(one.risk, one.upper) for one in found.scaled] == [
        (one.share * found.risk, one.share * found.upper) for one in found.scaled
    ]
    assert 0.1 in [one.share for one in found.scaled]


def test_a_failure_of_one_of_them_counts_as_different_and_of_both_is_not_compared() -> None:
    made = tally(
        (about(0), verdict("!failed", "hen")),
        (about(1), verdict("hen", "!failed")),
        (about(2), verdict("!failed", "!bad-input")),
        (about(3), verdict("hen", "hen")),
    )
    found = made.agreement()
    assert found is not None
    assert (found.compared, found.almost) == (3, 1)
    assert dict(made.skipped) == {"both-failed": 1}
    assert made.side("candidate").failures == {"failed": 2}
    assert [one.stratum for one in made.differing()] == ["failed", "failed"]


def test_a_frame_that_the_archive_lost_is_nobodys_failure() -> None:
    made = tally((about(0, truth="hen"), verdict("!frame-missing", "!frame-missing")))
    assert dict(made.skipped) == {"frame-missing": 1}
    assert made.side("candidate").failures == {}
    found = made.labelled()
    assert found is not None
    assert found.overall.candidate.of == 0


def test_accuracy_is_told_overall_by_label_by_site_and_in_pairs() -> None:
    made = tally(
        (about(0, "hen", "north"), verdict("hen", "hen")),
        (about(1, "hen", "north"), verdict("hen", "jay")),
        (about(2, "jay", "south"), verdict("hen", "jay")),
        (about(3, "jay", "south"), verdict("!failed", "jay")),
        (about(4, "", "south"), verdict("hen", "hen")),
    )
    found = made.labelled()
    assert found is not None
    assert (found.overall.candidate.count, found.overall.candidate.of) == (2, 4)
    assert found.overall.champion is not None
    assert found.overall.champion.count == 3
    assert {name: one.candidate.count for name, one in found.by_label.items()} == {"hen": 2, "jay": 0}
    assert {name: one.candidate.of for name, one in found.by_site.items()} == {"north": 2, "south": 2}
    assert found.paired is not None
    assert (found.paired.only_candidate_right, found.paired.only_champion_right) == (1, 2)


def test_differing_requests_are_kept_the_first_few_of_each_stratum() -> None:
    apart = [0.9, 0.3, 0.15, 0.07]
    made = tally(*((about(n), verdict("hen", "jay", difference=apart[n % 4])) for n in range(100)))
    found = made.differing()
    assert [one.stratum for one in found] == [
        name for name in ("0.5-1", "0.2-0.5", "0.1-0.2", "0-0.1") for _ in range(KEPT)
    ]
    assert [one.at_ms for one in found[:KEPT]] == [0, 4, 8, 12, 16]


def test_without_a_champion_there_is_no_agreement_and_accuracy_all_the_same() -> None:
    made = Tally(compared=False, tolerance=0, labels_from="x")
    made.take(about(0, "hen"), verdict("hen", None))
    assert made.agreement() is None
    found = made.labelled()
    assert found is not None
    assert (found.overall.candidate.count, found.overall.champion, found.paired) == (1, None, None)


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=300), st.floats(0.01, 1))
def test_a_quantile_of_durations_is_right_to_one_percent(values: list[int], share: float) -> None:
    durations = Durations()
    for value in values:
        durations.add(value)
    rank = max(1, -(-len(values) * share // 1))
    exact = sorted(values)[int(rank) - 1] / 1e6
    assert durations.quantile_ms(share) == pytest.approx(exact, rel=0.0101)


def test_durations_take_no_more_memory_for_a_million_than_for_a_thousand() -> None:
    seeded = random.Random(3)
    durations = Durations()
    for _ in range(20_000):
        durations.add(seeded.randint(1, 10**9))
    assert len(durations._counts) < 2_200


def test_a_picture_that_is_asked_again_is_no_further_picture_and_the_report_says_so() -> None:
    made = tally(
        *((replace(about(n, truth="hen"), frame="ab"[n % 2] * 64), verdict("hen", "jay")) for n in range(10)),
    )
    found = made.labelled()
    assert found is not None
    assert (found.overall.candidate.of, found.pictures) == (10, 2)
    told = "\n".join(telling.cautions(structs.replace(REPORT, labelled=found)))
    assert "The 10 labelled requests show 2 different pictures" in told
    each = structs.replace(found, pictures=10)
    assert "different pictures" not in "\n".join(telling.cautions(structs.replace(REPORT, labelled=each)))

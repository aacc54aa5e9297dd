"""The schedule in force, derived from the operator's and from how the lines stand."""

from hypothesis import given
from hypothesis import strategies as st
from ota_device import content

from roost_edge.ota.effective import effective, operators
from roost_edge.ota.lines import Line
from roost_edge.ota.schedule_book import AUTHOR, MAX_TRIES, WINDOW_NS, ScheduleBook
from roost_edge.ota.standing import Standing, first
from roost_rendezvous import schedule as schedules
from roost_rendezvous.schedule import ANY, Schedule

LINE = Line("t", "champion", "hen")
FIRST = first(content("a"))
SHADOW = FIRST.with_other(content("b"), "shadow")
PROMOTED = SHADOW.swapped("fallback")


def schedule(*accept: list[str], **others: object) -> Schedule:
    steps = [{"after_ms": 400 * index, "accept": names} for index, names in enumerate(accept)]
    return schedules.parse(
        {"task": "t", "sla_ms": 2000, "step": steps, "default": {"after_ms": 1900, "label": "unknown"}, **others}
    )


def accepted(derived: Schedule) -> list[list[str]]:
    return [list(step.accept) for step in derived.steps]


def test_a_line_whose_second_slot_was_never_filled_changes_nothing() -> None:
    base = schedule(["champion"], ["champion", "fast"], ignore=["canary"])
    assert effective(base, {LINE: FIRST}) == base


def test_a_shadow_is_ignored_and_a_promoted_slot_takes_the_place_with_the_old_one_a_step_behind() -> None:
    base = schedule(["champion"], ["champion", "fast"], [ANY], ignore=["canary"])
    shadow = effective(base, {LINE: SHADOW})
    assert accepted(shadow) == accepted(base)
    assert shadow.ignore == ("canary", "champion-b")
    promoted = effective(base, {LINE: PROMOTED})
    assert accepted(promoted) == [["champion-b"], ["champion-b", "champion", "fast"], [ANY]]
    assert promoted.ignore == ("canary",)


def test_a_schedule_with_one_step_gets_another_for_the_fallback_half_way_to_the_default() -> None:
    promoted = effective(schedule(["champion"]), {LINE: PROMOTED})
    assert accepted(promoted) == [["champion-b"], ["champion-b", "champion"]]
    assert promoted.steps[1].after_ms == 950


def test_a_model_that_only_any_lets_in_has_no_fallback_and_its_other_slot_is_ignored() -> None:
    promoted = effective(schedule(["fast"], [ANY]), {LINE: PROMOTED})
    assert promoted.ignore == ("champion",)


def test_rollouts_samples_quorums_and_a_canary_follow_the_slot() -> None:
    base = schedule(["fast"], ["fast", "champion"], rollout={"champion": 0.1})
    assert effective(base, {LINE: PROMOTED}).rollout == {"champion-b": 0.1}
    base = schedule(["champion"], sample={"champion": 0.5})
    assert effective(base, {LINE: SHADOW}).sample == {"champion": 0.5, "champion-b": 0.5}
    base = schedule(["jury"], quorum={"jury": {"members": ["champion", "fast"], "need": 1}})
    assert effective(base, {LINE: PROMOTED}).quorum["jury"].members == ("champion-b", "fast")
    assert effective(schedule(["fast"], ignore=["champion"]), {LINE: PROMOTED}).ignore == ("champion-b", "champion")


names = st.lists(st.sampled_from(["champion", "fast", "rules", "visits"]), min_size=1, max_size=4, unique=True)
standings = st.sampled_from(
    [
        FIRST,
        SHADOW,
        PROMOTED,
        PROMOTED.with_beside("rejected"),
        PROMOTED.swapped("rejected"),
        PROMOTED.swapped("fallback"),
    ]
)


@given(names, st.integers(1, 4), st.booleans(), st.booleans(), standings)
def test_derived_schedules_are_legal_and_what_the_operator_meant_comes_out_of_them_again(
    order: list[str], count: int, anybody: bool, ranked: bool, standing: Standing
) -> None:
    cuts = [order[: min(len(order), 1 + index)] for index in range(count)]
    base = schedule(*cuts, *([[ANY]] if anybody else []), **({"rank": order[:count]} if ranked else {}))
    derived = effective(base, {LINE: standing})
    official = {name for step in derived.steps for name in step.accept}
    active, other = LINE.name(standing.active), LINE.name(standing.other)
    assert ("champion" in base.named) == (active in official)
    if standing.used:
        assert (other in official) != (other in derived.ignore)
        assert (other in official) == (standing.beside == "fallback" and active in official)
    if derived.steps[0].accept != ("*",):
        assert derived.steps[0].accept == tuple(active if name == "champion" else name for name in base.steps[0].accept)
    meant = operators(derived, [LINE])
    assert meant.named == base.named
    assert meant.ignore == base.ignore or ("champion" not in base.named and standing.active == "b")
    assert operators(base, [LINE]) == base


def test_only_another_authors_schedule_becomes_the_base_and_an_old_one_returned_by_a_broker_does_not() -> None:
    base, other = schedule(["champion"]), schedule(["fast"], ["champion"])
    book = ScheduleBook("t", (LINE,), base, "5" * 32)
    standing = {LINE: PROMOTED}
    ours = book.wanted(standing)
    assert book.heard(ours, author=AUTHOR, message_id="6" * 32, retained=False) == "ours"
    assert book.heard(other, author="ada", message_id="4" * 32, retained=True) == "stale"
    assert book.wanted(standing) == ours
    assert book.heard(other, author="ada", message_id="7" * 32, retained=False) == "base"
    assert accepted(book.wanted(standing)) == [["fast"], ["champion-b"], ["fast", "champion-b", "champion"]]
    assert book.heard(other, author="ada", message_id="7" * 32, retained=True) == "known-base"


def test_one_version_is_not_published_for_ever_against_somebody_elses_will() -> None:
    book = ScheduleBook("t", (LINE,), schedule(["champion"]))
    assert [book.may_publish("v", now) for now in range(MAX_TRIES + 2)] == [True] * MAX_TRIES + [False] * 2
    assert book.may_publish("v", WINDOW_NS + MAX_TRIES)

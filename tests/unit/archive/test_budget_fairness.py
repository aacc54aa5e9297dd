"""P5: who pays when the archive must become smaller."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from roost_models.archive.budget import HeldFrame, choose, surplus, tally

frames = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(1, 1000)), max_size=60).map(
    lambda drawn: [HeldFrame(f"{index}", size, label) for index, (label, size) in enumerate(drawn)]
)
"""Oldest first."""


def left_after(held: list[HeldFrame], *, limit: int, target: int, floor: int) -> list[HeldFrame]:
    wanted = surplus(tally(reversed(held), floor), limit=limit, target=target)
    gone = {frame.sha256 for frame in choose(held, wanted, len(held))}
    return [frame for frame in held if frame.sha256 not in gone]


def newest_of(held: list[HeldFrame], label: str, count: int) -> list[HeldFrame]:
    own = [frame for frame in held if frame.label == label]
    return own[max(0, len(own) - count) :]


def sizes(held: list[HeldFrame]) -> dict[str, int]:
    return {label: one.bytes for label, one in tally(held, 0).items()}


def total(held: list[HeldFrame]) -> int:
    return sum(frame.bytes for frame in held)


@given(held=frames, limit=st.integers(0, 20_000), share=st.floats(0, 1), floor=st.integers(0, 8))
def test_the_budget_is_met_whatever_the_floors(held: list[HeldFrame], limit: int, share: float, floor: int) -> None:
    left = left_after(held, limit=limit, target=int(limit * share), floor=floor)
    assert total(left) <= limit
    if total(held) <= limit:
        assert left == held


@given(held=frames, limit=st.integers(0, 20_000), floor=st.integers(0, 8))
def test_the_newest_of_each_class_stay_where_the_budget_has_room_for_them(
    held: list[HeldFrame], limit: int, floor: int
) -> None:
    newest = {frame.sha256 for label in sizes(held) for frame in newest_of(held, label, floor)}
    wanted = surplus(tally(reversed(held), floor), limit=limit, target=limit)
    left = {frame.sha256 for frame in left_after(held, limit=limit, target=limit, floor=floor)}
    fits = sum(frame.bytes for frame in held if frame.sha256 in newest) <= limit
    assert wanted.floors_fit is (fits or total(held) <= limit)
    if fits:
        assert newest <= left


@given(held=frames, limit=st.integers(0, 20_000))
def test_a_class_loses_only_when_none_that_loses_nothing_is_larger_than_what_it_keeps(
    held: list[HeldFrame], limit: int
) -> None:
    """Max-min fair, but for one frame, which cannot be cut in two."""
    before, after = sizes(held), sizes(left_after(held, limit=limit, target=limit, floor=0))
    losers = [label for label in before if after.get(label, 0) < before[label]]
    largest = max((frame.bytes for frame in held), default=0)
    for loser in losers:
        for other, size in after.items():
            assert size <= after.get(loser, 0) + largest, f"{other} has more than {loser} was left"


@given(held=frames, limit=st.integers(0, 20_000), floor=st.integers(0, 8))
def test_no_class_keeps_an_older_frame_and_loses_a_newer_one(held: list[HeldFrame], limit: int, floor: int) -> None:
    left = {frame.sha256 for frame in left_after(held, limit=limit, target=limit, floor=floor)}
    for label in sizes(held):
        kept = [frame.sha256 in left for frame in held if frame.label == label]
        assert all(not older or newer for older, newer in pairwise(kept))


@given(held=frames, limit=st.integers(0, 5_000), most=st.integers(1, 10))
def test_in_bounded_plans_the_same_is_reached(held: list[HeldFrame], limit: int, most: int) -> None:
    left = list(held)
    while (wanted := surplus(tally(reversed(left), 2), limit=limit, target=limit)).by_class:
        chosen = choose(left, wanted, most)
        assert 0 < len(chosen) <= most
        left = [frame for frame in left if frame not in chosen]
    assert total(left) <= limit


def test_what_is_rare_stays_while_what_is_common_pays() -> None:
    common = [HeldFrame(f"hen {index}", 10, "hen") for index in range(1000)]
    rare = [HeldFrame(f"fox {index}", 10, "fox") for index in range(5)]
    left = left_after([*rare, *common], limit=1_000, target=1_000, floor=0)
    assert [frame for frame in left if frame.label == "fox"] == rare  # the oldest of all, and all still there
    assert sizes(left)["hen"] == 950


def test_a_class_above_the_level_keeps_its_floor() -> None:
    many = [HeldFrame(f"{label}{index}", 10, label) for label in "abcdefghij" for index in range(10)]
    big = [HeldFrame(f"owl {index}", 100, "owl") for index in range(6)]
    left = left_after([*big, *many], limit=1_000, target=1_000, floor=5)
    assert [frame for frame in left if frame.label == "owl"] == big[1:]
    assert all(sum(frame.label == label for frame in left) == 5 for label in "abcdefghij")

"""The split: a group stays whole, and what was tested is never trained on, whatever comes later."""

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs

from roost_models.datasets.document import Item
from roost_models.datasets.split import Frozen, Shares, split


def picture(number: int) -> str:
    return f"{number:064x}"


def item(number: int, site: str, day: int) -> Item:
    return Item(sha256=picture(number), label="hen", split="train", site=site, day=f"2026-05-{day:02}" if day else "")


def make(items: list[Item], shares: Shares, earlier: list[list[Item]]) -> list[Item]:
    groups = split({one.sha256: one.group for one in items}, shares, Frozen.of(earlier))
    return [structs.replace(one, split=groups[one.group]) for one in items]


# A picture may be in any version, and what is known of its site and day may change from one to the next.
versions = st.lists(
    st.tuples(
        st.dictionaries(st.integers(0, 30), st.tuples(st.sampled_from(["", "a", "b"]), st.integers(0, 6)), min_size=1),
        st.sampled_from([Shares(0.0), Shares(0.1), Shares(0.2), Shares(0.3, 0.2), Shares(0.9)]),
    ),
    min_size=1,
    max_size=6,
)


@given(versions)
def test_what_was_once_tested_is_tested_in_every_later_version(
    history: list[tuple[dict[int, tuple[str, int]], Shares]],
) -> None:
    made: list[list[Item]] = []
    tested: set[str] = set()
    for pictures, shares in history:
        items = [item(number, *where) for number, where in sorted(pictures.items())]
        version = make(items, shares, made)
        for one in version:
            assert one.split == "test" or one.sha256 not in tested
        tested |= {one.sha256 for one in version if one.split == "test"}
        made.append(version)


@given(versions)
def test_a_group_is_never_divided_and_the_order_of_pictures_does_not_matter(
    history: list[tuple[dict[int, tuple[str, int]], Shares]],
) -> None:
    made: list[list[Item]] = []
    for pictures, shares in history:
        items = [item(number, *where) for number, where in sorted(pictures.items())]
        version = make(items, shares, made)
        splits: dict[str, set[str]] = {}
        for one in version:
            splits.setdefault(one.group, set()).add(one.split)
        assert all(len(used) == 1 for used in splits.values())
        assert sorted(make(items[::-1], shares, made), key=lambda one: one.sha256) == version
        made.append(version)


@given(st.dictionaries(st.integers(0, 200), st.tuples(st.sampled_from("abcd"), st.integers(1, 28)), min_size=2))
def test_with_two_groups_or_more_there_is_something_to_train_on_and_something_to_test(
    pictures: dict[int, tuple[str, int]],
) -> None:
    items = [item(number, *where) for number, where in pictures.items()]
    found = {one.split for one in make(items, Shares(0.2), [])}
    assume(len({one.group for one in items}) > 1)
    assert found == {"train", "test"}


def test_a_day_that_was_trained_on_stays_in_training_when_others_come() -> None:
    first = make([item(number, "coop", number % 9 + 1) for number in range(90)], Shares(0.2), [])
    more = [item(number, "coop", number % 28 + 1) for number in range(200, 400)]
    second = make([structs.replace(one, split="train") for one in first] + more, Shares(0.5), [first])
    before = {one.sha256: one.split for one in first}
    assert {one.split for one in first} == {"train", "test"}
    assert [one for one in second if before.get(one.sha256, one.split) != one.split] == []


def test_many_groups_are_split_as_the_share_says() -> None:
    items = [item(number, f"coop-{number}", 1) for number in range(2000)]
    found = make(items, Shares(0.2, 0.1), [])
    counts = {name: sum(1 for one in found if one.split == name) for name in ("train", "validation", "test")}
    assert 340 < counts["test"] < 460
    assert 150 < counts["validation"] < 250


def test_pictures_of_nowhere_and_no_day_are_groups_of_their_own() -> None:
    assert item(1, "", 0).group != item(2, "", 0).group
    assert item(1, "a", 0).group == item(2, "a", 0).group
    assert item(1, "", 3).group == item(2, "", 3).group


def test_five_days_of_which_the_hash_picks_a_tiny_one_still_give_a_test_worth_its_name() -> None:
    days = {14: 1, 16: 1, 17: 8, 18: 11, 19: 12}
    items = [item(day * 100 + number, "nestbox", day) for day, count in days.items() for number in range(count)]
    tested = sum(1 for one in make(items, Shares(0.2), []) if one.split == "test")
    assert 0.1 * len(items) <= tested <= 0.5 * len(items)

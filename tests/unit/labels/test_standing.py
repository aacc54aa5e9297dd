"""What holds of a picture: corrections, disagreements, undoing, suggestions."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.errors import Malformed, Misuse
from roost_models.labels import entry as entries
from roost_models.labels.entry import Entry
from roost_models.labels.judging import judge, undo
from roost_models.labels.standing import own, standing

Make = Callable[..., Entry]
PICTURE = "a" * 64


def test_a_correction_holds_and_what_it_corrects_does_not(entry: Make) -> None:
    said = [entry(1, "hen"), entry(2, "egg", supersedes=f"{1:032x}")]
    agreed = standing(said).agreed
    assert agreed is not None
    assert agreed.label == "egg"


def test_two_authors_who_disagree_are_both_seen_and_nothing_is_agreed(entry: Make) -> None:
    holds = standing([entry(1, "hen", "anna"), entry(2, "egg", "bert")])
    assert holds.conflict
    assert holds.agreed is None
    assert holds.told == "anna: hen; bert: egg"


def test_one_who_corrects_the_other_ends_the_disagreement(entry: Make) -> None:
    said = [entry(1, "hen", "anna"), entry(2, "egg", "bert", supersedes=f"{1:032x}")]
    assert [one.label for one in standing(said).verdicts] == ["egg"]


def test_not_usable_against_a_label_is_a_disagreement(entry: Make) -> None:
    assert standing([entry(1), entry(2, None, "bert", kind="not-usable")]).conflict


def test_a_suggestion_is_no_verdict_and_waits_until_somebody_judges(entry: Make) -> None:
    suggested = entry(1, "jay", "passer-by", kind="suggestion")
    assert standing([suggested]).agreed is None
    assert standing([suggested]).pending == (suggested,)
    verdict = entry(2, "hen")
    assert standing([suggested, verdict]).pending == ()
    taken_back = entry(3, None, kind="withdrawn", supersedes=verdict.id)
    assert standing([suggested, verdict, taken_back]).pending == (suggested,)


def test_two_entries_of_one_author_that_nobody_superseded_count_as_the_newer_one(entry: Make) -> None:
    assert [one.label for one in standing([entry(2, "egg"), entry(1, "hen")]).verdicts] == ["egg"]


def test_undoing_a_first_label_leaves_nothing_and_undoing_a_correction_leaves_the_label_before(entry: Make) -> None:
    first = entry(1, "hen")
    undone = undo([first], first.id, entry_id="f" * 32, now_ms=9, author="anna")
    assert (undone.kind, undone.supersedes) == ("withdrawn", first.id)
    assert standing([first, undone]).verdicts == ()

    second = entry(2, "egg", supersedes=first.id)
    undone = undo([first, second], second.id, entry_id="f" * 32, now_ms=9, author="anna")
    assert (undone.label, undone.supersedes, undone.reason) == ("hen", second.id, "undo")


@pytest.mark.parametrize(("last", "author"), [(1, "anna"), (2, "bert"), (7, "anna")])
def test_only_ones_own_last_judgement_can_be_taken_back(entry: Make, last: int, author: str) -> None:
    said = [entry(1, "hen"), entry(2, "egg", supersedes=f"{1:032x}")]
    with pytest.raises(Misuse):
        undo(said, f"{last:032x}", entry_id="f" * 32, now_ms=9, author=author)


actions = st.lists(
    st.tuples(
        st.sampled_from(["anna", "bert"]),
        st.sampled_from(["hen", "egg", "not-usable", "skip", "undo"]),
    ),
    max_size=25,
)


@given(actions)
def test_whatever_people_do_each_author_has_one_verdict_at_most_and_it_is_what_they_said_last(
    actions: list[tuple[str, str]],
) -> None:
    said: list[Entry] = []
    expected: dict[str, list[str]] = {"anna": [], "bert": []}
    for number, (author, what) in enumerate(actions):
        how: dict[str, Any] = {"entry_id": f"{number:032x}", "now_ms": number, "author": author}
        if what == "undo":
            last = own(said, author)
            if last is None:
                continue
            said.append(undo(said, last.id, **how))
            before = next(one for one in said if one.id == last.id).supersedes
            restated = next((one for one in said if one.id == before), None)
            again = restated is not None and restated.kind != "withdrawn"
            expected[author] = [restated.label or restated.kind] if again and restated else []
        else:
            kind: Any = what if what in ("not-usable", "skip") else "label"
            label = what if kind == "label" else None
            said.append(judge(said, picture=PICTURE, task="nest", kind=kind, label=label, **how))
            expected[author] = [what]
    holds = standing(said)
    for author, words in expected.items():
        verdicts = [one.label or one.kind for one in holds.verdicts if one.author == author]
        assert verdicts == [word for word in words if word != "skip"]
        assert (author in holds.skipped_by) == (words == ["skip"])


@given(actions, st.randoms())
def test_the_order_in_which_entries_are_read_does_not_matter(actions: list[tuple[str, str]], chance: Any) -> None:
    said: list[Entry] = []
    for number, (author, what) in enumerate(actions):
        if what not in ("undo", "not-usable", "skip"):
            how: dict[str, Any] = {"entry_id": f"{number:032x}", "now_ms": number, "author": author}
            said.append(judge(said, picture=PICTURE, task="nest", label=what, **how))
    mixed = list(said)
    chance.shuffle(mixed)
    assert standing(mixed) == standing(said)


@pytest.mark.parametrize(
    "contradiction",
    [
        {"label": None},
        {"label": "hen", "kind": "skip"},
        {"label": None, "kind": "withdrawn"},
        {"picture": None},
        {"supersedes": f"{1:032x}"},
    ],
)
def test_an_entry_that_contradicts_itself_cannot_be_made_nor_read(entry: Make, contradiction: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"a |an "):
        entry(1, **{"label": "hen", **contradiction})


def test_a_line_that_is_no_entry_is_malformed() -> None:
    for line in (b"", b"{}", b"\xff", b"[" * 5000, b'{"schema":"roost.label/1"}', b" " * 30_000):
        with pytest.raises(Malformed):
            entries.parse(line)

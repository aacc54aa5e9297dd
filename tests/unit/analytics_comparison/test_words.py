"""What a comparison says in words: of what a figure is, and what it is no evidence of."""

from made_rows import row, said, two_models

from roost_rendezvous.analytics.comparison import telling
from roost_rendezvous.analytics.comparison.choosing import Choice
from roost_rendezvous.analytics.comparison.comparing import Options, Whole, compare
from roost_rendezvous.analytics.comparison.page import page
from roost_rendezvous.analytics.rows import Row, Word

OLD, NEW = Choice(model="old"), Choice(model="new")


def compared(rows: list[Row], options: Options | None = None) -> Whole:
    return compare(rows, OLD, NEW, options)


def beside(nth: int, old: float, new: float) -> Row:
    """`hen` with these scores, the rest of it `none`."""
    return row(nth, said("old", hen=old, none=1 - old), said("new", hen=new, none=1 - new))


def test_alike_scores_with_other_labels_are_told_with_both() -> None:
    """Most scores are the same; of the others the best label changes."""
    rows = [beside(nth, 0.8 + nth / 1_000, 0.8 + nth / 1_000) for nth in range(60)]
    rows += [beside(nth, 0.9, 0.1) for nth in range(60, 100)]
    hen = compared(rows).found.labels[0]
    assert hen.best_of_one == 40
    told = telling.calibration(hen)
    assert told == (
        "In half of the requests the scores are at most 0 apart. "
        "Yet in 40 of 100 it is the best label of one of them only."
    )
    same = compared(rows[:60]).found.labels[0]
    assert telling.calibration(same) == "In half of the requests the scores are at most 0 apart."


def test_a_label_that_one_of_them_seldom_tells_is_not_called_alike() -> None:
    rows = [row(nth, said("old", hen=0.9, owl=0.01 + nth / 9_000), said("new", hen=0.9)) for nth in range(80)]
    rows += [row(nth, said("old", hen=0.9, owl=0.1), said("new", hen=0.9, owl=0.1)) for nth in range(80, 90)]
    owl = next(one for one in compared(rows).found.labels if one.label == "owl")
    assert telling.calibration(owl).startswith("Both told this score in 10 of 90 requests only.")


def test_strata_say_of_what_they_are() -> None:
    rows = two_models(400, noise=0.8)
    by_quantiles = compared(rows).found
    assert all("quantiles" in one.name for one in by_quantiles.strata)
    assert "share of that model's own scores" in telling.strata_explained(by_quantiles)
    whole = compared(rows, Options(strata_by="scores"))
    assert all("scores" in one.name for one in whole.found.strata)
    assert "distance of the two scores" in telling.strata_explained(whole.found)
    assert telling.strata_explained(whole.found) in page(whole, {})
    assert "scores 0." in page(whole, {}).split("figcaption")[-2]


def test_every_table_of_the_page_scrolls_by_itself() -> None:
    """Also by the keyboard; on a telephone its cells are not squeezed to a word a line."""
    shown = page(compared(two_models(400, noise=0.8), Options(cohorts=("camera",))), {})
    assert shown.count("<table") == shown.count('<div class="wide" tabindex="0"><table') == 4
    assert "div.wide { overflow-x: auto; }" in shown


def test_answers_after_the_result_are_a_part_of_the_answers() -> None:
    late = Word(model="new", outcome="late", scores={"hen": 0.9, "none": 0.1})
    rows = [beside(nth, 0.9, 0.9) for nth in range(7)] + [row(9, said("old", hen=0.9, none=0.1), late)]
    cells = {name: (one, other) for name, one, other in telling.sides(compared(rows).found)}
    assert cells["answered"] == ("8", "8")
    assert cells["of these after the result"] == ("0", "1")

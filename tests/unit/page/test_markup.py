"""Text is escaped; what is narrow has its names."""

from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st

from roost_edge.page.views.markup import Html, cut, el, joined, moment, table


@given(st.text())
def test_whatever_a_text_says_it_never_becomes_an_element_or_an_attribute(text: str) -> None:
    made = el("p", text, title=text)
    inside = made.removeprefix('<p title="').removesuffix("</p>")
    assert inside.count("<") == 0
    assert inside.count('"') == 1  # the one that ends the attribute
    assert inside.count(">") == 1


def test_what_is_none_or_false_is_left_out_and_nought_is_not() -> None:
    assert el("rect", None, x=0, y=None, hidden=False, data_point=1) == '<rect x="0" data-point="1"></rect>'
    assert el("input", required=True) == "<input required>"


def test_html_stays_html_and_lists_are_joined() -> None:
    assert joined(Html("<b>"), ["<i>", [1, None]]) == "<b>&lt;i&gt;1"


def test_each_cell_carries_its_columns_name_for_narrow_screens() -> None:
    assert 'data-label="state"' in table(("model", "state"), [("a", "ready")])


def test_a_time_of_today_has_no_date_and_one_that_is_none_does_not_matter() -> None:
    day = 1_800_000_000_000
    assert "08:00:00</time>" in moment(day, day + 1000, UTC)
    assert "15 Jan, 08:00" in moment(day, day + 86_400_000, UTC)
    assert "15 Jan 2027" in moment(day, day + 400 * 86_400_000, UTC)
    assert "no date" in moment(10**20, day, UTC)


def test_a_long_text_is_cut() -> None:
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"

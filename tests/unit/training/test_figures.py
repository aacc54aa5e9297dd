"""Figures, lineage and the card: what is told of a model."""

import pytest

from roost_broker.jpeg_comment import with_comment
from roost_models.bundle.manifest import ImageContract, TrainedOn
from roost_models.datasets.document import Item
from roost_models.training.card import Facts, card
from roost_models.training.figures import Judged, figures, share
from roost_models.training.lineage import SOURCES, one_of_each_source, rendered

from .conftest import MakeSet


def test_wilsons_interval_is_as_in_the_books() -> None:
    found = share(46, 48)
    assert (round(found.low, 3), round(found.high, 3)) == (0.860, 0.988)


@pytest.mark.parametrize(("right", "shown", "low", "high"), [(0, 0, 0, 1), (0, 10, 0, 0.278), (10, 10, 0.722, 1)])
def test_an_interval_stays_within_0_and_1_at_the_edges(right: int, shown: int, low: float, high: float) -> None:
    found = share(right, shown)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


def test_pictures_are_counted_by_label_and_by_site() -> None:
    judged = [Judged(0, 0, "north"), Judged(0, 1, "north"), Judged(1, 1, "south"), Judged(1, 1, "north")]
    found = figures(judged, ["hen", "jay", "egg"], split="test", runtime="a runtime")
    assert found.confusion == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert (found.right.right, found.right.shown) == (3, 4)
    assert [(row.label, row.found.right, row.found.shown, row.right_when_said.shown) for row in found.by_label] == [
        ("hen", 1, 2, 1),
        ("jay", 2, 2, 3),
        ("egg", 0, 0, 0),
    ]
    assert [(row.site, row.right.right, row.right.shown) for row in found.by_site] == [("north", 2, 3), ("south", 1, 1)]


def test_rendered_pictures_are_known_by_themselves_and_by_what_is_said_of_them(make_set: MakeSet) -> None:
    plain = make_set().dataset
    picture = with_comment(b"\xff\xd8\xff\xda", "Rendered by roost_henhouse, seed 1")
    assert not rendered(plain, [])
    assert not rendered(plain, [b"a photograph"])
    assert rendered(plain, [b"a photograph", picture])
    assert rendered(make_set(origin="folder:rendered-scenes").dataset, [])


def test_a_picture_of_every_camera_is_looked_at_for_that_but_not_of_thousands() -> None:
    def item(number: int, site: str) -> Item:
        return Item(sha256=f"{number:064x}", label="hen", split="train", site=site, origin="archive")

    two = [item(1, "north"), item(2, "north"), item(3, "south")]
    assert one_of_each_source(two) == [two[0], two[2]]
    assert len(one_of_each_source(item(n, f"coop-{n}") for n in range(2 * SOURCES))) == SOURCES


def facts(**changed: object) -> Facts:
    fields = {
        "name": "hens",
        "version": "2.0.0",
        "task": "nest",
        "method": "a test",
        "backbone": "none",
        "licence": "Apache-2.0",
        "contract": ImageContract(width=96, height=96),
        "trained_on": TrainedOn(name="nest", version=3, digest="0" * 64),
        "counts": {"train": {"hen": 30, "jay": 0}, "validation": {"hen": 3, "jay": 0}, "test": {"hen": 4, "jay": 1}},
        "options": {"l2": 0.01},
        "figures": None,
        "rendered": False,
        **changed,
    }
    return Facts(**fields)  # type: ignore[arg-type]  # a table of fields, each of its own type


def test_a_card_without_a_test_split_says_that_nothing_is_known() -> None:
    assert "**Not measured**" in card(facts())


def test_a_card_names_the_label_that_is_never_answered_and_the_lineage() -> None:
    text = card(facts(remarks=("A remark.",)))
    assert "It never answers `jay`" in text
    assert "Dataset `nest`, version 3" in text
    assert "* A remark." in text


def test_a_card_says_when_the_test_may_be_too_kind_and_writes_options_for_people() -> None:
    text = card(facts(unplaced=3, options={"balanced": True, "backbone": {"name": "b", "version": "1"}}))
    assert "Of 3 test pictures neither site nor day is known" in text
    assert "* balanced: yes\n* backbone: name b, version 1\n" in text
    assert "neither site nor day" not in card(facts())


def test_a_card_of_rendered_pictures_warns_beside_the_figures_and_one_of_photographs_does_not() -> None:
    found = figures([Judged(0, 0, ""), Judged(1, 0, "")], ["hen", "jay"], split="test", runtime="a runtime")
    assert "do not transfer" in card(facts(figures=found, rendered=True))
    text = card(facts(figures=found))
    assert "do not transfer" not in text
    assert "**1 of 2 = 50.0 % (9–91 %)** are right" in text
    assert "| hen | 1 | 0 |" in text
    assert "(not known)" in text

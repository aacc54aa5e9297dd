"""A roll-out whose start was killed before its document was in the registry."""

from pathlib import Path

import pytest
from story import planned

from roost_broker.errors import Misuse
from roost_edge.cli.rollout_options import load, load_begun
from roost_edge.cli.rollout_ordering import order
from roost_models.rollout.keeping import RolloutBook


def test_one_that_never_began_can_be_looked_at_but_neither_watched_nor_ordered(tmp_path: Path) -> None:
    book = RolloutBook(tmp_path)
    book.save(planned())
    assert load(book, "").state == "planned"
    with pytest.raises(Misuse, match="never began") as caught:
        load_begun(book, "")
    assert "roost rollout start" in caught.value.remedy


def test_abort_ends_one_that_never_began_and_publishes_nothing(tmp_path: Path) -> None:
    book = RolloutBook(tmp_path / "rollouts")
    book.save(planned())
    order("", "abort", "ann", "the power went", tmp_path, as_json=False)
    ended = book.load("breeds-2")
    assert (ended.state, ended.generation, ended.author) == ("aborted", 0, "ann")
    assert "never began; aborted by ann: the power went" in ended.reason
    assert not (tmp_path / "registry").exists()
    with pytest.raises(Misuse, match="is aborted; it cannot abort"):
        order("", "abort", "ann", "", tmp_path, as_json=False)
    with pytest.raises(Misuse, match="never began"):
        load_begun(book, "")

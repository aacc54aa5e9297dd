"""A roll-out whose start was killed before its document was in the registry."""

from pathlib import Path

import pytest
from story import planned

from roost_broker.errors import Misuse
from roost_edge.cli.rollout_options import load, load_begun
from roost_models.rollout.keeping import RolloutBook


def test_one_that_never_began_can_be_looked_at_but_neither_watched_nor_ordered(tmp_path: Path) -> None:
    book = RolloutBook(tmp_path)
    book.save(planned())
    assert load(book, "").state == "planned"
    with pytest.raises(Misuse, match="never began") as caught:
        load_begun(book, "")
    assert "roost rollout start" in caught.value.remedy

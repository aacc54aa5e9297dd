from pathlib import Path

import pytest

from roost_models.rollout.actions import Command
from roost_models.rollout.keeping import RolloutBook


@pytest.fixture
def book(tmp_path: Path) -> RolloutBook:
    return RolloutBook(tmp_path / "rollouts")


def test_an_order_that_cannot_be_read_now_is_kept_and_found_when_it_can(book: RolloutBook, tmp_path: Path) -> None:
    order = Command("pause", "ann", "lunch")
    path = book.ask("breeds-2", order, 1)
    away = path.rename(tmp_path / "away")
    path.symlink_to(path.name)  # opening it fails: too many levels of links
    assert book.orders("breeds-2") == []
    path.unlink()
    away.rename(path)
    assert book.orders("breeds-2") == [(path, order)]


def test_an_unreadable_order_does_not_hide_those_behind_it(book: RolloutBook) -> None:
    second = Command("resume", "bob")
    first = book.ask("breeds-2", Command("pause", "ann"), 1)
    first.unlink()
    first.symlink_to(first.name)
    path = book.ask("breeds-2", second, 2)
    assert book.orders("breeds-2") == [(path, second)]
    assert first.is_symlink()


@pytest.mark.parametrize("content", [b"nonsense", b"{}", b"\xff", b'{"do":"pause","author":"' + b"x" * 20_000 + b'"}'])
def test_what_is_no_order_is_thrown_away(book: RolloutBook, content: bytes) -> None:
    path = book.ask("breeds-2", Command("pause", "ann"), 1)
    path.write_bytes(content)
    assert book.orders("breeds-2") == []
    assert not path.exists()

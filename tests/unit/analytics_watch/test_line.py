"""What waits for the core: in the order of arrival, whatever is in memory, on the card only, or in memory alone."""

import random

import pytest

from roost_rendezvous.analytics.watch.observed import Observed, Passed, pack, unpack
from roost_rendezvous.monitor.watch_line import Line


class Card:
    """A journal that may refuse, and who reads and handles what waits."""

    def __init__(self, in_memory: int = 5) -> None:
        self.line = Line(in_memory)
        self.bodies: dict[int, bytes] = {}
        self.handled: list[int] = []
        self._at = 0

    def arrive(self, count: int, *, kept: bool = True) -> None:
        batch: list[Observed] = []
        for _ in range(count):
            self._at += 1
            batch.append(Passed(self._at))
        if kept:
            start = max(self.bodies, default=0) + 1
            self.bodies |= {start + place: pack(one) for place, one in enumerate(batch)}
        self.line.add(batch, max(self.bodies) if kept else 0)

    def work(self, most: int, page: int = 3) -> bool:
        """One step; False: there is nothing to be done."""
        if (unread := self.line.unread()) is not None:
            after, upto = unread
            self.line.read([(n, body) for n, body in sorted(self.bodies.items()) if after < n <= upto][:page])
        batch = self.line.next(most)
        for _, entry in batch:
            self.handled.append((unpack(entry) if isinstance(entry, bytes) else entry).heard)
        self.line.done(len(batch))
        return bool(batch)


def test_what_comes_is_handled_in_order_and_a_save_may_cover_it_then() -> None:
    card = Card()
    card.arrive(3)
    assert (card.line.behind, card.line.handled) == (3, 0)
    assert card.work(2)
    assert (card.line.behind, card.line.handled) == (1, 2)
    assert card.work(2)
    assert not card.work(2)
    assert (card.handled, card.line.handled, card.line.newest) == ([1, 2, 3], 3, 3)


def test_what_was_found_at_the_start_comes_before_what_came_later() -> None:
    card = Card()
    card.bodies = {number: pack(Passed(number)) for number in range(4, 9)}
    card._at = 8
    card.line.found(3, 8)
    card.arrive(4)
    assert card.line.behind == 9
    while card.work(2):
        pass
    assert card.handled == list(range(4, 13))
    assert card.line.handled == 12


def test_of_a_long_line_only_few_are_in_memory() -> None:
    card = Card(in_memory=5)
    for _ in range(100):
        card.arrive(3)
    assert len(card.line.next(1_000)) <= 5
    assert card.line.behind == 300


def test_what_the_card_did_not_take_is_handled_behind_what_it_has_and_no_save_counts_it() -> None:
    card = Card(in_memory=2)
    card.arrive(2)
    card.arrive(4)
    card.arrive(2, kept=False)
    card.arrive(1)
    while card.work(1):
        pass
    assert card.handled == list(range(1, 10))
    assert card.line.handled == 7


def test_a_card_that_gives_nothing_back_does_not_hold_up_the_rest() -> None:
    card = Card(in_memory=1)
    card.line.found(0, 50)
    card.arrive(1, kept=False)
    while card.work(1):
        pass
    assert card.handled == [1]
    assert card.line.behind == 0


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_and_goes_nothing_is_left_out_or_handled_twice(seed: int) -> None:
    chance, card = random.Random(seed), Card(in_memory=4)
    for _ in range(200):
        if chance.random() < 0.6:
            card.arrive(chance.randint(1, 4), kept=chance.random() < 0.8)
        else:
            card.work(chance.randint(1, 5), page=chance.randint(1, 4))
        assert card.line.handled <= card.line.newest
    while card.work(3):
        pass
    assert card.handled == list(range(1, card._at + 1))
    assert card.line.behind == 0

"""Waiting for a network that is not there yet: bounded, and with growing pauses."""

import pytest

from roost_edge.enrolment.desk_client import Refused, Unreachable
from roost_edge.enrolment.enrolling import patiently


class Attempt:
    """Nobody answers `fails` times; time passes only in pauses."""

    def __init__(self, fails: int) -> None:
        self.fails = fails
        self.elapsed = 0.0
        self.pauses: list[float] = []
        self.told: list[str] = []

    def work(self) -> str:
        if self.fails > 0:
            self.fails -= 1
            raise Unreachable("Nobody answers.")
        return "done"

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.elapsed += seconds

    def run(self, patience_s: float) -> str:
        return patiently(
            self.work,
            patience_s=patience_s,
            elapsed_s=lambda: self.elapsed,
            pause=self.pause,
            random=lambda: 0.5,
            tell=self.told.append,
        )


def test_it_tries_again_with_growing_pauses_and_says_so() -> None:
    attempt = Attempt(12)
    assert attempt.run(3600) == "done"
    assert attempt.pauses[:4] == [1.5, 3.0, 6.0, 12.0]
    assert attempt.pauses[-1] == 90
    assert attempt.told[0] == "Nobody answers. Trying again in 2 s."


def test_it_gives_up_when_its_time_is_over() -> None:
    attempt = Attempt(1000)
    with pytest.raises(Unreachable):
        attempt.run(60)
    assert 30 < attempt.elapsed <= 60


def test_without_patience_it_tries_once() -> None:
    attempt = Attempt(1)
    with pytest.raises(Unreachable):
        attempt.run(0)
    assert not attempt.pauses


def test_a_no_is_not_asked_again() -> None:
    attempt = Attempt(0)

    def refused() -> str:
        raise Refused("This token is used up.")

    attempt.work = refused  # type: ignore[method-assign]  # another kind of attempt
    with pytest.raises(Refused):
        attempt.run(3600)
    assert not attempt.pauses

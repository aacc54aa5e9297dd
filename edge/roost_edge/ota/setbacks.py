"""How often a line's bundles went wrong lately, and when the next try is due. Pure: the time is an argument."""

from typing import NamedTuple

from roost_edge.ota.lines import Slot
from roost_edge.ota.policy import LinePolicy


class _Retry(NamedTuple):
    digest: str
    failures: int
    due: int


class Setbacks:
    """One line's. Nothing of it survives a restart: then everything may be tried at once."""

    def __init__(self, policy: LinePolicy) -> None:
        self._policy = policy
        self._retry: _Retry | None = None
        self._undecided = ("", 0)
        self._deaths: dict[Slot, tuple[int, ...]] = {}

    # -- a bundle that does not come ----------------------------------------------------------------------------------

    @property
    def due(self) -> int | None:
        """When the bundle that did not come is tried again; None: none failed."""
        return None if self._retry is None else self._retry.due

    def waits(self, digest: str, now: int) -> bool:
        """Whether this bundle failed and its wait is not over. Another one's failures are forgotten."""
        if self._retry is not None and self._retry.digest != digest:
            self._retry = None
        return self._retry is not None and now < self._retry.due

    def failed(self, digest: str, now: int, chance: float) -> None:
        """It failed once more; the wait is longer each time."""
        failures = 1 if self._retry is None or self._retry.digest != digest else self._retry.failures + 1
        self._retry = _Retry(digest, failures, now + self._policy.wait(failures, chance))

    def came(self) -> None:
        """What was tried has come, or is given up."""
        self._retry = None

    def too_often_undecided(self, digest: str) -> bool:
        """Count a trial without a verdict; whether this bundle has had as many as it may."""
        known, times = self._undecided
        self._undecided = (digest, times + 1 if known == digest else 1)
        return self._undecided[1] >= self._policy.tries

    # -- a process that ends ------------------------------------------------------------------------------------------

    def died(self, slot: Slot, now: int) -> int:
        """Count an end of a slot's process; how many there were within the window."""
        since = now - self._policy.deaths_window_ns
        deaths = (*(at for at in self._deaths.get(slot, ()) if at > since), now)[-self._policy.deaths :]
        self._deaths[slot] = deaths
        return len(deaths)

    def filled(self, slot: Slot) -> None:
        """Another bundle lies in it: its process has not ended yet."""
        self._deaths.pop(slot, None)

"""What is known of the models: which say they are ready, which say they are not, which were never heard of."""

from collections.abc import Iterator

from msgspec import Struct

from roost_rendezvous.mailbox.events import ModelGone, ModelUp

MAX_REPLICAS = 64
"""Replicas of one model whose state is known."""


class Replica(Struct, frozen=True, gc=False):
    """The newest state of one process of a model."""

    up: bool
    session: int
    version: str
    reason: str


class Known(Struct, frozen=True, gc=False):
    """The newest state of one model: up while any replica is that we heard of."""

    up: bool
    version: str
    reason: str
    replicas: dict[int, Replica]


class Roster:
    """Models by name, bounded. A model that was never heard of is neither up nor gone."""

    def __init__(self, max_models: int) -> None:
        self._max = max_models
        self._known: dict[str, Known] = {}

    def __iter__(self) -> Iterator[tuple[str, Known]]:
        return iter(self._known.items())

    def get(self, model: str) -> Known | None:
        """The newest state, or None when never heard of."""
        return self._known.get(model)

    def gone(self, model: str) -> bool:
        """Whether all its replicas said, or their last wills say, that they are not ready."""
        known = self._known.get(model)
        return known is not None and not known.up

    def note(self, state: ModelUp | ModelGone, *, listed: bool = False) -> str:
        """Take a state over. Returns `taken`, `stale` (a will of an earlier session) or `full`.

        A full table makes room by forgetting a model that is gone; for one that the schedule lists, even another.
        To forget a model only means to wait for it as for one never heard of. Only a farewell can be stale: a model
        whose session counter was lost must not be taken for gone for ever.
        """
        known = self._known.get(state.model)
        up = isinstance(state, ModelUp)
        replicas = {} if known is None else dict(known.replicas)
        before = replicas.get(state.replica)
        if before is not None and not up and state.session < before.session:
            return "stale"
        if before is None and not _room(replicas):
            return "full"
        if known is None and len(self._known) >= self._max and not self._make_room(listed):
            return "full"
        reason = "" if isinstance(state, ModelUp) else state.reason
        replicas[state.replica] = said = Replica(up, state.session, state.version, reason)
        speaker = said if up else next((replica for replica in replicas.values() if replica.up), said)
        self._known[state.model] = Known(speaker.up, speaker.version, speaker.reason, replicas)
        return "taken"

    def _make_room(self, at_any_price: bool) -> bool:
        gone = (model for model, known in self._known.items() if not known.up)
        victim = next(gone, next(iter(self._known)) if at_any_price else None)
        if victim is None:
            return False
        del self._known[victim]
        return True


def _room(replicas: dict[int, Replica]) -> bool:
    """Whether one more replica can be known, perhaps in the place of one that is gone."""
    if len(replicas) < MAX_REPLICAS:
        return True
    gone = next((number for number, replica in replicas.items() if not replica.up), None)
    if gone is None:
        return False
    del replicas[gone]
    return True

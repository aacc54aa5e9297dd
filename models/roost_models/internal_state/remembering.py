"""Internal state as a scaffold uses it: observe in order, note, save now and then. All in the compute thread.

A start is two steps: `restore` until it is no longer behind, then `observe` for whatever came meanwhile. Both may name
the same request; it counts once.
"""

import logging
from collections import Counter
from collections.abc import Callable

from roost_broker.errors import RoostError
from roost_broker.messages import Request
from roost_models.bundle.folder import Bundle
from roost_models.inference.predictor import Predictor, PythonPredictor
from roost_models.internal_state.keeper import InternalState
from roost_models.internal_state.rebuild import Restored, StateFiles, StatePlace, restore

_log = logging.getLogger(__name__)


def _all(_request: Request) -> bool:
    return True


class Remembering:
    """The internal state of one scaffold's model; `takes` says which requests are its own (a replica's part), `part`
    names that part.

    `counts`: observed, rolled_forward, snapshots, snapshots_failed.
    """

    def __init__(
        self,
        bundle: Bundle,
        predictor: Predictor,
        place: StatePlace,
        takes: Callable[[Request], bool] = _all,
        part: str = "",
    ) -> None:
        contract = bundle.manifest.internal_state
        if contract is None or not isinstance(predictor, PythonPredictor):
            raise TypeError("this model keeps no internal state")
        # All keys at once: another thread reads them, and a dict that grows meanwhile would refuse it.
        self.counts: Counter[str] = Counter(observed=0, rolled_forward=0, snapshots=0, snapshots_failed=0)
        self._contract = contract
        self._archive = place.archive
        self._takes = takes
        self._files = StateFiles(place.folder)
        self._unsaved = 0
        self._state = InternalState(predictor.model, bundle.digest, part=part)

    def restore(self) -> Restored:
        """Bring it up to date; again while the answer is `behind`."""
        found = restore(self._state, self._contract, self._files, self._archive, self._takes)
        self.counts["rolled_forward"] += found.rolled_forward
        return found

    def observe(self, request: Request) -> None:
        """Let a request change the state, unless it had done so before."""
        if not self._state.observe(request):
            return
        self.counts["observed"] += 1
        self._files.note(request.request_id)
        self._unsaved += 1
        if self._contract.restore == "snapshot" and self._unsaved >= self._contract.snapshot_every:
            self.save()

    def past(self, request_id: str) -> object:
        """What the model may know at this request. Raises `PastUnknown`."""
        return self._state.past(request_id)

    def save(self) -> None:
        """Write a snapshot. One that cannot be written costs time at the next start, not this model's answers."""
        self._unsaved = 0
        if self._contract.restore != "snapshot":
            return
        try:
            self._files.save(self._state)
        except (OSError, RoostError) as error:
            self.counts["snapshots_failed"] += 1
            _log.warning("The internal state is not saved: %s", error)
        else:
            self.counts["snapshots"] += 1

    def close(self) -> None:
        """Save, and let go of the files."""
        if self._unsaved:
            self.save()
        self._files.close()

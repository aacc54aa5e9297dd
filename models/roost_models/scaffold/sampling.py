"""The share of the requests that the schedule asks of one model (`[sample]`), read from the retained schedule topic.

The rendezvous chooses the same requests by the same hash, and does not wait for the others. A schedule that cannot be
used changes nothing, as in the rendezvous.
"""

import logging
from collections.abc import Mapping

from roost_broker.bus import Delivery
from roost_broker.errors import PeerError
from roost_broker.messages import Request
from roost_broker.shares import in_share
from roost_broker.topics import TaskTopics

_log = logging.getLogger(__name__)


class Sample:
    """Follows the schedule of one task for one model. `qa`: a request's own schedule counts for that request."""

    def __init__(self, topics: TaskTopics, model: str, *, qa: bool) -> None:
        self._task = topics.task
        self._model = model
        self._qa = qa
        self.share = 1.0

    def on_schedule(self, delivery: Delivery) -> None:
        """The bus's handler for the schedule topic."""
        from roost_rendezvous.server.reading import read_schedule

        delivery.ack()
        if not delivery.payload:
            return  # cleared: what is in force stays so
        try:
            _, schedule = read_schedule(delivery, self._task)
        except PeerError as error:  # the rendezvous says so where people see it
            _log.debug("a schedule that cannot be used: %s", error)
            return
        share = schedule.sample.get(self._model, 1.0)
        if share != self.share:
            _log.info("the schedule %s asks model %s about %g of the requests", schedule.version, self._model, share)
        self.share = share

    def asks_about(self, request: Request) -> bool:
        """Whether the model is to evaluate this request."""
        share = self.share
        if self._qa and request.diagnostics is not None and request.diagnostics.schedule is not None:
            share = _own_share(request.diagnostics.schedule, self._model)
        return share >= 1 or in_share(self._model, request.request_id, share)


def _own_share(schedule: Mapping[str, object], model: str) -> float:
    """What a request's own schedule says. One that is wrong is refused by the rendezvous; the model answers then."""
    sample = schedule.get("sample")
    share = sample.get(model, 1.0) if isinstance(sample, Mapping) else 1.0
    return float(share) if isinstance(share, int | float) and 0 < share < 1 else 1.0

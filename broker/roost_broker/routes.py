"""Which handler gets a message: the subscriptions of one bus, in one table both buses use."""

from collections.abc import Iterator

from roost_broker.bus import Handler
from roost_broker.errors import Misuse
from roost_broker.topics import is_filter, matches, overlap, without_share

_MEMORY = 1000


class Routes:
    """Topic filters that do not overlap, each with its handler and QoS."""

    def __init__(self) -> None:
        self._routes: dict[str, tuple[Handler, int]] = {}
        self._known: dict[str, Handler | None] = {}

    def add(self, topic_filter: str, handler: Handler, qos: int) -> None:
        """Raise `Misuse` for what is no filter, or overlaps an earlier one.

        Overlapping filters are refused because brokers may deliver a message once or twice for them (MQTT 5.0
        §3.3.4), and it could not be said whose acknowledgement counts.
        """
        if not is_filter(topic_filter):
            raise Misuse(f"{topic_filter!r} is no topic filter.", "'+' and '#' fill a whole level, '#' only the last.")
        if qos not in (0, 1):
            raise Misuse(f"QoS {qos} is not used here.", "Use 0 or 1; consumers are idempotent instead of QoS 2.")
        for other in self._routes:
            if overlap(topic_filter, other):
                raise Misuse(
                    f"{topic_filter!r} overlaps {other!r}, subscribed before on the same bus.",
                    "Subscribe once and tell the messages apart in the handler, or use a second bus.",
                )
        self._routes[topic_filter] = (handler, qos)
        self._known.clear()

    def find(self, topic: str) -> Handler | None:
        """Handler of a topic; remembered for the topics seen lately."""
        try:
            return self._known[topic]
        except KeyError:
            pass
        if len(self._known) >= _MEMORY:
            self._known.clear()
        found = next((h for f, (h, _) in self._routes.items() if matches(without_share(f), topic)), None)
        self._known[topic] = found
        return found

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Filters with their QoS, in the order they were added."""
        return ((topic_filter, qos) for topic_filter, (_, qos) in self._routes.items())

    def __len__(self) -> int:
        return len(self._routes)

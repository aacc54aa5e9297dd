"""Deliveries that are not acknowledged until the result they belong to is out.

While a mailbox is open, its request and scores stay with the broker: a rendezvous that is killed finds them again
when it returns. But only so many at a time: the broker stops sending at the session's receive maximum, and requests
that wait for scores would then keep the scores out. Beyond the bound the oldest mailbox's messages are acknowledged
early; what is lost with a kill is then published again by the capture, whose log is the record of what was accepted.
"""

from collections import OrderedDict

from roost_broker.bus import Delivery


class HeldDeliveries:
    """Deliveries by request id, oldest request first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[str, list[tuple[Delivery, str]]] = OrderedDict()
        self._count = 0

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._held

    def __len__(self) -> int:
        return self._count

    def hold(self, request_id: str, delivery: Delivery, session: str = "") -> None:
        """Keep a delivery of one of our sessions until `release`; the oldest may be acknowledged instead."""
        self._held.setdefault(request_id, []).append((delivery, session))
        self._count += 1
        while self._count > self._limit:
            self.release(next(iter(self._held)))

    def release(self, request_id: str) -> None:
        """The result is out: acknowledge."""
        deliveries = self._held.pop(request_id, [])
        self._count -= len(deliveries)
        for delivery, _ in deliveries:
            delivery.ack()

    def forget(self, session: str = "") -> None:
        """The connection of a session is lost: its deliveries can no longer be acknowledged, and come again."""
        for request_id, deliveries in list(self._held.items()):
            kept = [entry for entry in deliveries if entry[1] != session]
            self._count -= len(deliveries) - len(kept)
            if kept:
                self._held[request_id] = kept
            else:
                del self._held[request_id]

"""Which replica of a model takes a request (promise V14; docs/decisions/0010-replicas.md). Pure.

Without a key the replicas share one subscription and the broker deals the requests out. With one, each replica
reads every request and keeps those whose key falls to it by rendezvous hashing (highest random weight): a key keeps
its replica and with it its order and what the replica remembers of it. When the number of replicas grows from n to
n + 1, one key in n + 1 moves, and only to the new one.
"""

from dataclasses import dataclass

from roost_broker.errors import Misuse
from roost_broker.messages import Request
from roost_broker.shares import place
from roost_broker.topics import TaskTopics

MAX_REPLICAS = 64


@dataclass(frozen=True, slots=True)
class Partition:
    """One replica's part. `replica` counts from 1; 0 is the only process of its model."""

    replica: int = 0
    replicas: int = 1
    key: str = ""
    """Name of the tag whose value decides; empty for a shared subscription."""

    def __post_init__(self) -> None:
        if not 1 <= self.replicas <= MAX_REPLICAS or not 0 <= self.replica <= self.replicas:
            raise Misuse(
                f"There is no replica {self.replica} of {self.replicas}.",
                f"A model has 1 to {MAX_REPLICAS}, counted from 1.",
            )

    @property
    def shared(self) -> bool:
        """Whether the broker deals the requests out, and forgets this replica when it goes."""
        return self.replica > 0 and not self.key

    @property
    def part(self) -> str:
        """Names the requests that are this replica's; another number of replicas or another key is another part."""
        return f"{self.replica} of {self.replicas} by {self.key}" if self.replica and self.key else ""

    def filter(self, topics: TaskTopics, model: str) -> str:
        """What this replica subscribes to."""
        return f"$share/{model}/{topics.input}" if self.shared else topics.input

    def takes(self, request: Request) -> bool:
        """Whether this request is this replica's. One without the tag goes by its request id."""
        if not self.replica or not self.key:
            return True
        return owner(request.tags.get(self.key) or request.request_id, self.replicas) == self.replica


def owner(key: str, replicas: int) -> int:
    """The replica, from 1, to which a key falls."""
    return max(range(1, replicas + 1), key=lambda number: place(f"replica {number}", key))

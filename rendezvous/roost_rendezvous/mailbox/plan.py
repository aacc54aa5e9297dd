"""A schedule made ready for deciding: times in nanoseconds, ranks in tables. Computed once for each schedule."""

from roost_broker.clock import MS
from roost_rendezvous.schedule import ANY, Schedule


class Plan:
    """What the core asks of a schedule, without searching.

    For any two models that may be official, the one of better rank may be official no later than the other:
    `Schedule` refuses anything else. The core relies on it.
    """

    __slots__ = (
        "_first_step",
        "_official_ns",
        "_rank",
        "any_ns",
        "default_ns",
        "ignored",
        "label",
        "named",
        "sla_ms",
        "slack_ns",
        "version",
    )

    def __init__(self, schedule: Schedule) -> None:
        self.named = schedule.named
        self.ignored = frozenset(schedule.ignore)
        self.label = schedule.default.label
        self.sla_ms = schedule.sla_ms
        self.default_ns = schedule.default.after_ms * MS
        self.slack_ns = (schedule.sla_ms - schedule.default.after_ms) * MS
        self.version = schedule.version
        self.any_ns = next((step.after_ms * MS for step in schedule.steps if ANY in step.accept), None)
        self._rank = {name: rank for rank, name in enumerate(self.named)}
        self._first_step = frozenset(schedule.steps[0].accept)
        self._official_ns: dict[str, int] = {}
        for step in schedule.steps:
            for name in step.accept:
                if name != ANY:
                    self._official_ns.setdefault(name, step.after_ms * MS)
        if self.any_ns is not None:
            for name, after in self._official_ns.items():
                self._official_ns[name] = min(after, self.any_ns)

    def official_ns(self, model: str) -> int | None:
        """Age of a request from which `model` may be official; None = never."""
        after = self._official_ns.get(model)
        if after is None and model not in self.ignored:
            return self.any_ns
        return after

    def rank(self, model: str) -> tuple[int, str]:
        """Smaller is better."""
        return self._rank.get(model, len(self.named)), model

    def lists(self, model: str) -> bool:
        """Whether a step names this model."""
        return model in self._rank

    def prefers(self, model: str) -> bool:
        """Whether the first step accepts this model."""
        return model in self._first_step or (ANY in self._first_step and model not in self.ignored)

    def default_after_ns(self, left_ns: int) -> int:
        """How long after its start a request gets the default that wants its answer in `left_ns`.

        What the schedule leaves an answer to travel is left here too, but no more than half of a short deadline: a
        requester in a hurry wants a quick model, not the default.
        """
        return min(self.default_ns, max(left_ns - self.slack_ns, left_ns // 2))

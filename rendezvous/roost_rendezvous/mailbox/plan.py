"""A schedule made ready for deciding: times in nanoseconds, ranks in tables. Computed once for each schedule."""

from roost_broker.clock import MS
from roost_broker.shares import draw, in_share
from roost_rendezvous.schedule import ANY, Quorum, Schedule

_ALL_ASKED: frozenset[str] = frozenset()


class Plan:
    """What the core asks of a schedule, without searching.

    For any two models that may be official, the one of better rank may be official no later than the other:
    `Schedule` refuses anything else. The core relies on it. `cohort` is the model that the requests of this plan
    prefer by roll-out or by lot, `propensity` the chance of that lot.
    """

    __slots__ = (
        "_first_step",
        "_official_ns",
        "_rank",
        "_sample",
        "any_ns",
        "cohort",
        "default_ns",
        "ignored",
        "jurors",
        "label",
        "named",
        "propensity",
        "quorums",
        "sla_ms",
        "slack_ns",
        "version",
    )

    def __init__(
        self, schedule: Schedule, *, version: str = "", cohort: str = "", propensity: float | None = None
    ) -> None:
        self.version = version or schedule.version
        self.cohort = cohort
        self.propensity = propensity
        self.named = schedule.named
        self.ignored = frozenset(schedule.ignore)
        self.label = schedule.default.label
        self.sla_ms = schedule.sla_ms
        self.default_ns = schedule.default.after_ms * MS
        self.slack_ns = (schedule.sla_ms - schedule.default.after_ms) * MS
        self.any_ns = next((step.after_ms * MS for step in schedule.steps if ANY in step.accept), None)
        ranked = dict.fromkeys((*self.named, *schedule.rank))
        self._rank = {name: rank for rank, name in enumerate(ranked)}
        self._first_step = frozenset(schedule.steps[0].accept)
        self._sample = tuple(schedule.sample.items())
        self.quorums: dict[str, Quorum] = schedule.quorum
        self.jurors: dict[str, tuple[str, ...]] = {}
        """Of which quorums of these steps a model is a member; another may be in use by a roll-out only."""
        for name, quorum in schedule.quorum.items():
            for member in quorum.members if name in self.named else ():
                self.jurors[member] = (*self.jurors.get(member, ()), name)
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
        if after is None and model not in self.ignored and model not in self.quorums:
            return self.any_ns
        return after

    def rank(self, model: str) -> tuple[int, str]:
        """Smaller is better."""
        return self._rank.get(model, len(self._rank)), model

    def lists(self, model: str) -> bool:
        """Whether a step names this model, or it only bears the name of a quorum: `*` does not mean it."""
        return model in self._official_ns or model in self.quorums

    def counts_on(self, model: str) -> bool:
        """Whether a step names this model, or a quorum has it as a member: there is always room for its word."""
        return model in self._official_ns or model in self.jurors

    def prefers(self, model: str) -> bool:
        """Whether the first step accepts this model."""
        return model in self._first_step or (ANY in self._first_step and model not in self.ignored)

    def unasked(self, request_id: str) -> frozenset[str]:
        """Models that `[sample]` does not ask about this request."""
        if not self._sample:
            return _ALL_ASKED
        return frozenset(name for name, share in self._sample if not in_share(name, request_id, share))

    def default_after_ns(self, left_ns: int) -> int:
        """How long after its start a request gets the default that wants its answer in `left_ns`.

        What the schedule leaves an answer to travel is left here too, but no more than half of a short deadline: a
        requester in a hurry wants a quick model, not the default.
        """
        return min(self.default_ns, max(left_ns - self.slack_ns, left_ns // 2))


class Plans:
    """The plans of one schedule: one for everybody, and one for each model that `[rollout]` or `[random]` promotes."""

    __slots__ = ("_base", "_promoted", "_random", "_rollout", "_tag", "version")

    def __init__(self, schedule: Schedule) -> None:
        self.version = version = schedule.version
        self._base = Plan(schedule, version=version)
        self._tag = schedule.cohort_tag
        self._rollout = tuple(schedule.rollout.items())
        self._random = schedule.random
        self._promoted = {
            name: Plan(schedule.promoting(name), version=version, cohort=name, propensity=schedule.random.get(name))
            for name in (*schedule.rollout, *schedule.random)
        }

    def choose(self, tags: dict[str, str], request_id: str) -> Plan:
        """The plan of one request: always the same one for the same tag value, or for the same request."""
        if not self._promoted:
            return self._base
        if self._random:
            return self._promoted[draw(self._random, request_id)]
        key = tags.get(self._tag, request_id)
        for name, share in self._rollout:
            if in_share(name, key, share):
                return self._promoted[name]
        return self._base

    def counts_on(self, model: str) -> bool:
        """Whether any of the plans does."""
        return self._base.counts_on(model) or any(plan.counts_on(model) for plan in self._promoted.values())

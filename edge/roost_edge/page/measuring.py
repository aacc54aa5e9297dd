"""What `/metrics` tells: counted from what the page hears anyway, and what it knows at the moment of the scrape. Pure.

Counters and durations begin with this process and grow with every result, so they are as fresh as the last message.
Gauges are the newest word of each role and model. Labels are bounded (`faces.metrics`, rule 1).
"""

from collections import OrderedDict
from collections.abc import Iterator

from roost_broker.messages import Message, ModelState, Result
from roost_edge.page.busy import Busy
from roost_edge.page.view import View
from roost_rendezvous.analytics.faces.metrics import Counted, Family, Timed, gauge

_REMEMBERED = 1_000
"""Results known by request, so that one that is delivered again does not count twice."""
_RAN_ON = "ran-on-ms "


class Measured:
    """See the module. `began` is when this process did, in nanoseconds."""

    def __init__(self, began: int) -> None:
        self._began = began
        self._known: OrderedDict[str, None] = OrderedDict()
        self._busy = Busy()
        self._results = Counted("roost_results", "Official results, by how they came about.", "task", "cause")
        self._late = Counted("roost_results_late", "Official results after their deadline.", "task")
        self._labels = Counted("roost_answers", "Official answers by models, by label.", "task", "model", "label")
        self._outcomes = Counted(
            "roost_model_outcomes", "What each model had done when the result was decided.", "task", "model", "status"
        )
        self._took = Timed("roost_result_duration_seconds", "From the request's issue to the official result.", "task")
        self._models_took = Timed(
            "roost_model_duration_seconds", "From the request's issue to a model's answer.", "task", "model"
        )

    def take(self, message: Message, task: str) -> None:
        """Something was heard of a task."""
        if isinstance(message, ModelState):
            self._busy.take(task, message)
        if not isinstance(message, Result) or message.request_id in self._known:
            return
        self._known[message.request_id] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        self._results.add(task, message.cause)
        self._late.add(task, by=float(message.late or message.elapsed_ms > message.sla_ms))
        self._took.add(message.elapsed_ms / 1e3, task)
        if message.answer is not None:
            self._labels.add(task, message.answer.model, message.answer.label)
        for one in message.models:
            self._outcomes.add(task, one.model, one.status)
            if one.status == "answered" and one.elapsed_ms is not None:
                self._models_took.add(one.elapsed_ms / 1e3, task, one.model)

    def families(self, view: View, version: str) -> list[Family]:
        """Everything, at this moment."""
        counted = [one.told() for one in (self._results, self._late, self._labels, self._outcomes)]
        return [
            Family(
                name="roost_build", kind="info", help="What runs.", labels=("version",), samples=(((version,), 1.0),)
            ),
            gauge(
                "process_start_time_seconds",
                "When this page began; its counters begin with it.",
                (),
                [((), self._began / 1e9)],
                unit="seconds",
            ),
            gauge("roost_broker_connected", "Whether the broker is there.", (), [((), float(view.broker))]),
            *counted,
            self._took.told(),
            self._models_took.told(),
            *_models(view),
            *self._busy.told(),
            *_roles(view),
            *_alarms(view),
        ]


def _models(view: View) -> Iterator[Family]:
    labels = ("task", "model", "replica")
    states = [((task, name, str(replica)), one) for (task, name, replica), one in view.models.items()]
    yield gauge(
        "roost_model_ready",
        "Whether a model's process is ready.",
        labels,
        [(key, float(one.state == "ready")) for key, one in states],
    )
    yield gauge(
        "roost_model_memory_bytes",
        "Memory of a model's process.",
        labels,
        [(key, one.usage.memory_bytes) for key, one in states if one.usage is not None],
        unit="bytes",
    )


def _roles(view: View) -> Iterator[Family]:
    roles = list(view.roles.items())
    yield gauge(
        "roost_role_ready",
        "Whether a role is ready.",
        ("role",),
        [((name,), one.state == "ready") for name, one in roles],
    )
    yield gauge(
        "roost_role_memory_bytes",
        "Memory of a role's process.",
        ("role",),
        [((name,), one.usage.memory_bytes) for name, one in roles if one.usage is not None],
        unit="bytes",
    )
    yield gauge(
        "roost_role_counts",
        "What a role counts since it began, by its own names.",
        ("role", "count"),
        [((name, what), number) for name, one in roles for what, number in one.counts.items()],
    )
    monitor = view.roles.get("monitor")
    counts = monitor.counts if monitor is not None else {}
    ran_on = [
        (what.removeprefix(_RAN_ON).partition("/"), ms) for what, ms in counts.items() if what.startswith(_RAN_ON)
    ]
    yield gauge(
        "roost_model_ran_on_seconds",
        "Computing after the official result, since the monitor began: nobody waited for it.",
        ("task", "model"),
        [((task, model), ms / 1e3) for (task, _, model), ms in ran_on],
        unit="seconds",
    )


def _alarms(view: View) -> Iterator[Family]:
    lists = list(view.alarms.items())
    open_now = {(task, verdict): 0.0 for task, _ in lists for verdict in ("model", "world", "camera", "clock", "link")}
    for task, said in lists:
        for one in said.open:
            if one.state == "open":
                open_now[task, one.verdict] = open_now.get((task, one.verdict), 0.0) + 1
    yield gauge("roost_alarms_open", "Open alarms by verdict.", ("task", "verdict"), open_now.items())
    yield gauge(
        "roost_alarm_nines",
        "How strange the strangest open alarm is: 3 is stranger than 999 of 1,000 of its own history.",
        ("task",),
        [((task,), max((one.nines for one in said.open), default=0.0)) for task, said in lists],
    )
    yield gauge(
        "roost_watched_signals",
        "Signals that are watched, and those with enough history to raise an alarm.",
        ("task", "able"),
        [
            pair
            for task, said in lists
            for pair in (((task, "yes"), said.able), ((task, "no"), max(0, said.signals - said.able)))
        ],
    )

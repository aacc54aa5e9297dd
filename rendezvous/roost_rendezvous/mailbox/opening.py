"""A request made into a mailbox: which plan it gets, when its clock began, when its default is due."""

from roost_broker.clock import MS
from roost_rendezvous.mailbox.box import Box
from roost_rendezvous.mailbox.events import RequestArrived
from roost_rendezvous.mailbox.plan import Plans


def open_box(event: RequestArrived, plans: Plans, now: int) -> Box:
    """The empty mailbox of a request that is taken now; `plans` are of the schedule in force."""
    if event.override is not None:
        plans = Plans(event.override)
    plan = plans.choose(event.tags, event.request_id)
    opened = min(event.opened_ns, now)
    age, deadline = now - opened, event.deadline_ms * MS
    late = age >= deadline
    # Older than the SLA, the promise is broken already: an answer from now on is better than a default at once.
    start = now if late or age >= plan.sla_ms * MS else opened
    left = deadline if late else deadline - (start - opened)
    return Box(
        request_id=event.request_id,
        message_id=event.message_id,
        plan=plan,
        opened_ns=opened,
        start_ns=start,
        default_ns=start + plan.default_after_ns(left),
        late=late,
        override=event.override is not None,
        context=event.context,
        size=event.size,
        unasked=plan.unasked(event.request_id),
    )

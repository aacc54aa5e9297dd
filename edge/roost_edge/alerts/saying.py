"""From a rule that fired to the sentence that people read, and to the notice on the wire. Pure."""

from datetime import tzinfo

from roost_broker.headers import Header
from roost_broker.messages import Notice, encode
from roost_broker.topics import NodeTopics
from roost_edge.alerts.hours import local
from roost_edge.alerts.outbox import Letter
from roost_edge.alerts.rule_settings import RuleSettings
from roost_edge.alerts.rules import Fired

_MOST = 1_000


def sentence(fired: Fired, rule: RuleSettings, zone: tzinfo) -> str:
    """What the rule's `text` says with its blanks filled in; else a sentence of ours."""
    event = fired.event
    what = " or ".join(rule.labels) or "anything"
    blanks = {
        "label": what if event is None else event.label or "",
        "score": "" if event is None else f"{event.score:.0%}",
        "camera": (", ".join(rule.cameras) or "any camera") if event is None else event.camera,
        "task": ", ".join(rule.tasks) if event is None else event.task,
        "rule": fired.rule,
        "time": local(fired.at_ns, zone).strftime("%H:%M"),
    }
    text = rule.text or (
        f"No {what} was seen on {blanks['camera']} by {rule.absent_by}."
        if fired.kind == "absent"
        else f"{blanks['label']} on {blanks['camera']} at {blanks['time']} ({blanks['score']})."
    )
    for name, value in blanks.items():  # not str.format: a setting must not reach into objects
        text = text.replace(f"{{{name}}}", value)
    return text[:_MOST]


def write_notice(fired: Fired, rule: RuleSettings, zone: tzinfo, topics: NodeTopics, header: Header) -> Letter:
    """Address and encode one notice."""
    event = fired.event
    notice = Notice(
        timestamp=header.timestamp,
        message_id=header.message_id,
        provenance=header.provenance,
        rule=fired.rule,
        kind=fired.kind,
        text=sentence(fired, rule, zone),
        camera=None if event is None else event.camera,
        task=None if event is None else event.task,
        label=None if event is None else event.label,
        score=None if event is None else event.score,
        request_id=None if event is None else event.request_id,
        frame=None if event is None else event.frame,
    )
    return Letter("new", topics.notices, encode(notice))


def write_test(topics: NodeTopics, header: Header) -> Letter:
    """A notice that somebody asked for, to see whether it arrives."""
    notice = Notice(
        timestamp=header.timestamp,
        message_id=header.message_id,
        provenance=header.provenance,
        rule="test",
        kind="test",
        text=f"This is a test of {topics.node}. If you read it, notices reach you.",
    )
    return Letter("new", topics.notices, encode(notice))

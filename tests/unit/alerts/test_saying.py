"""What people read."""

from datetime import UTC
from typing import Any

import pytest

from roost_broker.clock import SECOND, VirtualClock
from roost_broker.headers import new_header
from roost_broker.messages import Notice, decode
from roost_broker.topics import NodeTopics
from roost_edge.alerts.rule_settings import RuleSettings
from roost_edge.alerts.rules import Fired
from roost_edge.alerts.saying import sentence, write_notice
from roost_edge.alerts.sightings import ResultSeen

AT = 1_780_999_200 * SECOND  # 2026-06-09 10:00 UTC
EVENT = ResultSeen("a" * 32, "henhouse", "nest", "hen", 0.934, AT // 1_000_000)


@pytest.mark.parametrize(
    ("rule", "event", "words"),
    [
        ({}, EVENT, "hen on nest at 10:00 (93%)."),
        ({"text": "{rule}: {label} {score} {camera} {task} {time} {no}"}, EVENT, "r: hen 93% nest henhouse 10:00 {no}"),
        ({"absent_by": "10:00", "labels": ("hen", "egg")}, None, "No hen or egg was seen on any camera by 10:00."),
        ({"absent_by": "09:00", "cameras": ("nest",)}, None, "No anything was seen on nest by 09:00."),
        ({"text": "{label.__class__}"}, EVENT, "{label.__class__}"),
    ],
)
def test_a_notice_is_one_sentence_with_its_blanks_filled_in(
    rule: dict[str, Any], event: ResultSeen | None, words: str
) -> None:
    kind: Any = "seen" if event else "absent"
    assert sentence(Fired("r", kind, AT, event, "x"), RuleSettings(**rule), UTC) == words


def test_a_notice_names_its_picture_and_goes_to_the_devices_notices() -> None:
    topics = NodeTopics("coop-1")
    fired = Fired("r", "seen", AT, EVENT, "x")
    letter = write_notice(fired, RuleSettings(), UTC, topics, new_header(VirtualClock(), "coop-1", "alerts"))
    notice = decode(letter.payload)
    assert isinstance(notice, Notice)
    assert (letter.topic, notice.rule, notice.kind, notice.label) == ("roost/coop-1/notices", "r", "seen", "hen")
    assert notice.request_id == "a" * 32

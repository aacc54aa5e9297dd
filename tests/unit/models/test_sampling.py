import msgspec
import pytest

from roost_broker.bus import Delivery
from roost_broker.messages import Diagnostics, Input, Request, ScheduleSet, encode
from roost_broker.topics import NodeTopics
from roost_models.scaffold.sampling import Sample

SCHEDULE = {
    "task": "nest",
    "sla_ms": 2000,
    "step": [{"after_ms": 0, "accept": ["fast", "champion"]}],
    "default": {"after_ms": 1900, "label": "unknown"},
}


def told(follower: Sample, **more: object) -> Sample:
    message = ScheduleSet(timestamp=0, message_id="0" * 32, task="nest", version="1", schedule={**SCHEDULE, **more})
    follower.on_schedule(Delivery("schedule", encode(message), retained=True))
    return follower


def share_of(sample: Sample, requests: int) -> float:
    like = Request(
        timestamp=0, message_id="0" * 32, request_id="0" * 32, return_address="a", deadline_ms=1, input=Input()
    )
    ids = (f"{number:032x}" for number in range(requests))
    return sum(sample.asks_about(msgspec.structs.replace(like, request_id=name)) for name in ids) / requests


def test_a_model_asked_about_one_percent_evaluates_a_hundredth_within_a_twentieth() -> None:
    champion = told(Sample(NodeTopics("coop-1").task("nest"), "champion", qa=False), sample={"champion": 0.01})
    assert 95 <= 1 / share_of(champion, 400_000) <= 105


def test_a_model_that_the_schedule_does_not_sample_and_one_without_a_schedule_are_asked_about_everything() -> None:
    topics = NodeTopics("coop-1").task("nest")
    assert share_of(Sample(topics, "champion", qa=False), 100) == 1
    assert share_of(told(Sample(topics, "fast", qa=False), sample={"champion": 0.01}), 100) == 1


@pytest.mark.parametrize("share", [-1, 0, 2, float("nan"), "0.5"])
def test_a_wrong_share_in_a_requests_own_schedule_is_refused_by_the_rendezvous_and_makes_nobody_decline(
    share: object,
) -> None:
    sample = Sample(NodeTopics("coop-1").task("nest"), "champion", qa=True)
    asked = Request(
        timestamp=0,
        message_id="0" * 32,
        request_id="0" * 32,
        return_address="a",
        deadline_ms=1,
        input=Input(),
        diagnostics=Diagnostics(schedule={**SCHEDULE, "sample": {"champion": share}}),
    )
    assert sample.asks_about(asked)


def test_what_cannot_be_used_and_a_cleared_topic_change_nothing() -> None:
    champion = told(Sample(NodeTopics("coop-1").task("nest"), "champion", qa=False), sample={"champion": 0.5})
    told(champion, sample={"champion": 2})
    for payload in (b"", b"rubbish"):
        champion.on_schedule(Delivery("schedule", payload))
    assert champion.share == 0.5
    assert told(champion).share == 1

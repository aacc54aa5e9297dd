"""Sorting what an operator hears of a device."""

from roost_broker.clock import SystemClock
from roost_broker.headers import new_header
from roost_broker.messages import Answer, Availability, DefaultAnswer, Message, ModelState, Result, RoleState, encode
from roost_broker.messages.device import Usage
from roost_provisioning.boot_test.heard import Heard

ID = "0123456789abcdef0123456789abcdef"


def head() -> dict[str, object]:
    made = new_header(SystemClock(), "coop-1", "test")
    return {"timestamp": made.timestamp, "message_id": made.message_id, "provenance": made.provenance}


def role(name: str, state: str, memory: int = 0) -> RoleState:
    usage = Usage(cpu_ms=1, memory_bytes=memory)
    return RoleState(**head(), role=name, state=state, session=1, usage=usage)  # type: ignore[arg-type]  # head() is of mixed types


def model(name: str, state: str) -> ModelState:
    return ModelState(**head(), model=name, state=state, session=1)  # type: ignore[arg-type]  # as above


def result(request_id: str, **said: Answer | DefaultAnswer) -> Result:
    return Result(**head(), request_id=request_id, cause="preferred", elapsed_ms=1, sla_ms=2000, **said)  # type: ignore[arg-type]  # as above


def fed(*messages: tuple[str, Message]) -> Heard:
    heard = Heard()
    for topic, message in messages:
        heard.feed(topic, encode(message))
    return heard


def test_the_newest_state_of_a_role_counts_and_models_are_named_with_their_task() -> None:
    heard = fed(
        ("roost/coop-1/roles/alerts", role("alerts", "starting")),
        ("roost/coop-1/roles/alerts", role("alerts", "ready")),
        ("roost/coop-1/roles/monitor", role("monitor", "failed")),
        ("roost/coop-1/henhouse/models/fast/state", model("fast", "ready")),
    )
    assert heard.ready() == {"alerts": 1, "henhouse/fast": 1}
    assert heard.unready() == {"monitor": "failed"}


def test_memory_is_the_sum_over_all_roles() -> None:
    heard = fed(
        ("roost/coop-1/roles/alerts", role("alerts", "ready", 10)),
        ("roost/coop-1/roles/alerts", role("alerts", "ready", 20)),
        ("roost/coop-1/roles/monitor", role("monitor", "ready", 7)),
    )
    assert heard.memory_bytes() == 27


def test_a_default_is_a_result_and_no_answer() -> None:
    answer = Answer(model="fast", version="1.0.0", label="egg", score=0.9)
    default = DefaultAnswer(label="unknown", reason="nobody in time")
    heard = fed(
        ("roost/coop-1/henhouse/results/nest", result(ID, default=default)),
        ("roost/coop-1/henhouse/results/nest", result(ID[::-1], answer=answer)),
    )
    assert set(heard.results) == {ID, ID[::-1]}
    assert [found.request_id for found in heard.answered()] == [ID[::-1]]


def test_a_device_that_goes_is_heard_as_offline() -> None:
    topic = "roost/coop-1/availability"
    heard = fed(
        (topic, Availability(**head(), state="online", session=1)),  # type: ignore[arg-type]  # as above
        (topic, Availability(**head(), state="offline", session=1)),  # type: ignore[arg-type]  # as above
    )
    assert heard.nodes["coop-1"].state == "offline"


def test_a_fleet_may_have_a_base_of_several_levels() -> None:
    heard = fed(
        ("farm/roost/coop-1/availability", Availability(**head(), state="online", session=1)),  # type: ignore[arg-type]  # as above
        ("farm/roost/coop-1/henhouse/models/fast/state/2", model("fast", "ready")),
    )
    assert set(heard.nodes) == {"coop-1"}
    assert heard.ready() == {"henhouse/fast": 1}


def test_what_is_no_message_of_ours_is_counted_and_harms_nothing() -> None:
    heard = Heard()
    for payload in (b"", b"{", b"\xff\xfe", b'{"schema": "roost.unknown/1"}'):
        heard.feed("roost/coop-1/availability", payload)
    heard.feed("odd", b"1")
    assert heard.unreadable == 4
    assert heard.nodes == {}

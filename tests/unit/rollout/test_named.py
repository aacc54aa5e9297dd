"""Which bundles a fleet still names: in slots, in schedules, as canaries."""

from story import NEW, OLD, report

from roost_broker.clock import VirtualClock
from roost_broker.headers import new_header
from roost_broker.messages import ModelState, OtaState, ScheduleSet, encode
from roost_models.rollout.named import named_by

HEAD = new_header(VirtualClock(), "coop-1", "test")
BASE = {"timestamp": HEAD.timestamp, "message_id": HEAD.message_id}
SCHEDULE = {
    "task": "nest",
    "sla_ms": 2000,
    "step": [{"after_ms": 0, "accept": ["champion"]}],
    "default": {"after_ms": 1900, "label": "unknown"},
}


def model(name: str, digest: str, state: str = "ready") -> tuple[str, str, bytes]:
    message = ModelState(**BASE, model=name, bundle=digest, state=state, session=1)  # type: ignore[arg-type]  # as given
    return "coop-1", f"roost/coop-1/nest/models/{name}/state", encode(message)


def schedule() -> tuple[str, str, bytes]:
    message = ScheduleSet(**BASE, task="nest", version="x", schedule=SCHEDULE)  # type: ignore[arg-type]  # as given
    return "coop-1", "roost/coop-1/nest/schedule", encode(message)


def test_a_model_of_a_schedule_and_a_canary_are_named_and_one_that_nobody_names_is_not() -> None:
    said = [schedule(), model("champion", OLD.digest), model("canary", NEW.digest), model("spare", "c" * 64)]
    assert {(one.digest, one.place) for one in named_by(said)} == {(OLD.digest, "schedule"), (NEW.digest, "canary")}


def test_a_model_that_is_gone_names_nothing() -> None:
    assert named_by([schedule(), model("champion", OLD.digest, "gone")]) == []


def test_what_lies_in_a_slot_is_named_unless_it_was_rejected() -> None:
    line = report(serves=True).line
    assert line is not None
    state = OtaState(**BASE, node="coop-1", version="0", lines=[line])  # type: ignore[arg-type]  # as given
    (one,) = named_by([("coop-1", "roost/coop-1/ota", encode(state))])
    assert (one.digest, one.place, one.model) == (NEW.digest, "active", "champion")


def test_bytes_that_are_no_message_and_a_schedule_that_cannot_be_hide_nothing_else() -> None:
    broken = ScheduleSet(**BASE, task="nest", version="x", schedule={"task": 1})  # type: ignore[arg-type]  # as given
    said = [
        ("coop-1", "roost/coop-1/nest/schedule", b"{"),
        ("coop-1", "roost/coop-1/nest/schedule", encode(broken)),
        model("canary", NEW.digest),
    ]
    assert [one.digest for one in named_by(said)] == [NEW.digest]

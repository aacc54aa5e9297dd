import msgspec
import pytest

from roost_broker.centre.envelope import Envelope
from roost_broker.centre.fleet import DeviceView, Fleet
from roost_broker.errors import Misuse
from roost_broker.messages import (
    Availability,
    Info,
    Message,
    ModelState,
    OtaLine,
    OtaSlot,
    OtaState,
    RoleState,
    encode,
)

MINUTE = 60_000
T0 = 1_800_000_000_000
HEAD = {"timestamp": T0, "message_id": "0" * 32}


class Story:
    """Says messages of devices to a fleet, each with the next number of its device."""

    def __init__(self, **bounds: int) -> None:
        self.fleet = Fleet(**bounds)  # type: ignore[arg-type]  # bounds are the keyword arguments
        self.seqs: dict[str, int] = {}

    def say(
        self,
        topic: str,
        message: Message | bytes,
        *,
        at: int = T0,
        seq: int = 0,
        outbox: str = "",
        late: int | None = None,
    ) -> bool:
        node = topic.split("/")[1]
        outbox = outbox or node[-1].encode().hex()[:1] * 32
        self.seqs[outbox] = seq or self.seqs.get(outbox, 0) + 1
        payload = message if isinstance(message, bytes) else encode(message)
        return self.fleet.handle(
            Envelope(topic, payload, node, outbox, "devices", self.seqs[outbox], at, late, True, None, at)
        )

    def one(self, node: str, now: int = T0) -> DeviceView:
        return next(view for view in self.fleet.view(now) if view.node == node)


def online(state: str = "online") -> Availability:
    return Availability(**HEAD, state=state, session=1)  # type: ignore[arg-type]  # one of two words


def test_a_device_that_said_so_is_online_with_what_runs_on_it() -> None:
    story = Story()
    story.say("roost/coop-1/availability", online())
    story.say("roost/coop-1/info", Info(**HEAD, node="coop-1", version="0.1.0", tasks=["henhouse"]))
    story.say("roost/coop-1/roles/capture", RoleState(**HEAD, role="capture", state="ready", session=1))
    story.say(
        "roost/coop-1/henhouse/models/champion/state",
        ModelState(**HEAD, model="champion", version="2", state="ready", session=1),
    )
    view = story.one("coop-1")
    assert (view.condition, view.version, view.tasks) == ("online", "0.1.0", ("henhouse",))
    assert view.roles == {"capture": "ready"}
    assert [(one.task, one.model, one.state) for one in view.models] == [("henhouse", "champion", "ready")]
    assert view.problems == ()


def test_one_that_says_online_and_nothing_more_for_long_is_silent() -> None:
    story = Story(silent_after_ms=15 * MINUTE)
    story.say("roost/coop-1/availability", online())
    assert story.one("coop-1", T0 + 15 * MINUTE - 1).condition == "online"
    view = story.one("coop-1", T0 + 15 * MINUTE)
    assert view.condition == "silent"
    assert view.problems == ("not heard for 15 min, though it says that it is online",)


def test_any_word_of_it_ends_its_silence() -> None:
    story = Story()
    story.say("roost/coop-1/availability", online())
    story.say("roost/coop-1/roles/x", RoleState(**HEAD, role="x", state="ready", session=1), at=T0 + 60 * MINUTE)
    assert story.one("coop-1", T0 + 61 * MINUTE).condition == "online"


def test_its_last_will_says_offline() -> None:
    story = Story()
    story.say("roost/coop-1/availability", online())
    story.say("roost/coop-1/availability", online("offline"))
    assert story.one("coop-1").condition == "offline"
    assert story.one("coop-1").problems == ("offline",)


def test_one_that_never_said_is_unknown() -> None:
    story = Story()
    story.say("roost/coop-1/info", Info(**HEAD, node="coop-1", version="1"))
    assert story.one("coop-1").condition == "unknown"


def test_an_older_message_of_the_same_outbox_changes_nothing() -> None:
    story = Story()
    assert story.say("roost/coop-1/availability", online("offline"), seq=5)
    assert not story.say("roost/coop-1/availability", online(), seq=4)
    assert story.one("coop-1").condition == "offline"
    assert story.fleet.counts["older"] == 1


def test_a_new_outbox_of_the_same_device_counts_from_its_first_message() -> None:
    story = Story()
    story.say("roost/coop-1/availability", online("offline"), seq=500)
    assert story.say("roost/coop-1/availability", online(), seq=1, outbox="f" * 32)
    assert story.one("coop-1").condition == "online"


def test_what_failed_or_is_gone_is_a_problem() -> None:
    story = Story()
    story.say("roost/coop-1/availability", online())
    story.say(
        "roost/coop-1/roles/capture", RoleState(**HEAD, role="capture", state="failed", session=1, detail="no camera")
    )
    story.say(
        "roost/coop-1/henhouse/models/champion/state", ModelState(**HEAD, model="champion", state="gone", session=1)
    )
    assert story.one("coop-1").problems == (
        "capture is failed: no camera",
        "model champion of henhouse is gone",
    )


def test_replicas_of_a_model_are_seen_each() -> None:
    story = Story()
    for replica in (1, 2):
        story.say(
            f"roost/coop-1/henhouse/models/slow/state/{replica}",
            ModelState(**HEAD, model="slow", state="ready", session=1, replica=replica),
        )
    assert len(story.one("coop-1").models) == 2


def test_bundles_and_their_phase_are_seen() -> None:
    slot = OtaSlot(slot="a", model="champion", bundle="hens", version="3", digest="0" * 64, state="active")
    line = OtaLine(task="henhouse", model="champion", bundle="hens", phase="shadow", wanted="4", slots=[slot])
    story = Story()
    story.say("roost/coop-1/ota", OtaState(**HEAD, node="coop-1", version="1", lines=[line], problem="registry away"))
    (seen,) = story.one("coop-1").lines
    assert (seen.active, seen.wanted, seen.phase) == ("3", "4", "shadow")
    assert "registry away" in story.one("coop-1").problems


def test_a_retained_state_that_was_cleared_is_forgotten() -> None:
    story = Story()
    topic = "roost/coop-1/henhouse/models/old/state"
    story.say(topic, ModelState(**HEAD, model="old", state="ready", session=1))
    story.say("roost/coop-1/roles/x", RoleState(**HEAD, role="x", state="ready", session=1))
    story.say(topic, b"")
    story.say("roost/coop-1/roles/x", b"")
    assert (story.one("coop-1").models, story.one("coop-1").roles) == ((), {})


def test_what_does_not_decode_is_counted_and_changes_nothing() -> None:
    story = Story()
    story.say("roost/coop-1/availability", online())
    assert not story.say("roost/coop-1/availability", b"\xff")
    assert story.one("coop-1").condition == "online"
    assert story.one("coop-1").malformed == 1


def test_how_late_the_newest_message_came_is_told() -> None:
    story = Story()
    story.say("roost/coop-1/availability", online(), late=120_000)
    assert story.one("coop-1").late_ms == 120_000
    story.say("roost/coop-1/info", Info(**HEAD, node="coop-1", version="1"))
    assert story.one("coop-1").late_ms == 0


def test_devices_beyond_the_bound_are_forgotten_the_one_silent_longest_first() -> None:
    story = Story(max_devices=2)
    for at, node in enumerate(("a", "b", "c")):
        story.say(f"roost/{node}/availability", online(), at=T0 + at)
    assert [view.node for view in story.fleet.view(T0)] == ["b", "c"]
    assert story.fleet.counts["forgotten"] == 1


def test_topics_of_one_device_are_bounded() -> None:
    story = Story(max_topics=1)
    story.say("roost/a/availability", online())
    assert not story.say("roost/a/roles/x", RoleState(**HEAD, role="x", state="ready", session=1))
    assert story.fleet.counts["too-many"] == 1


def test_the_view_is_one_json_object_a_device() -> None:
    story = Story()
    story.say("roost/coop-1/availability", online())
    assert msgspec.json.decode(msgspec.json.encode(story.one("coop-1")))["condition"] == "online"


def test_bounds_of_nothing_are_refused() -> None:
    with pytest.raises(Misuse):
        Fleet(max_devices=0)

from collections.abc import Iterable
from typing import Any

import pytest

from roost_broker.centre.access import NatsAccess
from roost_broker.centre.lanes import LANE_NAMES, LaneName
from roost_broker.clock import SECOND
from roost_broker.errors import Misuse
from roost_broker.gateway.budget import TokenBucket
from roost_broker.gateway.choosing import Choice
from roost_broker.gateway.dispatch import (
    Acked,
    Action,
    Ask,
    Dispatcher,
    Failed,
    Fates,
    GiveUp,
    LaneStanding,
    Linked,
    Load,
    Loaded,
    Noted,
    Renew,
    Send,
    Settle,
    Stored,
)
from roost_broker.gateway.rows import Row
from roost_broker.gateway.settings import GatewayFrames, GatewaySettings
from roost_broker.moments import Stamp

STAMP = Stamp("boot", 0, 0)


class Bench:
    """A dispatcher whose outbox answers at once and whose centre says nothing by itself."""

    def __init__(self, **wanted: Any) -> None:
        settings = GatewaySettings(**wanted)
        bucket = TokenBucket(settings.rate_bytes_s, settings.burst_bytes)
        self.core = Dispatcher(settings, {}, bucket)
        self.now = 0
        self.sent: list[tuple[LaneName, int]] = []
        self.other: list[Action] = []
        self.last: dict[LaneName, int] = dict.fromkeys(LANE_NAMES, 0)
        self.tell(Linked(True))
        for lane in LANE_NAMES:
            self.tell(Fates(lane, {}, 0))

    def tell(self, event: Any) -> None:
        self.take(self.core.handle(event, self.now))

    def take(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Send(row):
                    self.sent.append((row.lane, row.seq))
                case Load(lane, after):
                    end = min(self.last[lane], after + 100)
                    rows = (Row(lane, n, f"roost/n/t/{lane}", b"x" * 600, STAMP) for n in range(after + 1, end + 1))
                    self.tell(Loaded(lane, after, tuple(rows)))
                case _:
                    self.other.append(action)

    def store(self, lane: LaneName, count: int) -> None:
        self.last[lane] += count
        self.tell(Stored({lane: self.last[lane]}))

    def open(self, lane: LaneName) -> None:
        self.store(lane, 1)
        self.tell(Acked(lane, 1, 1))
        self.sent.clear()


def test_a_fresh_alert_overtakes_the_backlog() -> None:
    bench = Bench(window_bytes=131_072)
    bench.open("scores")
    bench.store("scores", 100_000)
    before = len(bench.sent)
    assert 0 < before <= 131
    bench.store("alerts", 1)
    assert bench.sent[before:] == [("alerts", 1)], "although the window of the others is full"


def test_lanes_go_in_the_order_of_their_priority() -> None:
    bench = Bench()
    bench.tell(Linked(False))
    for lane in reversed(LANE_NAMES):
        bench.store(lane, 1)
    bench.tell(Linked(True))
    for lane in reversed(LANE_NAMES):
        bench.tell(Fates(lane, {}, 0))
    bench.sent.clear()
    for lane, _ in [*bench.sent]:
        bench.tell(Acked(lane, 1, 1))
    assert bench.core.flying == len(LANE_NAMES)


def test_the_byte_rate_is_kept_and_the_deadline_names_the_next_moment() -> None:
    bench = Bench(rate_bytes_s=10_000, burst_bytes=16_384)
    bench.open("inputs")
    bench.store("inputs", 60)
    first = len(bench.sent)
    assert first <= 16
    due = bench.core.deadline()
    assert due is not None
    assert 0 < due <= SECOND
    bench.now = due
    bench.take(bench.core.expire(bench.now))
    assert len(bench.sent) == first + 1


def test_on_a_metered_link_only_what_is_meant_for_it_travels() -> None:
    bench = Bench(metered=True, metered_lanes=("alerts",))
    bench.store("inputs", 5)
    bench.store("alerts", 1)
    assert bench.sent == [("alerts", 1)]
    assert bench.core.waiting == 6


def test_a_lane_without_a_stream_waits_alone() -> None:
    bench = Bench()
    bench.store("scores", 3)
    bench.tell(Failed("scores", 1, "no-stream"))
    assert Noted("failed-no-stream") in bench.other
    bench.open("inputs")
    bench.store("inputs", 2)
    assert bench.sent == [("inputs", 2), ("inputs", 3)]
    bench.now = bench.core.deadline() or 0
    bench.take(bench.core.expire(bench.now))
    assert Ask("scores", 0) in bench.other


def test_a_message_that_can_never_go_becomes_a_gap_and_the_rest_goes_on() -> None:
    bench = Bench()
    bench.store("inputs", 2)
    bench.tell(Failed("inputs", 1, "too-large", forever=True))
    assert GiveUp("inputs", 1) in bench.other
    assert Noted("given-up-too-large") in bench.other
    assert bench.sent[-1] == ("inputs", 1), "its gap goes in its place"


def test_settled_is_told_once_with_its_place() -> None:
    bench = Bench()
    bench.store("inputs", 3)
    bench.tell(Acked("inputs", 1, 17))
    bench.tell(Acked("inputs", 3, 19))
    bench.tell(Acked("inputs", 2, 18))
    assert [action for action in bench.other if isinstance(action, Settle)] == [
        Settle("inputs", 1, 17),
        Settle("inputs", 3, 19),
    ]


def test_a_stream_that_is_ahead_asks_for_a_new_name() -> None:
    bench = Bench()
    bench.store("inputs", 1)
    bench.tell(Linked(False))
    bench.tell(Linked(True))
    bench.tell(Fates("inputs", {7: 7}, 7))
    assert bench.other[-2:] == [Noted("outbox-went-back"), Renew("inputs")]


def test_pictures_wait_while_a_message_may_travel_and_not_for_one_that_may_not() -> None:
    bench = Bench(metered=True, metered_lanes=("alerts",))
    bench.store("inputs", 5)
    assert bench.core.idle
    bench.store("alerts", 1)
    assert not bench.core.idle
    bench.tell(Acked("alerts", 1, 1))
    assert bench.core.idle


# -- what is chosen -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "lane"),
    [
        ("roost/n/nest/input", "inputs"),
        ("roost/n/nest/results/capture", "results"),
        ("roost/n/roles/gateway", "devices"),
        ("roost/n/nest/raw", None),
        ("roost/n/nest/receipts", None),
        ("roost/n/request/ota", None),
        ("elsewhere/n/nest/input", None),
        ("roost/not a name/nest/input", None),
    ],
)
def test_what_is_mirrored_by_default(topic: str, lane: str | None) -> None:
    choice = Choice(GatewaySettings(), base="roost", node="n")
    assert choice.lane(topic) == lane
    assert choice.lane(topic) == lane, "the second time from memory"


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        ("roost/n/request/ota", True),
        ("roost/n/nest/schedule", False),
        ("roost/other/request/ota", False),
        ("roost/n/request/+", False),
        ("homeassistant/n/request/ota", False),
    ],
)
def test_what_may_come_down_by_default(topic: str, allowed: bool) -> None:
    assert Choice(GatewaySettings(), base="roost", node="n").may_come_down(topic) is allowed


def test_all_devices_of_a_broker_are_one_filter() -> None:
    assert Choice(GatewaySettings(nodes=("+",)), base="roost", node="n").filters == ("roost/+/#",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"nodes": ("a", "a")},
        {"nodes": ("+", "a")},
        {"lanes": ("alerts", "alerts")},
        {"leave_out": ("a#",)},
        {"down": ("/request",)},
        {"window": 0},
        {"max_bytes": 5},
        {"rate_bytes_s": 1},
        {"gather_ms": -1},
    ],
)
def test_settings_that_cannot_be_are_refused_with_a_remedy(wrong: dict[str, Any]) -> None:
    with pytest.raises(Misuse) as caught:
        GatewaySettings(**wrong)
    assert caught.value.remedy


@pytest.mark.parametrize("hours", ["22-05", "24:00-05:00", "22:00-05:60", ""])
def test_hours_that_are_none_are_refused(hours: str) -> None:
    with pytest.raises(Misuse, match="night"):
        GatewayFrames(night=hours)


def test_beyond_this_machine_nothing_travels_in_the_clear() -> None:
    with pytest.raises(Misuse, match="not encrypted"):
        GatewaySettings(centre=NatsAccess(urls=("nats://centre.example:4222",)))


def test_a_number_that_the_centre_has_of_a_twin_makes_the_outbox_take_a_new_name() -> None:
    bench = Bench()
    bench.core.handle(Stored({"inputs": 1}), 0)
    bench.last["inputs"] = 1
    bench.tell(Stored({"inputs": 1}))
    bench.take(bench.core.handle(Loaded("inputs", 0, (Row("inputs", 1, "roost/n/t/input", b"x", STAMP),)), 0))
    assert bench.core.handle(Acked("inputs", 1, 9, True), 0) == (Noted("outbox-has-twin"), Renew("inputs"))


def test_a_lane_takes_its_new_name_when_nothing_of_it_is_on_its_way_and_the_others_go_on() -> None:
    bench = Bench()
    bench.store("inputs", 1)
    bench.tell(Acked("inputs", 1, 1))
    bench.store("inputs", 2)
    bench.tell(Acked("inputs", 2, 9, True))
    assert Renew("inputs") not in bench.other, "what becomes of the third is not known yet"
    bench.store("scores", 1)
    assert ("scores", 1) in bench.sent
    bench.tell(Acked("inputs", 3, 10))
    assert bench.other[-1] == Renew("inputs")
    due = bench.core.deadline()
    assert due is not None
    assert Renew("inputs") in bench.core.expire(due), "the centre did not tell what it has: again"
    bench.core.renewed("inputs", LaneStanding(0, 1))
    bench.last["inputs"] = 1
    bench.sent.clear()
    bench.tell(Linked(False))
    bench.tell(Linked(True))
    bench.tell(Fates("inputs", {}, 10))
    assert ("inputs", 1) in bench.sent

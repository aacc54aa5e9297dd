"""Episodes as messages: within the bounds of the wire, worst first, each where it belongs."""

from typing import Any

from roost_broker.clock import VirtualClock
from roost_broker.headers import new_header
from roost_broker.messages import MAX_BYTES, Alarm, decode, encode
from roost_rendezvous.analytics.alarms.episode import Contribution, Episode, Marker
from roost_rendezvous.analytics.watch.overview import Overview
from roost_rendezvous.monitor.alarm_messages import changed, listed

HEADER = new_header(VirtualClock(), "coop-1", "monitor")
LONG = "ü" * 1_000


def episode(number: int, **more: Any) -> Episode:
    parts = [
        Contribution(
            signal=f"{LONG}{n}", task="t", kind="score", subject="model", of="champion", nines=3.0, sentence=LONG
        )
        for n in range(40)
    ]
    given: dict[str, Any] = {"task": "t", "nines": 3.0, "per_week": 0.123456, "contributions": tuple(parts)}
    given["markers"] = tuple(Marker(at=1, text=LONG) for _ in range(40))
    return Episode(id=f"{number:016x}", opened=5_000_000, updated=6_000_000, reasons=(LONG,) * 40, **given | more)


def test_however_much_is_strange_at_once_the_list_fits_into_a_message() -> None:
    judged = ("no name", *(f"m{number:03}".ljust(32, "x") for number in range(1_000)))
    message = listed("t", Overview(episodes=tuple(map(episode, range(100))), signals=7, able=3, judged=judged), HEADER)
    payload = encode(message)
    assert len(payload) <= MAX_BYTES
    assert decode(payload) == message
    assert (len(message.open), len(message.judged), message.judged[0]) == (12, 256, f"m000{'x' * 28}")


def test_a_list_holds_the_open_alarms_of_its_task_unknown_ones_first_and_rare_ones_before_common_ones() -> None:
    episodes = (
        episode(1, per_week=5.0),
        episode(2, per_week=0.1),
        episode(3, per_week=0.01, state="acknowledged"),
        episode(4, state="ended"),
        episode(5, task=""),
    )
    told = listed("t", Overview(episodes=episodes), HEADER)
    assert [int(one.alarm_id, 16) for one in told.open] == [2, 1, 3]
    assert [int(one.alarm_id, 16) for one in listed("", Overview(episodes=episodes), HEADER).open] == [5]


def test_a_change_tells_whose_model_it_is_about_in_milliseconds() -> None:
    message = changed("opened", episode(1, acknowledged=7_000_000, acknowledged_by="ana"), HEADER)
    assert isinstance(decode(encode(message)), Alarm)
    assert (message.alarm.opened_at, message.alarm.acknowledged_at, message.alarm.per_week) == (5, 7, 0.123)
    assert message.alarm.signals[0].about == "champion"

"""The trigger: which frame of which event is asked about."""

import pytest

from roost_broker.clock import MS, SECOND
from roost_edge.capture.settings import CaptureSettings
from roost_edge.capture.trigger import Began, Ended, FrameJudged, Skipped, Take, Trigger

MOVING, STILL = FrameJudged(moving=True), FrameJudged(moving=False)


def feed(trigger: Trigger, frames: list[FrameJudged], *, start: int = 0, step: int = 100 * MS) -> list[tuple]:
    """Actions per frame, at ten frames a second."""
    seen = []
    for index, frame in enumerate(frames):
        now = start + index * step
        seen.append((*trigger.expire(now), *trigger.handle(frame, now)))
    return seen


def test_the_frame_that_triggers_is_the_frame_that_is_taken() -> None:
    assert feed(Trigger(CaptureSettings()), [STILL, MOVING]) == [(), (Began(), Take(1))]


def test_while_it_goes_on_frames_are_taken_at_the_interval() -> None:
    actions = feed(Trigger(CaptureSettings(interval_ms=300)), [MOVING] * 7)
    assert [index for index, found in enumerate(actions) if any(isinstance(a, Take) for a in found)] == [0, 3, 6]
    assert actions[1] == (Skipped("interval"),)


def test_an_event_takes_no_more_than_its_limit_and_the_next_event_starts_anew() -> None:
    trigger = Trigger(CaptureSettings(interval_ms=0, max_per_event=2, event_quiet_ms=200))
    actions = feed(trigger, [MOVING] * 3 + [STILL] * 3 + [MOVING])
    assert actions[2] == (Skipped("event-limit"),)
    assert actions[4] == (Ended(),)
    assert actions[6] == (Began(), Take(1))


def test_a_short_pause_does_not_end_an_event() -> None:
    trigger = Trigger(CaptureSettings(interval_ms=0, event_quiet_ms=2000))
    actions = feed(trigger, [MOVING, *[STILL] * 18, MOVING])
    assert actions[19] == (Take(2),)


def test_a_bird_that_returns_exactly_when_the_event_is_over_begins_a_new_one() -> None:
    trigger = Trigger(CaptureSettings(interval_ms=0, event_quiet_ms=1000))
    trigger.handle(MOVING, 0)
    assert trigger.deadline() == 1 * SECOND
    assert trigger.expire(1 * SECOND - 1) == ()
    assert trigger.expire(1 * SECOND) == (Ended(),)
    assert trigger.expire(1 * SECOND) == ()
    assert trigger.handle(MOVING, 1 * SECOND) == (Began(), Take(1))


def test_without_room_a_frame_is_skipped_by_name_and_the_next_with_room_is_taken() -> None:
    trigger = Trigger(CaptureSettings(interval_ms=1000))
    assert trigger.handle(FrameJudged(moving=True, room=False), 0) == (Began(), Skipped("backpressure"))
    assert trigger.handle(MOVING, 1) == (Take(1),)


def test_finished_in_an_event_the_event_ends_once() -> None:
    trigger = Trigger(CaptureSettings())
    trigger.handle(MOVING, 0)
    assert trigger.finish() == (Ended(),)
    assert trigger.finish() == ()
    assert trigger.deadline() is None


@pytest.mark.parametrize("fields", [{"max_open": 0}, {"stall_s": 0}, {"republish_max_ms": 100}, {"jpeg_quality": 101}])
def test_settings_that_cannot_work_are_refused(fields: dict) -> None:
    with pytest.raises(ValueError, match=r"between|less than"):
        CaptureSettings(**fields)

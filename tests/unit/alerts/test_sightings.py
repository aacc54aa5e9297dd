import itertools
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.clock import SECOND
from roost_broker.messages import FrameRef
from roost_edge.alerts.settings import AlertSettings
from roost_edge.alerts.sightings import (
    REMEMBERED,
    Announce,
    Forget,
    Ignored,
    Picture,
    Remember,
    ResultSeen,
    Save,
    Sightings,
)

FRAME = FrameRef(sha256="a" * 64, bytes=10, path="aa/a.jpg", width=640, height=480)
SETTINGS = AlertSettings(
    quiet_labels=("empty_nest",),
    min_score=0.5,
    update_interval_s=10,
    end_after_s=60,
    cooldown_s=30,
    stale_after_s=900,
    max_open=2,
)


def seen(number, label="buff_orpington", *, score=0.9, camera="nest", age_s=0, frame=None, worth=""):
    return ResultSeen(
        request_id=f"{number:032x}",
        task="henhouse",
        camera=camera,
        label=label,
        score=score,
        at_ms=1_000_000 + number,
        age_ns=age_s * SECOND,
        frame=frame,
        tags={"worth": worth} if worth else {},
    )


def announced(actions):
    return [
        (action.type, action.sighting.label, action.sighting.requests)
        for action in actions
        if isinstance(action, Announce)
    ]


def test_a_first_result_begins_a_sighting_with_its_picture_and_everything_is_kept():
    core = Sightings(SETTINGS)
    new, save, picture, remember = core.handle(seen(1, frame=FRAME), now=5)
    assert isinstance(new, Announce)
    assert new.type == "new"
    assert new.sighting.alert_id == f"{1:032x}"
    assert save == Save(new.sighting, f"{1:032x}")
    assert picture == Picture("nest", "buff_orpington", FRAME, f"{1:032x}")
    assert remember == Remember(f"{1:032x}")


def test_of_pictures_that_are_as_sure_as_each_other_the_one_that_shows_most_is_shown():
    core = Sightings(SETTINGS)
    burst = [(1, 0.93, "0.4"), (2, 0.91, "1.8"), (3, 0.94, "1.1"), (4, 0.62, "9.9")]
    shown = []
    for number, score, worth in burst:
        actions = core.handle(seen(number, score=score, worth=worth, frame=FRAME), now=number)
        shown += [action.caused_by for action in actions if isinstance(action, Picture)]
    assert shown == [f"{1:032x}", f"{2:032x}"]
    (sighting,) = core.open
    assert (sighting.best_request_id, sighting.score) == (f"{2:032x}", 0.91)


@pytest.mark.parametrize("unreadable", ["much", "nan", "inf", "-3"])
def test_a_worth_that_says_nothing_leaves_it_to_the_score(unreadable):
    core = Sightings(SETTINGS)
    core.handle(seen(1, score=0.91, frame=FRAME), now=0)
    core.handle(seen(2, score=0.93, worth=unreadable, frame=FRAME), now=1)
    core.handle(seen(3, score=0.92, worth=unreadable, frame=FRAME), now=2)
    assert [one.best_request_id for one in core.open] == [f"{2:032x}"]


def test_a_sighting_goes_on_with_updates_no_oftener_than_its_interval_and_ends_after_silence():
    core = Sightings(SETTINGS)
    core.handle(seen(0), now=0)
    told = []
    for second in range(1, 31):
        told += announced(core.handle(seen(second), now=second * SECOND))
    assert told == [
        ("update", "buff_orpington", 11),
        ("update", "buff_orpington", 21),
        ("update", "buff_orpington", 31),
    ]
    assert core.deadline() == 90 * SECOND
    assert core.expire(90 * SECOND - 1) == ()
    assert announced(core.expire(90 * SECOND)) == [("end", "buff_orpington", 31)]
    assert core.open == ()


def test_the_end_tells_the_best_result_and_the_whole_span():
    core = Sightings(SETTINGS)
    core.handle(seen(1, score=0.6), now=0)
    better = core.handle(seen(2, score=0.8, frame=FRAME), now=1)
    assert Picture("nest", "buff_orpington", FRAME, f"{2:032x}") in better
    core.handle(seen(3, score=0.7), now=2)
    (end,) = (action for action in core.expire(100 * SECOND) if isinstance(action, Announce))
    assert (end.sighting.score, end.sighting.best_request_id, end.sighting.frame) == (0.8, f"{2:032x}", FRAME)
    assert (end.sighting.started_ms, end.sighting.last_ms, end.sighting.requests) == (1_000_001, 1_000_003, 3)


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (seen(1, label=None), "default"),
        (seen(1, label="empty_nest"), "quiet"),
        (seen(1, score=0.49), "low-score"),
        (seen(1, score=float("nan")), "low-score"),
        (seen(1, age_s=901), "stale"),
    ],
)
def test_a_result_that_is_no_news_changes_nothing_and_says_why(event, outcome):
    core = Sightings(SETTINGS)
    assert core.handle(event, now=0) == (Ignored(outcome, event.request_id),)
    assert core.open == ()
    assert core.deadline() is None


def test_a_repeated_result_is_named_a_duplicate_even_after_its_sighting_was_forgotten():
    core = Sightings(SETTINGS)
    core.handle(seen(1), now=0)
    assert core.handle(seen(1), now=1) == (Ignored("duplicate", f"{1:032x}"),)
    core.expire(1000 * SECOND)
    assert core.handle(seen(1), now=1000 * SECOND) == (Ignored("duplicate", f"{1:032x}"),)


def test_a_return_within_the_cooldown_makes_no_alert_and_after_it_a_new_one():
    core = Sightings(SETTINGS)
    core.handle(seen(1), now=0)
    core.expire(60 * SECOND)
    assert core.handle(seen(2), now=70 * SECOND) == (Ignored("cooling", f"{2:032x}"),)
    assert core.expire(90 * SECOND) == (Forget(("henhouse", "nest", "buff_orpington"), "expiry"),)
    assert announced(core.handle(seen(3), now=90 * SECOND)) == [("new", "buff_orpington", 1)]


def test_an_end_noticed_late_cools_from_when_it_was_due():
    core = Sightings(SETTINGS)
    core.handle(seen(1), now=0)
    end, _, forget = core.expire(500 * SECOND)
    assert end.type == "end"
    assert isinstance(forget, Forget)


def test_labels_cameras_and_tasks_are_separate_sightings():
    core = Sightings(AlertSettings())
    core.handle(seen(1, "egg"), now=0)
    core.handle(seen(2, "blue_jay"), now=0)
    core.handle(seen(3, "egg", camera="yard"), now=0)
    assert len(core.open) == 3


def test_one_sighting_too_many_ends_the_one_that_was_silent_for_longest():
    core = Sightings(SETTINGS)
    core.handle(seen(1, "egg"), now=0)
    core.handle(seen(2, "blue_jay"), now=1)
    core.handle(seen(3, "egg"), now=2)
    assert announced(core.handle(seen(4, "open_door"), now=3)) == [("end", "blue_jay", 1), ("new", "open_door", 1)]
    assert {one.label for one in core.open} == {"egg", "open_door"}


def test_a_restart_in_the_same_boot_ends_the_sighting_when_it_would_have_ended_anyway():
    first, second = Sightings(SETTINGS), Sightings(SETTINGS)
    first.handle(seen(1), now=10)
    second.restore(first.open, (f"{1:032x}",), 50 * SECOND, same_boot=True)
    assert second.deadline() == 60 * SECOND + 10
    assert second.handle(seen(1), now=50 * SECOND) == (Ignored("duplicate", f"{1:032x}"),)


def test_after_a_new_boot_silence_is_counted_from_the_restart():
    first, second = Sightings(SETTINGS), Sightings(SETTINGS)
    first.handle(seen(1), now=10**18)
    second.restore(first.open, (), 7, same_boot=False)
    assert second.deadline() == 60 * SECOND + 7


@pytest.mark.parametrize(
    "bad",
    [
        {"min_score": 1.1},
        {"min_score": float("nan")},
        {"end_after_s": 0},
        {"max_open": 0},
        {"snapshot_max_bytes": 70_000},
        {"expiry_s": 0},
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_name_and_the_range(bad):
    with pytest.raises(ValueError, match=next(iter(bad))) as refused:
        AlertSettings(**bad)
    assert "between" in str(refused.value)


# What may happen: a result (label, score, camera), after some time; or nothing but time.
STEPS = st.lists(
    st.tuples(
        st.integers(0, 80 * SECOND),
        st.one_of(
            st.none(),
            st.builds(
                lambda number, label, score, camera: seen(number, label, score=score, camera=camera),
                st.integers(0, 60),
                st.sampled_from([None, "egg", "blue_jay", "buff_orpington", "empty_nest"]),
                st.floats(0, 1),
                st.sampled_from(["nest", "yard"]),
            ),
        ),
        st.booleans(),
    ),
    max_size=60,
)


class Kept:
    """What a shell would keep, so that a crash may come after any step."""

    def __init__(self):
        self.sightings = {}
        self.remembered = []

    def take(self, actions):
        for action in actions:
            match action:
                case Save(sighting, _):
                    self.sightings[sighting.key] = sighting
                case Forget(key, _):
                    del self.sightings[key]
                case Remember(request_id):
                    self.remembered.append(request_id)


@given(steps=STEPS, same_boot=st.booleans())
def test_whatever_comes_each_sighting_is_new_once_then_updates_then_ends_once_also_across_crashes(steps, same_boot):
    core, kept, now = Sightings(SETTINGS), Kept(), 0
    told = defaultdict(list)
    handled = Counter()

    def take(actions):
        kept.take(actions)
        for action in actions:
            assert action.caused_by
            if isinstance(action, Announce):
                told[action.sighting.alert_id].append((now, action))

    for wait, event, crash in steps:
        now += wait
        take(core.expire(now))
        if event is not None:
            actions = core.handle(event, now)
            take(actions)
            handled["ignored" if isinstance(actions[0], Ignored) else "counted"] += 1
        if crash:
            core = Sightings(SETTINGS)
            core.restore(tuple(kept.sightings.values()), tuple(kept.remembered), now, same_boot=same_boot)
        assert len(core.open) <= SETTINGS.max_open
        assert len(kept.sightings) <= 2 * SETTINGS.max_open + 1
        assert (core.deadline() is None) == (not kept.sightings)
    take(core.expire(now + 10**15))

    counted = 0
    for story in told.values():
        types = [action.type for _, action in story]
        assert types[0] == "new"
        assert types[-1] == "end"
        assert set(types[1:-1]) <= {"update"}
        counted += story[-1][1].sighting.requests
        assert story[0][1].sighting.label not in (None, "empty_nest")
        told_at = [at for at, action in story if action.type != "end"]
        assert all(later - earlier >= 10 * SECOND for earlier, later in itertools.pairwise(told_at))
    assert counted == handled["counted"]  # every result that was not ignored is in exactly one sighting
    assert kept.sightings == {}


def test_no_more_than_the_newest_request_ids_are_remembered():
    core = Sightings(SETTINGS)
    for number in range(REMEMBERED + 1):
        core.handle(seen(number), now=number)
    assert core.handle(seen(1), now=REMEMBERED + 1) == (Ignored("duplicate", f"{1:032x}"),)
    assert not isinstance(core.handle(seen(0), now=REMEMBERED + 1)[0], Ignored)

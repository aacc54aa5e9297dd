"""The story: lively at once, continuous, and the same whenever it is asked for."""

from itertools import pairwise

from roost_henhouse.box import EGG_PLACES
from roost_henhouse.story import DAY_S, Story, plan_day
from roost_henhouse.truth import BIRDS, HENS

NEST = (0.45, 0.8)
SEEDS = range(25)


def test_in_the_first_minute_all_birds_come_by_and_the_door_opens() -> None:
    for seed in SEEDS:
        moments = [Story(seed).at(t / 5, NEST) for t in range(300)]
        seen = {m.bird.kind for m in moments if m.bird}
        assert seen == set(BIRDS), seed
        assert max(m.door for m in moments) == 1.0
        busy = sum(1 for m in moments if m.bird or m.stirring) / len(moments)
        assert 0.5 < busy < 0.9


def test_the_story_begins_quietly_so_that_a_motion_detector_learns_what_nothing_is() -> None:
    for seed in SEEDS:
        opening = [Story(seed).at(t / 10, NEST) for t in range(25)]
        assert not any(m.bird or m.stirring for m in opening)


def test_visits_do_not_overlap_and_end_within_the_day() -> None:
    for seed in SEEDS:
        for number in range(3):
            visits = plan_day(seed, number).visits
            assert all(a.end < b.start for a, b in pairwise(visits))
            assert visits[-1].end < DAY_S
            assert all(6 <= v.end - v.start <= 20 for v in visits)


def test_birds_move_in_small_steps_from_frame_to_frame() -> None:
    story = Story(3)
    moments = [story.at(t / 10, NEST) for t in range(int(DAY_S) * 10)]
    for before, now in pairwise(moments):
        if before.bird and now.bird:
            assert before.bird.individual == now.bird.individual
            assert abs(before.bird.x - now.bird.x) < 0.12
            assert abs(before.bird.y - now.bird.y) < 0.05
        assert abs(before.door - now.door) < 0.2


def test_birds_come_and_go_outside_the_picture() -> None:
    for visit in plan_day(1, 0).visits:
        for at in (visit.start, visit.end - 0.01):
            bird = Story(1).at(at, NEST).bird
            assert bird is not None
            assert bird.x < -0.1 or bird.x > 1.1


def test_eggs_change_one_at_a_time_only_jays_steal_and_the_next_day_begins_empty() -> None:
    stolen = laid = 0
    for seed in SEEDS:
        day = plan_day(seed, 0)
        counts = [count for _, count in day.eggs]
        assert [when for when, _ in day.eggs] == sorted(when for when, _ in day.eggs)
        assert all(abs(a - b) == 1 for a, b in pairwise(counts))
        assert max(counts) <= EGG_PLACES
        assert counts[0] == counts[-1] == 0
        for visit in day.visits:
            if visit.egg_at is not None:
                assert visit.start < visit.egg_at < visit.end
                stolen += visit.kind == "blue_jay"
                laid += visit.kind in HENS
    assert stolen > len(SEEDS) // 2
    assert laid > stolen


def test_no_jay_comes_at_night() -> None:
    for seed in SEEDS:
        for t in range(0, int(DAY_S) * 2):
            moment = Story(seed).at(t / 2, NEST)
            assert not (moment.night and moment.bird and moment.bird.kind == "blue_jay")


def test_each_day_is_told_differently() -> None:
    plans = [plan_day(1, number).visits for number in range(4)]
    assert len({tuple(v.kind for v in visits) + tuple(v.start for v in visits) for visits in plans}) == 4

"""Scores by frame and by event, on sequences that can be counted by hand."""

from roost_edge.motion.score import Moment, Score, score


def film(true: str, found: str) -> list[Moment]:
    """Ten frames a second; `#` is yes, `.` no, `~` open."""
    meaning = {"#": True, ".": False, "~": None}
    return [Moment(100 * n, meaning[t], f == "#") for n, (t, f) in enumerate(zip(true, found, strict=True))]


def test_a_visit_that_is_seen_late_is_found_with_its_latency() -> None:
    one = score(film("...#####...", ".....###..."), 500)
    assert (one.events_found, one.events_missed, one.events_false) == (1, 0, 0)
    assert one.latency_ms == 200
    assert (one.frames_found, one.frames_missed, one.frames_false, one.frames_right) == (3, 2, 0, 6)


def test_who_always_says_motion_finds_one_event_of_three() -> None:
    one = score(film("##........##........##", "#" * 22), 500)
    assert (one.events_found, one.events_missed, one.events_false) == (1, 2, 0)


def test_one_visit_told_twice_is_a_fragment_and_not_a_false_event() -> None:
    one = score(film("####################", "##..............####"), 500)
    assert (one.events_found, one.fragments, one.events_false) == (1, 1, 0)


def test_an_event_where_nothing_is_is_false() -> None:
    one = score(film("....................", "....##.............."), 500)
    assert (one.events_found, one.events_missed, one.events_false) == (0, 0, 1)
    assert one.event_f1 == 0


def test_within_open_frames_nothing_is_held_against_anybody() -> None:
    one = score(film("......~~~~~~........", "......####.........."), 500)
    assert one == Score(frames_right=14)
    assert one.event_f1 is None


def test_runs_parted_by_open_frames_only_are_one_event() -> None:
    one = score(film("###~~~~~~~~###......", "###................."), 500)
    assert (one.events_found, one.events_missed) == (1, 0)


def test_scores_of_clips_add_up() -> None:
    both = score(film("..##..", "..##.."), 500) + score(film("..##..", "......"), 500)
    assert (both.events_found, both.events_missed) == (1, 1)
    assert both.precision == 1
    assert both.recall == 0.5

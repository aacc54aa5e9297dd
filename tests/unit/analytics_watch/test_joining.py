"""Messages of one request become one row, once."""

from roost_rendezvous.analytics.watch.joining import Joining
from roost_rendezvous.analytics.watch.observed import Asked, Decided, Said, Told

SECOND = 1_000_000_000
SETTLE = 10 * SECOND


def joining(most: int = 100) -> Joining:
    return Joining(settle=SETTLE, most=most)


def asked(request: str, heard: int = 0, *, copy: str = "", saw: str = "", ago: int = 0) -> Asked:
    came = ({"camera": "nest"}, {"x": 1.0}, {"door": "open"})
    return Asked(heard, f"{request}a{copy}", "t", request, heard, saw, ago, 2_000, 1, *came)


def said(request: str, model: str, heard: int = 0, *, reason: str = "", saw: str = "", copy: str = "") -> Said:
    scores = {} if reason else {"hen": 0.9, "jay": 0.1}
    return Said(heard, f"{request}{model}{copy}", "t", request, heard, model, "1", scores, 4.0, 1, reason, saw)


def decided(request: str, heard: int = 0, *told: Told, cohort: str = "") -> Decided:
    answer = ("champion", "hen", 0.9)
    timing = (50.0, 2_000, False, cohort, None, "1")
    return Decided(heard, f"{request}r", "t", request, heard, *answer, "preferred", *timing, told, {"camera": "nest"})


def told(model: str, status: str = "answered", elapsed: float | None = 7.0) -> Told:
    return Told(model, "1", status, elapsed, "", False)


def test_a_request_that_has_been_quiet_for_long_enough_is_one_row_with_every_models_word() -> None:
    core = joining()
    champion, slow, away = told("champion"), told("slow", "pending", None), told("away", "pending", None)
    core.handle(asked("1"))
    core.handle(said("1", "champion", 1))
    core.handle(decided("1", 2, champion, slow, away, cohort="champion"))
    core.handle(said("1", "slow", 3 * SECOND))
    core.handle(said("1", "picky", 3 * SECOND, reason="behind"))
    assert core.expire(12 * SECOND) == ()
    [row] = core.expire(13 * SECOND)
    words = {word.model: (word.outcome, word.elapsed_ms) for word in row.words}
    assert words == {
        "champion": ("answered", 7.0),
        "slow": ("late", 3_000.0),
        "away": ("absent", None),
        "picky": ("declined", None),
    }
    assert (row.answered_by, row.label, row.cause, row.deadline_ms) == ("champion", "hen", "preferred", 2_000)
    assert (row.input, row.state, row.tags) == ({"x": 1.0}, {"door": "open"}, {"camera": "nest", "cohort": "champion"})


def test_a_late_answer_took_as_long_as_its_model_however_long_the_request_waited_for_the_monitor() -> None:
    core = joining()
    core.handle(asked("1", ago=3_600 * SECOND))
    core.handle(decided("1", 2, told("slow", "pending", None)))
    core.handle(said("1", "slow", 3 * SECOND))
    [row] = core.expire(20 * SECOND)
    assert [word.elapsed_ms for word in row.words] == [3_000.0]


def test_what_is_delivered_again_changes_nothing_before_and_after_the_row() -> None:
    core = joining()
    for _ in range(2):
        core.handle(asked("1"))
        core.handle(said("1", "champion"))
    core.handle(said("1", "champion", copy="again"))  # another message with another word: the first counts
    assert core.fresh == 2
    assert core.counts["duplicate"] == 2
    assert len(core.expire(20 * SECOND)) == 1
    core.handle(said("1", "champion", 21 * SECOND))
    core.handle(asked("1", 21 * SECOND))
    assert core.expire(99 * SECOND) == ()
    assert (core.counts["late-word"], core.counts["after-settling"], core.counts["rows"]) == (1, 1, 1)


def test_an_answer_to_another_input_is_no_answer_to_this_one() -> None:
    core = joining()
    core.handle(asked("1", saw="one"))
    core.handle(said("1", "honest", saw="one"))
    core.handle(said("1", "other", saw="two"))
    [row] = core.expire(20 * SECOND)
    assert {word.model: (word.outcome, word.reason) for word in row.words} == {
        "honest": ("answered", ""),
        "other": ("absent", "other-input"),
    }


def test_words_whose_request_was_never_heard_make_no_row_and_a_result_alone_does() -> None:
    core = joining()
    core.handle(said("1", "champion"))
    core.handle(decided("2"))
    [row] = core.expire(20 * SECOND)
    assert (row.request_id, core.counts["no-request"]) == ("2", 1)


def test_of_more_open_requests_than_there_is_room_the_oldest_settles_early() -> None:
    core = joining(most=2)
    rows = [row for number in "123" for row in core.handle(asked(number, int(number)))]
    assert [row.request_id for row in rows] == ["1"]
    assert (len(core), core.counts["made-room"]) == (2, 1)


def test_a_restored_joining_goes_on_as_if_it_had_never_stopped() -> None:
    one, other = joining(), joining()
    for core in (one, other):
        core.handle(asked("1"))
        core.handle(said("1", "champion", 1))
        core.handle(asked("0", -20 * SECOND))
        core.expire(0)
    again = joining()
    again.restore(other.snapshot())
    for core in (one, again):
        core.handle(said("1", "champion", 1))
        core.handle(said("0", "champion", 2))
        core.handle(decided("1", 2))
    assert one.expire(30 * SECOND) == again.expire(30 * SECOND)
    assert one.counts == again.counts

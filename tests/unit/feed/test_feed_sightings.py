from dataclasses import replace

from feed_world import FRAME, number, seen, settings
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.clock import SECOND
from roost_broker.messages import Answer, Input, Result
from roost_edge.feed.reading import Seen, read_result
from roost_edge.feed.sightings import Forget, Ignored, Post, Save, Sighting, Sightings


def core(**others: object) -> Sightings:
    return Sightings(
        settings(**{"settle_s": 10.0, "again_s": 60.0, "end_after_s": 30.0, "cooldown_s": 100.0, **others})
    )  # type: ignore[arg-type]  # as a test wants them


def posts(actions: tuple[object, ...]) -> list[Post]:
    return [one for one in actions if isinstance(one, Post)]


def ignored(actions: tuple[object, ...]) -> list[str]:
    return [one.outcome for one in actions if isinstance(one, Ignored)]


def test_the_best_picture_of_the_settling_time_is_posted_once_it_is_over() -> None:
    sightings = core()
    for at, (request, score) in enumerate([(1, 0.7), (2, 0.95), (3, 0.8)]):
        assert posts(sightings.handle(seen(request, score=score), at * SECOND)) == []
    assert posts(sightings.expire(10 * SECOND - 1)) == []
    (post,) = posts(sightings.expire(10 * SECOND))
    assert (post.seen.request_id, post.ordinal, post.sighting_id) == (number(2), 0, number(1))


def test_of_pictures_that_are_as_sure_as_each_other_the_one_that_shows_most_is_posted() -> None:
    sightings = core()
    for at, (request, score, worth) in enumerate([(1, 0.93, 0.4), (2, 0.91, 1.8), (3, 0.94, 1.1), (4, 0.62, 9.9)]):
        sightings.handle(replace(seen(request, score=score), worth=worth), at * SECOND)
    (post,) = posts(sightings.expire(10 * SECOND))
    assert post.seen.request_id == number(2)


def test_what_a_picture_shows_is_read_from_the_tag_of_its_request() -> None:
    result = Result(
        timestamp=1_800_000_000_000,
        message_id=number(1),
        request_id=number(2),
        cause="preferred",
        answer=Answer(model="champion", version="1", label="hen", score=0.9),
        elapsed_ms=12.0,
        sla_ms=2_000,
        tags={"camera": "nest", "worth": "1.8125"},
        input=Input(frame=FRAME),
    )
    read = read_result(result, task="door", cameras=frozenset({"nest"}), wall_ns=1_800_000_000_000_000_000)
    assert isinstance(read, Seen)
    assert read.worth == 1.8125


def test_without_a_settling_time_the_first_picture_is_posted_at_once() -> None:
    (post,) = posts(core(settle_s=0.0).handle(seen(1), 0))
    assert post.seen.request_id == number(1)


def test_a_sighting_that_goes_on_is_posted_again_as_an_answer_and_not_too_often() -> None:
    sightings, made = core(max_thread=3), []
    for second in range(400):
        now = second * SECOND
        made += [(second, one.ordinal, one.sighting_id) for one in posts(sightings.expire(now))]
        made += [(second, one.ordinal, one.sighting_id) for one in posts(sightings.handle(seen(second + 1), now))]
    assert made == [(10, 0, number(1)), (70, 1, number(1)), (130, 2, number(1))]


def test_a_short_visit_is_posted_although_it_was_over_before() -> None:
    sightings = core()
    sightings.handle(seen(1), 0)
    (post,) = posts(sightings.expire(500 * SECOND))
    assert post.ordinal == 0
    assert sightings.open == ()


def test_a_return_within_the_cooldown_is_not_posted_and_one_after_it_begins_a_thread() -> None:
    sightings = core()
    sightings.handle(seen(1), 0)
    sightings.expire(40 * SECOND)  # it ended at 30 s
    assert ignored(sightings.handle(seen(2), 129 * SECOND)) == ["cooling"]
    assert any(isinstance(one, Forget) for one in sightings.expire(130 * SECOND))
    sightings.handle(seen(3), 131 * SECOND)
    (post,) = posts(sightings.expire(141 * SECOND))
    assert (post.ordinal, post.sighting_id) == (0, number(3))


def test_each_reason_not_to_post_has_its_name() -> None:
    sightings = core(quiet_labels=("empty",), labels=("blue jay", "empty"), stale_after_s=60.0)
    assert ignored(sightings.handle(seen(1, "empty"), 0)) == ["quiet"]
    assert ignored(sightings.handle(seen(2, "hen"), 0)) == ["quiet"]
    assert ignored(sightings.handle(seen(3, score=0.5), 0)) == ["low-score"]
    assert ignored(sightings.handle(seen(4, score=float("nan")), 0)) == ["low-score"]
    assert ignored(sightings.handle(seen(5, age_s=61), 0)) == ["stale"]
    assert ignored(sightings.handle(seen(6), 0)) == []
    assert ignored(sightings.handle(seen(6), 0)) == ["duplicate"]
    assert ignored(sightings.handle(seen(7, score=0.8), 0)) == ["not-better"]


def test_two_cameras_have_threads_of_their_own() -> None:
    sightings = core()
    sightings.handle(seen(1), 0)
    sightings.handle(seen(2, camera="yard"), 0)
    assert {one.sighting_id for one in posts(sightings.expire(10 * SECOND))} == {number(1), number(2)}


def test_a_further_sighting_than_may_be_followed_ends_the_most_silent_one_which_is_posted_first() -> None:
    sightings = core(max_open=2)
    sightings.handle(seen(1, "a"), 0)
    sightings.handle(seen(2, "b"), SECOND)
    (post,) = posts(sightings.handle(seen(3, "c"), 2 * SECOND))
    assert post.seen.label == "a"
    assert {one.label for one in sightings.open} == {"b", "c"}


def test_after_a_restart_of_the_machine_nothing_is_posted_twice_and_a_thread_goes_on() -> None:
    before = core()
    saved: dict[object, Sighting] = {}
    for action in (*before.handle(seen(1), 0), *before.expire(10 * SECOND)):
        if isinstance(action, Save):
            saved[action.sighting.key] = action.sighting
    after = core()
    after.restore(tuple(saved.values()), (number(1),), 5, same_boot=False)
    assert ignored(after.handle(seen(1), 5)) == ["duplicate"]
    assert posts(after.handle(seen(2), 6)) == []  # again_s counts from the start
    after.handle(seen(3), 29 * SECOND)
    after.handle(seen(4), 58 * SECOND)
    (post,) = posts(after.expire(60 * SECOND + 5))
    assert (post.ordinal, post.sighting_id) == (1, number(1))


@given(
    st.lists(st.tuples(st.integers(0, 90), st.sampled_from("ab"), st.floats(0.0, 1.0)), max_size=60),
    st.integers(1, 3),
)
def test_whatever_comes_posts_keep_their_distance_their_order_and_their_number(
    events: list[tuple[int, str, float]], max_thread: int
) -> None:
    sightings = core(max_thread=max_thread, max_open=1)
    now, made = 0, []
    for request, (wait, label, score) in enumerate(events):
        now += wait * SECOND
        made += [(now, one) for one in posts(sightings.expire(now))]
        made += [(now, one) for one in posts(sightings.handle(seen(request, label, score), now))]
        deadline = sightings.deadline()
        assert deadline is None or deadline > now - SECOND
    made += [(now + 1_000 * SECOND, one) for one in posts(sightings.expire(now + 1_000 * SECOND))]
    assert sightings.open == ()
    threads: dict[str, list[int]] = {}
    for _, post in made:
        threads.setdefault(post.sighting_id, []).append(post.ordinal)
    for ordinals in threads.values():
        assert ordinals == list(range(len(ordinals)))
        assert len(ordinals) <= max_thread
    requests = [post.seen.request_id for _, post in made]
    assert len(requests) == len(set(requests))


def test_a_sighting_that_is_restored_in_the_same_boot_keeps_its_times() -> None:
    before = core()
    (save,) = [one for one in before.handle(seen(1), 3) if isinstance(one, Save)]
    after = core()
    after.restore((save.sighting,), (), 1_000, same_boot=True)
    assert after.deadline() == before.deadline()
    other = core()
    other.restore((replace(save.sighting, last_ns=9**18, due_ns=9**18),), (), 1_000, same_boot=False)
    assert other.deadline() == 1_000 + 10 * SECOND

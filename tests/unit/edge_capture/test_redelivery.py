"""The redelivery core: asked until archived and answered."""

from hypothesis import given
from hypothesis import strategies as st

from roost_broker.clock import MS, SECOND
from roost_edge.capture.redelivery import (
    Accepted,
    Closed,
    Event,
    LinkChanged,
    PublicationEnded,
    Publish,
    ReceiptSeen,
    Redelivery,
    ResultSeen,
)
from roost_edge.capture.settings import CaptureSettings

SETTINGS = CaptureSettings(republish_after_ms=1000, republish_max_ms=4000, republish_at_once=2)


def connected(settings: CaptureSettings = SETTINGS) -> Redelivery:
    core = Redelivery(settings)
    core.handle(LinkChanged(up=True), 0)
    return core


def test_an_accepted_request_is_published_at_once() -> None:
    assert connected().handle(Accepted("a"), 5) == (Publish("a", 1),)


def test_while_the_broker_is_away_nothing_is_published_and_afterwards_all() -> None:
    core = Redelivery(SETTINGS)
    assert core.handle(Accepted("a"), 0) == ()
    assert core.handle(Accepted("b"), 0) == ()
    assert core.expire(60 * SECOND) == ()
    assert core.deadline() is None
    assert core.handle(LinkChanged(up=True), 60 * SECOND) == (Publish("a", 1), Publish("b", 1))


def test_after_a_reconnect_it_is_asked_again_soon_because_the_others_may_not_be_back_yet() -> None:
    core = connected()
    core.handle(Accepted("old"), 0)
    core.handle(PublicationEnded("old"), 0)
    core.handle(LinkChanged(up=False), 100 * MS)
    assert core.handle(LinkChanged(up=True), 200 * MS) == (Publish("old", 2),)
    core.handle(PublicationEnded("old"), 210 * MS)
    assert core.handle(Accepted("new"), 220 * MS) == (Publish("new", 1),)
    core.handle(PublicationEnded("new"), 220 * MS)
    assert core.expire(449 * MS) == ()
    assert core.expire(470 * MS) == (Publish("old", 3), Publish("new", 2))
    core.handle(PublicationEnded("old"), 480 * MS)
    assert core.expire(969 * MS) == ()
    assert core.expire(970 * MS) == (Publish("old", 4),)  # the pause doubles from there


def test_when_all_have_had_time_to_return_the_usual_pause_counts_again() -> None:
    core = connected()
    core.handle(LinkChanged(up=False), 0)
    core.handle(LinkChanged(up=True), 0)
    core.handle(Accepted("a"), 2 * SECOND)
    core.handle(PublicationEnded("a"), 2 * SECOND)
    assert core.deadline() == 3 * SECOND


def test_it_is_closed_by_receipt_and_result_in_either_order_and_then_forgotten() -> None:
    for first, second in ((ReceiptSeen("a"), ResultSeen("a")), (ResultSeen("a"), ReceiptSeen("a"))):
        core = connected()
        core.handle(Accepted("a"), 0)
        core.handle(PublicationEnded("a"), 0)
        assert core.handle(first, 1) == ()
        assert core.handle(second, 2) == (Closed("a"),)
        assert len(core) == 0
        assert core.expire(99 * SECOND) == ()


def test_open_for_long_it_is_published_again_and_the_pause_doubles_up_to_the_ceiling() -> None:
    core = connected()
    core.handle(Accepted("a"), 0)
    times = []
    for _ in range(5):
        core.handle(PublicationEnded("a"), 0)
        due = core.deadline()
        assert due is not None
        assert core.expire(due - 1) == ()
        assert core.expire(due) == (Publish("a", len(times) + 2),)
        times.append(due // SECOND)
    assert times == [1, 3, 7, 11, 15]


def test_after_a_reconnect_what_is_open_is_published_at_once_with_a_short_pause_again() -> None:
    core = connected()
    core.handle(Accepted("a"), 0)
    core.handle(PublicationEnded("a"), 0)
    core.expire(1 * SECOND)
    core.handle(PublicationEnded("a"), 1 * SECOND)
    core.handle(LinkChanged(up=False), 2 * SECOND)
    assert core.handle(LinkChanged(up=True), 2 * SECOND) == (Publish("a", 3),)
    core.handle(PublicationEnded("a"), 2 * SECOND)
    assert core.deadline() == 2 * SECOND + 250 * MS


def test_a_publication_on_its_way_is_not_repeated_even_after_a_reconnect() -> None:
    core = connected()
    core.handle(Accepted("a"), 0)
    core.handle(LinkChanged(up=False), 1)
    assert core.handle(LinkChanged(up=True), 2) == ()
    assert core.expire(99 * SECOND) == ()
    assert core.handle(PublicationEnded("a"), 99 * SECOND) == (Publish("a", 2),)


def test_repetitions_are_bounded_and_do_not_hold_up_new_requests() -> None:
    core = Redelivery(SETTINGS)
    for name in "abcd":
        core.handle(Accepted(name, attempts=1), 0)
    assert core.handle(LinkChanged(up=True), 0) == (Publish("a", 2), Publish("b", 2))
    assert core.deadline() is None  # the next thing to happen is an event
    assert core.handle(Accepted("new"), 0) == (Publish("new", 1),)
    assert core.handle(PublicationEnded("a"), 0) == (Publish("c", 2),)


def test_what_an_earlier_process_left_half_done_needs_only_the_other_half() -> None:
    core = connected()
    assert core.handle(Accepted("a", attempts=3, receipt=True), 0) == (Publish("a", 4),)
    assert core.handle(ResultSeen("a"), 0) == (Closed("a"),)


def test_accepted_twice_or_already_closed_it_is_not_opened_again() -> None:
    core = connected()
    core.handle(Accepted("a"), 0)
    assert core.handle(Accepted("a"), 0) == ()
    assert core.handle(Accepted("done", attempts=1, receipt=True, result=True), 0) == ()
    assert len(core) == 1


def test_events_about_unknown_requests_change_nothing() -> None:
    core = connected()
    for event in (ReceiptSeen("x"), ResultSeen("x"), PublicationEnded("x")):
        assert core.handle(event, 1) == ()
    assert len(core) == 0


def test_when_only_some_may_be_asked_again_at_once_none_waits_behind_those_that_were_asked_before() -> None:
    core = connected()
    for name in "abcde":
        core.handle(Accepted(name), 0)
        core.handle(PublicationEnded(name), 0)
    core.handle(LinkChanged(up=False), 1 * SECOND)
    on_way = [one.request_id for one in core.handle(LinkChanged(up=True), 2 * SECOND) if isinstance(one, Publish)]
    asked = set(on_way)
    for now in (3 * SECOND, 4 * SECOND, 5 * SECOND):
        ended, on_way = on_way, []
        for name in ended:
            on_way += [one.request_id for one in core.handle(PublicationEnded(name), now) if isinstance(one, Publish)]
        asked.update(on_way)
    assert asked == set("abcde")


names = st.sampled_from("abcde")
events = st.one_of(
    st.builds(Accepted, names),
    st.builds(PublicationEnded, names),
    st.builds(ReceiptSeen, names),
    st.builds(ResultSeen, names),
    st.builds(LinkChanged, st.booleans()),
)


@given(st.lists(st.tuples(st.integers(0, 2000), events), max_size=60))
def test_whatever_happens_open_requests_are_asked_again_and_closed_ones_never(steps: list[tuple[int, Event]]) -> None:
    core = Redelivery(SETTINGS)
    up, now = False, 0
    opened: set[str] = set()
    halves: dict[str, set[type]] = {}
    on_way: set[str] = set()
    attempts: dict[str, int] = {}

    def check(actions: tuple) -> None:
        for action in actions:
            match action:
                case Publish(name, attempt):
                    assert up
                    assert name in opened
                    assert name not in on_way
                    assert attempt == attempts[name] + 1
                    attempts[name] = attempt
                    on_way.add(name)
                case Closed(name):
                    assert halves[name] == {ReceiptSeen, ResultSeen}
                    opened.remove(name)
                    on_way.discard(name)

    for wait, event in steps:
        now += wait * MS
        check(core.expire(now))
        match event:
            case LinkChanged(new):
                up = new
            case Accepted(name) if name not in opened:
                opened.add(name)
                halves[name], attempts[name] = set(), 0
            case PublicationEnded(name):
                on_way.discard(name)
            case ReceiptSeen(name) | ResultSeen(name) if name in opened:
                halves[name].add(type(event))
        check(core.handle(event, now))
        assert len(core) == len(opened)

    # From here on the broker stays, and takes everything: each open request is asked again within the longest pause.
    before = dict(attempts)
    up = True
    check(core.handle(LinkChanged(up=True), now))
    for _ in range(10):
        for name in tuple(on_way):
            on_way.discard(name)
            check(core.handle(PublicationEnded(name), now))
        now += 1 * SECOND
        check(core.expire(now))
    assert all(attempts[name] > before[name] for name in opened)

"""Whatever happens to a line, in any order and with power cuts, its rules hold: at random, and every pair of events."""

from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ota_device import OtaDevice, content, goal

from roost_edge.ota import events as e
from roost_edge.ota.lines import SLOTS
from roost_edge.ota.standing import MAX_REJECTED, Standing, first

letters = st.sampled_from("abcd")
goals = st.builds(
    goal,
    st.sampled_from(["serving", "shadow", "previous"]),
    st.sampled_from("bcd"),
    letters,
    st.integers(1, 5),
    st.sampled_from(["r", "s"]),
)
trials = st.builds(lambda letter, n: e.TrialCounted(content(letter).digest, 20, n, 0), letters, st.integers(0, 20))
cuts = st.one_of(st.none(), st.none(), st.integers(0, 8))
slots = st.sampled_from(SLOTS)


@st.composite
def happenings(draw: st.DrawFn) -> Callable[[OtaDevice], None]:
    """One thing that may happen to a device."""
    cut, number = draw(cuts), draw(st.integers(0, 3))
    well, final = draw(st.booleans()), draw(st.booleans())
    busy = st.sampled_from([e.BusyChanged(True, "hens"), e.BusyChanged(False)])
    event = draw(st.one_of(st.builds(e.DocumentSeen, goals), busy, st.just(e.OperatorReturn("no")), trials))
    slot, letter, turns, wait = draw(slots), draw(letters), draw(st.integers(1, 8)), draw(st.integers(0, 300))
    whats: list[Callable[[OtaDevice], object]] = [
        lambda device: device.tell(event, cut_after=cut),
        lambda device: device.tell(event, cut_after=cut),
        lambda device: device.finish(number, well=well, final=final, cut_after=cut) if device.waiting else None,
        lambda device: device.finish(number, cut_after=cut) if device.waiting else None,
        lambda device: device.answer_late() if device.late else None,
        lambda device: device.go_on(turns),
        lambda device: device.go_on(turns),
        lambda device: device.ready(slot),
        lambda device: device.die(slot),
        lambda device: device.die(slot),
        lambda device: device.pass_time(wait),
        lambda device: device.tell(e.OperatorAllow(content(letter).digest)),
    ]
    what = draw(st.sampled_from(whats))
    return lambda device: (what(device), None)[1]


def meaning(standing: Standing) -> tuple[object, ...]:
    """What a standing makes of the operator's schedule: who answers, who stands by, who is ignored."""
    fallback = standing.beside == "fallback"
    return standing.active, fallback, standing.used and not fallback


def check(device: OtaDevice) -> None:
    """What holds after everything that happens."""
    # Never neither: what the schedule in force may take runs, and each of it was tried or delivered.
    assert device.official()
    assert {one.digest for one in device.official()} <= device.tried
    assert device.early_starts == []
    # Rule 4: a process is ended only when the schedule in force does not count on it any more.
    assert device.early_ends == []
    # What is given up does not go on loading.
    fetching = [action for action in device.waiting if isinstance(action, e.Fetch)]
    assert fetching == [] or (len(fetching) == 1 and device.phase == "downloading")
    # Never a rejected one: what answers, and what the card says answers, is none.
    assert device.machine.standing.rejection(device.machine.standing.serving.digest) is None
    assert device.card.rejection(device.card.serving.digest) is None
    if device.card.beside in ("shadow", "fallback"):
        assert device.card.besides is not None
    assert len(device.card.rejected) <= MAX_REJECTED
    assert len(device.waiting) <= 2


def check_at_rest(device: OtaDevice) -> None:
    """What holds when nothing is left to do."""
    wanted = device.machine.goal
    if wanted is not None:
        target = wanted.active or content("a")
        refused = device.card.rejection(target.digest) is not None
        assert refused or device.card.serving.digest == target.digest
    # The schedule, the card and the processes say the same.
    assert device.official()[0].digest == device.card.serving.digest
    assert device.running == {slot: device.card.slots[slot] for slot in device.card.running}
    assert meaning(device.in_force or first(content("a"))) == meaning(device.card)


@settings(max_examples=400)
@given(st.lists(happenings(), max_size=40))
def test_whatever_happens_something_that_was_tried_answers_and_nothing_rejected_is_let_in(
    story: list[Callable[[OtaDevice], None]],
) -> None:
    device = OtaDevice()
    for happen in story:
        happen(device)
        check(device)
    device.tell(e.BusyChanged(False))
    device.settle()
    check_at_rest(device)


def late(device: OtaDevice) -> None:
    if device.late:
        device.answer_late()


def refuse(device: OtaDevice) -> None:
    if device.waiting:
        device.finish(-1, well=False)


def die(device: OtaDevice) -> None:
    for _ in range(3):
        device.die(device.card.other)
        device.die(device.card.active)


BESIDES: dict[str, Callable[[OtaDevice], object]] = {
    "aborted": lambda device: device.tell(e.DocumentSeen(goal("previous", "b", rollout="abort"))),
    "shadow again": lambda device: device.tell(e.DocumentSeen(goal("shadow", "b", rollout="back"))),
    "another": lambda device: device.tell(e.DocumentSeen(goal("serving", "c", previous="b", rollout="next"))),
    "returned": lambda device: device.tell(e.OperatorReturn("smells")),
    "silent": lambda device: device.tell(e.TrialCounted(content("b").digest, 20, 0, 0)),
    "dying": die,
    "cut": lambda device: device.tell(e.OperatorReturn("smells"), cut_after=1),
    "restarted": OtaDevice.boot,
    "late": late,
    "refused": refuse,
    "time": lambda device: device.pass_time(300),
}


@pytest.mark.parametrize("way", ["shadow", "serving", "another"])
@pytest.mark.parametrize("one", BESIDES)
def test_any_two_things_that_happen_at_any_point_of_an_installation_break_no_rule(way: str, one: str) -> None:
    for before, between, two in product(range(8), range(3), BESIDES):
        device = OtaDevice()
        if way == "another":
            device.tell(e.DocumentSeen(goal("serving", "b")))
            device.settle()
        letter = "c" if way == "another" else "b"
        device.tell(e.DocumentSeen(goal("shadow" if way == "shadow" else "serving", letter, rollout=way)))
        for turns, happen in ((before, BESIDES[one]), (between, BESIDES[two]), (1, late)):
            for _ in range(turns):
                if device.waiting:
                    device.finish(0)
                else:
                    device.ready(device.card.other)
                check(device)
            happen(device)
            check(device)
        device.settle()
        check(device)
        check_at_rest(device)

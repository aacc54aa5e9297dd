"""One line's machine: what is done with a document, with failures, with a power cut at every action."""

from pathlib import Path

from ota_device import POLICY, OtaDevice, content, goal

from roost_edge.ota import events as e
from roost_edge.ota.phases import TRANSITIONS, diagram


def test_a_shadow_runs_only_after_the_schedule_ignores_its_slot_and_serves_when_the_document_says_so() -> None:
    device = OtaDevice()
    device.tell(e.DocumentSeen(goal("shadow", "b")))
    device.settle()
    assert device.phase == "shadow"
    assert device.in_force is not None
    assert (device.in_force.active, device.in_force.beside) == ("a", "shadow")
    names = [type(action).__name__ for action in device.done if not isinstance(action, e.ReportState)]
    assert names.index("PublishSchedule") < names.index("Remember") < len(names) - names[::-1].index("StartSlot")
    before = dict(device.running)
    device.done.clear()
    device.tell(e.DocumentSeen(goal("serving", "b", generation=2)))
    device.settle()
    assert device.phase == "serving"
    assert device.official() == [content("b"), content("a")]
    assert device.running == before
    assert not any(isinstance(action, e.StartSlot | e.StopSlot) for action in device.done)


def test_an_aborted_document_brings_the_old_one_back_and_ends_the_new_one_only_then() -> None:
    device = OtaDevice()
    device.tell(e.DocumentSeen(goal("serving", "b")))
    device.settle()
    device.tell(e.DocumentSeen(goal("previous", "b", generation=2)))
    assert device.phase == "returning"
    assert set(device.running) == {"a", "b"}
    assert device.card.active == "a"
    device.settle()
    assert device.phase == "idle"
    assert device.running == {"a": content("a")}
    assert device.official() == [content("a")]


def test_goldens_that_fail_reject_the_digest_until_somebody_allows_it() -> None:
    device = OtaDevice()
    device.tell(e.DocumentSeen(goal("serving", "b")))
    device.finish(0)
    device.finish(0)
    device.finish(0, well=False, final=True)
    assert device.phase == "failed"
    assert device.card.rejection(content("b").digest)
    device.tell(e.DocumentSeen(goal("serving", "b", generation=2)))
    assert not device.waiting
    device.boot()
    device.finish(0)
    device.tell(e.DocumentSeen(goal("serving", "b", generation=2)))
    assert not device.waiting
    assert device.machine.problem.endswith("rejected here: wrong")
    device.tell(e.OperatorAllow(content("b").digest))
    device.settle()
    assert device.official()[0] == content("b")


def test_another_digest_is_tried_after_a_rejected_one() -> None:
    device = OtaDevice()
    device.tell(e.DocumentSeen(goal("serving", "b")))
    device.finish(0)
    device.finish(0, well=False, final=True)
    device.tell(e.DocumentSeen(goal("serving", "c", rollout="next")))
    device.settle()
    assert device.official()[0] == content("c")


def test_a_failed_download_is_tried_again_later_and_later() -> None:
    device = OtaDevice()
    device.tell(e.DocumentSeen(goal("shadow", "b")))
    waits = []
    for _ in range(6):
        device.finish(0, well=False)
        assert device.phase == "failed"
        due = device.machine.deadline()
        assert due is not None
        waits.append(due - device.now)
        device.pass_time(due - device.now)
        assert device.phase == "downloading"
    assert waits == [10, 20, 40, 80, 100, 100]
    device.settle()
    assert device.phase == "shadow"


def test_a_trial_without_a_verdict_is_repeated_and_then_counts_as_failed() -> None:
    device = OtaDevice()
    device.tell(e.DocumentSeen(goal("shadow", "b")))
    for _ in range(POLICY.tries):
        assert device.card.rejected == ()
        device.finish(0)
        device.finish(0)
        device.finish(0, well=False)
        device.pass_time(10)
    assert device.card.rejection(content("b").digest)


def test_a_busy_device_puts_an_installation_off_up_to_the_limit_but_never_a_return() -> None:
    device = OtaDevice()
    device.tell(e.DocumentSeen(goal("serving", "b")))
    device.settle()
    device.tell(e.BusyChanged(True, "hens"))
    device.tell(e.DocumentSeen(goal("serving", "c", previous="b", rollout="next")))
    assert device.phase == "deferred"
    assert device.machine.deadline() == device.now + POLICY.defer_limit_ns
    device.tell(e.OperatorReturn("smells"))
    device.finish(0)
    assert device.official()[0] == content("a")
    device.settle()
    assert device.official()[0] == content("c")
    assert device.now >= POLICY.defer_limit_ns


def test_deaths_in_a_row_bring_the_old_one_back_and_deaths_long_ago_do_not() -> None:
    device = OtaDevice()
    device.tell(e.DocumentSeen(goal("serving", "b")))
    device.settle()
    for _ in range(6):
        device.die("b")
        device.pass_time(POLICY.deaths_window_ns // 2 + 1)
    assert device.card.serving == content("b")
    for _ in range(3):
        device.die("b")
    assert device.card.serving == content("a")
    assert device.card.rejection(content("b").digest)
    device.settle()
    assert device.running == {"a": content("a")}
    assert device.phase == "failed"


def test_a_bundle_that_does_not_answer_is_taken_back_whether_it_serves_or_not() -> None:
    for role, phase in (("serving", "serving"), ("shadow", "shadow")):
        device = OtaDevice()
        device.tell(e.DocumentSeen(goal(role, "b")))
        device.settle()
        assert device.phase == phase
        device.tell(e.TrialCounted(content("b").digest, 9, 0, 0))
        assert device.phase == phase
        device.tell(e.TrialCounted(content("b").digest, 10, 4, 0))
        device.settle()
        assert device.running == {"a": content("a")}
        assert device.card.rejection(content("b").digest)


def test_a_process_that_never_becomes_ready_is_given_up() -> None:
    device = OtaDevice()
    device.tell(e.DocumentSeen(goal("shadow", "b")))
    while device.waiting:
        device.finish(0)
    assert device.phase == "warming"
    device.pass_time(POLICY.warm_ns)
    assert device.phase == "failed"
    assert set(device.running) == {"a"}


def test_a_supervisor_that_is_away_is_asked_again_and_costs_the_bundle_nothing() -> None:
    device = OtaDevice()
    device.tell(e.DocumentSeen(goal("shadow", "b")))
    while device.waiting:
        device.finish(0)
    for _ in range(20):
        device.tell(e.SlotFailed("b", "no supervisor"))
        due = device.machine.deadline()
        assert due is not None
        device.done.clear()
        device.pass_time(due - device.now)
        assert e.StartSlot("b") in device.done
    device.ready("b")
    assert device.phase == "shadow"


def test_an_older_generation_and_the_same_document_again_have_names_and_change_nothing() -> None:
    device = OtaDevice()
    device.tell(e.DocumentSeen(goal("shadow", "b", generation=3)))
    device.settle()
    for again, named in ((goal("previous", "b", generation=2), "stale-document"), (None, "known-document")):
        device.done.clear()
        device.tell(e.DocumentSeen(again or goal("shadow", "b", generation=3)))
        assert device.done == [e.Noted(named)]
    device.boot()
    device.done.clear()
    device.tell(e.DocumentSeen(goal("previous", "b", generation=2)))
    assert e.Noted("stale-document") in device.done


def test_a_device_that_was_off_gets_the_previous_one_before_it_tries_the_new_one_beside_it() -> None:
    device = OtaDevice()
    device.tell(e.DocumentSeen(goal("shadow", "c", previous="b")))
    device.settle()
    assert device.official() == [content("b")]
    assert device.card.besides == content("c")
    assert device.card.beside == "shadow"


def test_what_is_no_longer_wanted_is_stopped_on_its_way() -> None:
    for steps in range(6):
        device = OtaDevice()
        device.tell(e.DocumentSeen(goal("shadow", "b")))
        for _ in range(steps):
            if device.waiting:
                device.finish(0)
        device.tell(e.DocumentSeen(goal("previous", "b", generation=2)))
        device.settle()
        assert device.running == {"a": content("a")}, steps
        assert device.phase == "idle"


def test_late_answers_of_things_given_up_have_a_name() -> None:
    device = OtaDevice()
    device.tell(e.DocumentSeen(goal("shadow", "b")))
    device.tell(e.DocumentSeen(goal("shadow", "c", rollout="next")))
    for event in (e.Fetched(1), e.Progress(1, 2, 3), e.GoldensPassed(1), e.FetchFailed(0, "late")):
        device.done.clear()
        device.tell(event)
        assert device.done == [e.Noted("late-job")]
    device.done.clear()
    device.tell(e.ScheduleInForce(99))
    assert device.done == [e.Noted("late-schedule")]


def test_the_documented_diagram_is_drawn_from_the_table() -> None:
    drawn = diagram()
    assert drawn.count("-->") == 1 + sum(len(ways) for ways in TRANSITIONS.values())
    assert drawn in (Path(__file__).parents[3] / "docs" / "ota.md").read_text(encoding="utf-8")

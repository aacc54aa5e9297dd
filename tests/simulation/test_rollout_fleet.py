"""A fleet of 1,000 simulated devices and a roll-out, on virtual time: what halts, what passes, who was ever served."""

import pytest
from rollout_world import DAY, EXPECTED, HOUR, NEW, OLD, QUICK, START, Fleet, build, names, play

from roost_broker.shares import in_share
from roost_edge.fleet_sim.truth import Known, Truth
from roost_edge.fleet_sim.virtual import World
from roost_models.rollout.actions import Command
from roost_models.rollout.document import assignment
from roost_models.rollout.policy import Policy

BAD = {
    "agreement down by 5 points": Known(usual=Truth(canary=0.88, previous=0.92)),
    "three times as slow": Known(usual=Truth(p99_ms=240)),
    "a crash loop": Known(usual=Truth(restarts_per_hour=20)),
    "a crash loop only while it serves": Known(usual=Truth(restarts_per_hour_serving=20)),
    "devices go dark": Known(usual=Truth(goes_dark=0.5)),
    "a tenth of the requests unanswered": Known(usual=Truth(answers=0.9)),
    "goldens that fail on some hardware": Known(usual=Truth(), special=(({"camera": "noir"}, Truth(installs=0.0)),)),
    "wrong for one camera only": Known(usual=Truth(), special=(({"camera": "noir"}, Truth(canary=0.6, previous=0.6)),)),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("what", BAD)
def test_a_bad_bundle_is_halted_and_taken_back_and_two_in_a_hundred_devices_were_served_at_most(
    what: str, seed: int
) -> None:
    fleet = play(Fleet(known=BAD[what]), seed)
    assert fleet.halted is not None
    assert fleet.controller.progress.state == "aborted"
    assert fleet.ever_served(NEW.digest) <= 0.02
    still = [device.node for device in fleet.devices.values() if device.active.digest == NEW.digest and not device.dark]
    assert still == []
    assert fleet.markers[-1].kind == "rollout-aborted"


@pytest.mark.parametrize("seed", range(3))
def test_a_good_bundle_reaches_everybody_who_is_there_step_by_step(seed: int) -> None:
    fleet = play(Fleet(devices=300), seed)
    progress = fleet.controller.progress
    assert (fleet.halted, progress.state) == (None, "complete")
    steps = [mark for mark in fleet.markers if mark.kind == "rollout-step"]
    assert len(steps) == len(progress.order.plan.steps)
    assert [mark.serving for mark in steps] == sorted(mark.serving for mark in steps)
    there = [device for device in fleet.devices.values() if device.ever_served or device.phase != "idle"]
    assert len(there) > 270
    assert all(device.active.digest == NEW.digest for device in there if device.phase != "failed")
    assert [(move.bundle, move.to) for move in fleet.moves] == [(NEW, "production"), (OLD, "post-production")]


def test_the_first_device_that_would_serve_is_off_for_good_and_the_roll_out_goes_on_without_it() -> None:
    plan = build(Fleet(devices=300, off_share=0.0), 5).controller.progress.order.plan
    first = next(step for step in plan.steps if step.served)
    assert first.served == 1
    away = next(node for node in names(300) if in_share("breeds-2-5", node, first.serving))
    fleet = build(Fleet(devices=300, off_share=0.0), 5, extra_off={away: [(0, START + 100 * DAY)]})
    fleet.run(START + 2 * HOUR)
    fleet.order(Command("start", "ann"))
    fleet.run(START + 30 * DAY, stop_when_finished=True)
    assert (fleet.halted, fleet.controller.progress.state) == (None, "complete")


def test_devices_that_were_off_for_a_week_end_where_the_fleet_is() -> None:
    week = {f"coop-{n}": [(START + 3 * HOUR, START + 7 * DAY)] for n in range(20)}
    good = build(Fleet(devices=200, off_share=0.0), 5, extra_off=week)
    good.run(START + 2 * HOUR)
    good.order(Command("start", "ann"))
    good.run(START + 9 * DAY)
    assert good.controller.progress.state == "complete"
    at = {good.devices[node].active.digest for node in week if good.devices[node].phase != "failed"}
    assert at == {NEW.digest}

    bad = build(Fleet(devices=200, off_share=0.0, known=BAD["agreement down by 5 points"]), 5, extra_off=week)
    bad.run(START + 2 * HOUR)
    bad.order(Command("start", "ann"))
    bad.run(START + 9 * DAY)
    assert bad.controller.progress.state == "aborted"
    assert {bad.devices[node].active.digest for node in week} == {OLD.digest}
    assert all(NEW.digest not in bad.devices[node].ever_served for node in week)


def test_a_device_that_comes_back_in_the_middle_joins_at_the_step_in_force() -> None:
    fleet = build(Fleet(devices=200, off_share=0.0), 6, extra_off={"coop-7": [(START, START + 30 * HOUR)]})
    fleet.run(START + 2 * HOUR)
    fleet.order(Command("start", "ann"))
    fleet.run(START + 32 * HOUR)
    document = fleet.document
    assert document is not None
    device = fleet.devices["coop-7"]
    wanted = {"previous": "idle", "shadow": "shadow", "serving": "serving"}
    assert device.phase == wanted[assignment(document, "coop-7", device.tags)]


def test_only_devices_with_the_tag_take_part() -> None:
    fleet = play(Fleet(tags={"camera": "noir"}), 2)
    assert fleet.controller.progress.state == "complete"
    served = {device.tags["camera"] for device in fleet.devices.values() if device.ever_served}
    assert served == {"noir"}


def test_while_it_is_paused_nobody_begins_and_nobody_goes_back_and_no_step_is_taken() -> None:
    fleet = build(Fleet(devices=300, off_share=0.0), 3)
    fleet.run(START + 2 * HOUR)
    fleet.order(Command("start", "ann"))
    fleet.run(START + 4 * HOUR)
    fleet.order(Command("pause", "bob", "the weekend"))
    before = {device.node: device.phase for device in fleet.devices.values() if device.phase == "shadow"}
    fleet.run(START + 4 * DAY)
    assert fleet.controller.deadline() is None
    now = {device.node: device.phase for device in fleet.devices.values() if device.phase == "shadow"}
    assert before
    assert now == before
    fleet.order(Command("resume", "bob"))
    fleet.run(START + 30 * DAY, stop_when_finished=True)
    assert fleet.controller.progress.state == "complete"


def test_an_abort_takes_every_device_back_that_reports() -> None:
    fleet = build(Fleet(devices=300, off_share=0.0), 4)
    fleet.run(START + 2 * HOUR)
    fleet.order(Command("start", "ann"))
    fleet.run(START + 40 * HOUR)
    assert any(device.active.digest == NEW.digest for device in fleet.devices.values())
    fleet.order(Command("abort", "ann", "a bad feeling"))
    fleet.run(START + 44 * HOUR)
    assert {device.active.digest for device in fleet.devices.values()} == {OLD.digest}
    assert fleet.controller.finished
    assert fleet.moves[-1].to == "post-production"


@pytest.mark.parametrize("hours", [3, 9, 30, 50])
def test_a_controller_that_is_killed_goes_on_where_it_was(hours: int) -> None:
    fleet = build(Fleet(devices=300), 8)
    fleet.run(START + 2 * HOUR)
    fleet.order(Command("start", "ann"))
    fleet.run(START + hours * HOUR)
    before = fleet.controller.progress
    fleet.restart_controller()
    after = fleet.controller.progress
    assert (after.state, after.step, after.generation) == (before.state, before.step, before.generation)
    fleet.run(START + 30 * DAY, stop_when_finished=True)
    assert fleet.controller.progress.state == "complete"
    generations = [mark for mark in fleet.markers if mark.kind == "rollout-step"]
    assert len(generations) == len(after.order.plan.steps)


def test_a_centre_that_hears_nobody_moves_nothing_and_halts_nothing() -> None:
    fleet = build(Fleet(devices=300, off_share=0.0), 9)
    fleet.run(START + 2 * HOUR)
    fleet.order(Command("start", "ann"))
    fleet.run(START + 3 * HOUR)
    step = fleet.controller.progress.step
    now = START + 3 * HOUR
    for _ in range(100):  # the link is gone: only the controller's own clock runs
        look = fleet.controller.deadline()
        assert look is not None
        now = max(look, now)
        fleet.controller.expire(now)
    assert now > START + 10 * DAY
    assert (fleet.controller.progress.state, fleet.controller.progress.step) == ("running", step)


def test_a_small_fleet_serves_one_device_first_and_still_finds_a_bad_bundle() -> None:
    bench = Fleet(
        devices=50,
        requests_per_day=100_000,
        known=BAD["agreement down by 5 points"],
        world=World(poll_s=60),
        policy=Policy(min_dwell_s=600, quiet_s=600),
        off_share=0.0,
    )
    fleet = play(bench, 1)
    assert fleet.halted is not None
    assert fleet.ever_served(NEW.digest) <= 0.02
    steps = fleet.controller.progress.order.plan.steps
    assert next(step for step in steps if step.served).served == 1


def test_clocks_that_are_wrong_and_reports_that_are_lost_change_nothing() -> None:
    assert EXPECTED.canary is not None
    fleet = play(Fleet(devices=300, world=World(poll_s=1800, lost=0.4), policy=QUICK), 10)
    assert fleet.controller.progress.state == "complete"

"""One simulated device: the phases it goes through, and that what it counts is what is true."""

import random

import pytest

from roost_broker.clock import SECOND
from roost_broker.errors import Misuse
from roost_broker.messages import OtaState, decode, encode
from roost_edge.fleet_sim.device import Habits, SimulatedDevice
from roost_edge.fleet_sim.truth import Known, Truth, events, hits, own_share
from roost_models.rollout.document import BundleRef, Rollout

OLD = BundleRef(name="breeds", version="1", digest="a" * 64)
NEW = BundleRef(name="breeds", version="2", digest="b" * 64)
HABITS = Habits(requests_per_s=10, download_ns=60 * SECOND, testing_ns=20 * SECOND, warming_ns=10 * SECOND)


def document(shadow: float, serving: float, generation: int = 1, state: str = "running") -> Rollout:
    return Rollout(
        rollout_id="r", generation=generation, task="nest", bundle=NEW, previous=OLD, state=state,  # type: ignore[arg-type]  # as given
        shadow=shadow, serving=serving,
    )  # fmt: skip


def device(truth: Truth | None = None, known: Known | None = None) -> SimulatedDevice:
    truths = {NEW.digest: known or Known(usual=truth or Truth(restarts_per_hour=0))}
    return SimulatedDevice("sim-1", "nest", "champion", OLD, truths, random.Random(1), habits=HABITS)


def test_it_fetches_tests_warms_and_then_runs_in_shadow_until_it_may_serve() -> None:
    one = device()
    one.see(document(1.0, 0.0), 0)
    phases = []
    for second in (30, 70, 85, 95, 200):
        one.pass_time(second * SECOND)
        phases.append(one.phase)
    assert phases == ["downloading", "testing", "warming", "shadow", "shadow"]
    assert one.active == OLD
    one.see(document(1.0, 1.0, 2), 300 * SECOND)
    assert (one.phase, one.active, one.other) == ("serving", NEW, OLD)


def test_an_older_document_changes_nothing() -> None:
    one = device()
    one.see(document(1.0, 1.0, 5), 0)
    one.pass_time(100 * SECOND)
    one.see(document(0.0, 0.0, 4, "aborted"), 101 * SECOND)
    assert (one.phase, one.active) == ("serving", NEW)


def test_aborted_it_goes_back_and_says_so() -> None:
    one = device()
    one.see(document(1.0, 1.0), 0)
    one.pass_time(100 * SECOND)
    one.see(document(1.0, 1.0, 2, "aborted"), 200 * SECOND)
    line = one.line(200 * SECOND, 200 * SECOND)
    assert (one.active, line.phase, line.wanted, line.trial) == (OLD, "idle", "", None)


def test_goldens_that_fail_keep_the_old_bundle_and_are_told() -> None:
    one = device(known=Known(usual=Truth(installs=0.0), problem="goldens differ: egg"))
    one.see(document(1.0, 1.0), 0)
    one.pass_time(500 * SECOND)
    line = one.line(500 * SECOND, 500 * SECOND)
    assert (one.active, line.phase, line.problem) == (OLD, "failed", "goldens differ: egg")


def test_a_crash_loop_makes_it_go_back_by_itself() -> None:
    one = device(Truth(restarts_per_hour=1000))
    one.see(document(1.0, 1.0), 0)
    for second in range(0, 1000, 50):
        one.pass_time(second * SECOND)
    assert (one.active, one.phase) == (OLD, "failed")
    assert NEW.digest in one.ever_served


def test_what_it_counts_is_what_is_true() -> None:
    one = device(Truth(previous=0.9, canary=0.8, answers=0.95, icc=0.0, restarts_per_hour=0))
    one.see(document(1.0, 0.0), 0)
    one.pass_time(100_000 * SECOND)
    trial = one.line(0, 100_000 * SECOND).trial
    assert trial is not None
    assert trial.requests == pytest.approx(999_100, abs=100)
    assert trial.answered / trial.requests == pytest.approx(0.95, abs=0.002)
    found = {agreement.model: agreement.same / agreement.of for agreement in trial.agreements}
    assert found == pytest.approx({"champion": 0.9, "canary": 0.8}, abs=0.003)
    assert trial.official == 0


def test_its_report_travels_as_a_real_one_does() -> None:
    one = device()
    one.see(document(1.0, 1.0), 0)
    one.pass_time(200 * SECOND)
    state = one.state(5 * SECOND, 200 * SECOND, message_id="0" * 32, version="1.0")
    assert decode(encode(state)) == state
    assert isinstance(state, OtaState)
    assert [slot.state for slot in state.lines[0].slots] == ["active", "fallback"]


@pytest.mark.parametrize(("of", "share"), [(10, 0.3), (1000, 0.001), (1000, 0.3), (100_000, 0.97), (50, 0.999)])
def test_hits_have_the_mean_they_should(of: int, share: float) -> None:
    draw = random.Random(2)
    found = [hits(of, share, draw) for _ in range(2000)]
    assert all(0 <= hit <= of for hit in found)
    error = (of * share * (1 - share) / 2000) ** 0.5
    assert sum(found) / 2000 == pytest.approx(of * share, abs=5 * error + 0.01 * of * (1 - share))


def test_rare_events_and_own_shares_have_the_mean_they_should() -> None:
    draw = random.Random(3)
    assert sum(events(0.7, draw) for _ in range(5000)) / 5000 == pytest.approx(0.7, abs=0.05)
    assert sum(own_share(0.9, 0.01, draw) for _ in range(5000)) / 5000 == pytest.approx(0.9, abs=0.005)


def test_a_truth_that_cannot_be_is_refused() -> None:
    with pytest.raises(Misuse):
        Truth(canary=1.2)
    with pytest.raises(Misuse):
        Habits(requests_per_s=0)

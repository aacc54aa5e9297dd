"""What a device counts of its bundles, when it is busy, what it signs, and what it keeps."""

import stat
from pathlib import Path

import msgspec
import pytest
from ota_device import content

from roost_broker.clock import SECOND, VirtualClock
from roost_broker.errors import Misuse
from roost_broker.headers import new_header
from roost_edge.ota.busy import Busy
from roost_edge.ota.device_key import DeviceKey
from roost_edge.ota.lines import Line
from roost_edge.ota.machine import LineMachine
from roost_edge.ota.pointers import OtaFolder
from roost_edge.ota.policy import LinePolicy
from roost_edge.ota.reporting import report
from roost_edge.ota.settings import BusySettings
from roost_edge.ota.standing import Standing, first
from roost_edge.ota.trial import MAX_LABELS, MAX_OPEN, TrialCounter
from roost_models.rollout.signed_report import verify

LINE = Line("t", "champion", "hen")


def counter() -> TrialCounter:
    made = TrialCounter(LINE, "canary")
    for slot, letter in (("a", "a"), ("b", "b")):
        made.holds(slot, content(letter), 1000)  # type: ignore[arg-type] # a literal in a loop
        made.ready(slot, 2000)  # type: ignore[arg-type] # as above
    return made


def test_requests_answers_agreement_and_official_results_are_counted_once_each() -> None:
    made = counter()
    for number, (champion, new, canary) in enumerate([("x", "x", "x"), ("x", "y", "y"), ("x", "x", "y")]):
        request = f"{number:032x}"
        for _ in range(2):  # everything comes twice
            made.request(request, number)
            made.score("champion", request, champion, 5.0)
            made.score("champion-b", request, new, 1.0 + number)
            made.score("canary", request, canary, 9.0)
            made.official("champion", request)
    trial = made.trial("b")
    assert trial is not None
    assert (trial.requests, trial.answered, trial.official, trial.since) == (3, 3, 0, 2000)
    assert {one.model: (one.same, one.of) for one in trial.agreements} == {"champion": (2, 3), "canary": (2, 3)}
    assert (trial.p50_ms, trial.p99_ms, trial.labels) == (2.0, 3.0, {"x": 2, "y": 1})
    old = made.trial("a")
    assert old is not None
    assert old.official == 3
    assert made.counts["duplicate"] == 12


def test_what_was_not_asked_for_or_came_before_it_was_ready_does_not_count() -> None:
    made = TrialCounter(LINE)
    made.holds("b", content("b"), 0)
    made.request("1", 0)
    made.score("champion-b", "1", "x", 1.0)
    made.ready("b", 5)
    made.request("2", 1)
    made.declined("champion-b", "2", "not-sampled")
    made.request("3", 2)
    made.declined("champion-b", "3", "behind")
    made.declined("champion-b", "3", "behind")
    made.score("champion-b", "unknown", "x", 1.0)
    trial = made.trial("b")
    assert trial is not None
    assert (trial.requests, trial.answered, trial.declined) == (1, 0, 1)
    assert made.counts["unknown"] == 1


def test_another_bundle_in_the_slot_begins_from_nothing_and_the_same_one_goes_on() -> None:
    made = counter()
    made.request("1", 0)
    made.score("champion-b", "1", "x", 1.0)
    made.holds("b", content("b"), 9)
    assert made.tally("b") == (content("b").digest, 1, 1, 0)
    made.gone("b", by_itself=True)
    assert made.tally("b") == (content("b").digest, 1, 1, 1)
    made.holds("b", content("c"), 9)
    assert made.tally("b") == (content("c").digest, 0, 0, 0)


def test_floods_and_inventive_models_are_bounded() -> None:
    made = counter()
    for number in range(MAX_OPEN * 3):
        made.request(str(number), number)
        made.score("champion-b", str(number), f"label {number}", 1.0)
    assert len(made._open) == MAX_OPEN
    trial = made.trial("b")
    assert trial is not None
    assert len(trial.labels) == MAX_LABELS


def test_a_device_is_busy_with_motion_requests_and_hours_and_says_with_which() -> None:
    busy = Busy(BusySettings(requests_per_min=2, hours=("22:00-06:00",)))
    assert busy.why(0, 12 * 60) == ""
    busy.motion("nest", True, 0)
    assert "moves" in busy.why(100 * SECOND, 720)
    busy.motion("nest", False, 200 * SECOND)
    assert "moves" in busy.why(229 * SECOND, 720)
    assert busy.why(231 * SECOND, 720) == ""
    for second in (232, 233, 234):
        busy.request(second * SECOND)
    assert "2 requests" in busy.why(235 * SECOND, 720)
    assert busy.why(293 * SECOND, 720) == ""
    assert [busy.why(300 * SECOND, minute) != "" for minute in (21 * 60, 23 * 60, 5 * 60, 6 * 60)] == [
        False,
        True,
        True,
        False,
    ]


def test_a_report_is_signed_with_a_key_of_the_devices_own_and_any_change_shows(tmp_path: Path) -> None:
    key = DeviceKey.at(tmp_path / "ota" / "key")
    assert stat.S_IMODE((tmp_path / "ota" / "key").stat().st_mode) == 0o600
    assert DeviceKey.at(tmp_path / "ota" / "key").key_id == key.key_id
    machine = LineMachine(first(content("a")), content("a"), LinePolicy())
    state = report(new_header(VirtualClock(), "coop-1", "ota"), "coop-1", {}, [(LINE, machine, counter())], "")
    payload = key.sign(state)
    assert verify(payload) == verify(payload, key.key_id) == "good"
    assert verify(payload.replace(b"coop-1", b"coop-2")) == "forged"
    loose = msgspec.json.decode(payload)
    assert verify(msgspec.json.encode({**loose, "colourOfTheFuture": "teal"})) == "forged"
    assert verify(msgspec.json.encode(dict(sorted(loose.items())))) == "good"
    assert verify(payload, DeviceKey.at(tmp_path / "other").key_id) == "another-key"
    assert verify(msgspec.json.encode({**loose, "signature": ""})) == "unsigned"
    (tmp_path / "half").write_bytes(b"short")
    with pytest.raises(Misuse, match="not this device's key"):
        DeviceKey.at(tmp_path / "half")


def test_how_a_line_stands_is_read_as_it_was_written_and_rubbish_counts_as_not_there(tmp_path: Path) -> None:
    folder = OtaFolder(tmp_path / "ota")
    assert folder.standing(LINE) is None
    standing = first(content("a")).with_other(content("b"), "shadow").swapped("fallback")
    folder.write_standing(LINE, standing)
    assert folder.standing(LINE) == standing
    path = tmp_path / "ota" / "lines" / "t" / "champion.json"
    for rubbish in (
        b"",
        b"{",
        b"null",
        msgspec.json.encode({"schema": "roost.ota-line/1", "active": "b", "slots": {}}),
    ):
        path.write_bytes(rubbish)
        assert folder.standing(LINE) is None


def test_a_standing_cannot_point_to_an_empty_slot() -> None:
    with pytest.raises(ValueError, match="active slot is empty"):
        Standing(active="b", slots={"a": content("a")})
    with pytest.raises(ValueError, match="cannot be fallback"):
        Standing(slots={"a": content("a")}, beside="fallback")


def test_alarms_that_blame_a_slots_model_count_once_each_since_its_bundle_came() -> None:
    made = counter()
    for _ in range(2):  # the retained list is told again
        made.alarm("01", {"champion-b"}, 5_000)
    made.alarm("02", {"champion-b", "fast"}, 6_000)
    made.alarm("03", {"champion-b"}, 500)  # of the bundle that lay there before
    made.alarm("04", {"fast"}, 7_000)
    new, old = made.trial("b"), made.trial("a")
    assert new is not None
    assert old is not None
    assert (new.alarms, old.alarms) == (2, 0)


def test_whether_the_monitor_can_blame_a_slots_model_is_told_with_its_trial() -> None:
    made = counter()
    before = made.trial("b")
    made.judged(["champion-b", "fast"])
    new, old = made.trial("b"), made.trial("a")
    assert before is not None
    assert new is not None
    assert old is not None
    assert (before.alarms_able, new.alarms_able, old.alarms_able) == (False, True, False)

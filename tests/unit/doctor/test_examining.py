import threading
from pathlib import Path

import msgspec
import pytest
from patients import patient

from roost_broker.clock import SECOND, VirtualClock
from roost_broker.errors import Misuse, PeerError
from roost_edge.doctor import telling
from roost_edge.doctor.checks import checks_of
from roost_edge.doctor.examining import Check, chosen, examine, patience_until
from roost_edge.doctor.findings import (
    MAX_TEXT,
    Finding,
    Report,
    Verdict,
    fail,
    named,
    ok,
    skipped,
    together,
    warn,
)
from roost_edge.doctor.patient import Patient
from roost_edge.settings.device import Settings


def raising(error: Exception) -> Check:
    def run(_patient: Patient) -> Verdict:
        raise error

    return Check(type(error).__name__, run)


def test_a_check_that_hangs_is_named_and_left_behind_and_the_others_are_told(tmp_path: Path) -> None:
    release = threading.Event()

    def hang(_patient: Patient) -> Verdict:
        release.wait()
        return ok("too late")

    checks = [
        Check("hung", hang, limit_s=0.2, hangs="Unplug it."),
        Check("well", lambda _patient: ok("fine")),
        Check("hung-too", hang, limit_s=0.2, heavy=True),
        Check("waits", lambda _patient: ok("fine"), limit_s=0.2, heavy=True),
    ]
    report = examine(patient(tmp_path), checks)
    release.set()
    assert [finding.status for finding in report.checks[:3]] == ["fail", "ok", "fail"]
    assert report.checks[0].found == "It did not end within 0.2 s."
    assert report.checks[0].remedy == "Unplug it."
    assert report.checks[3].status in ("skipped", "fail")
    assert not report.ok


def test_at_the_end_of_all_time_what_is_missing_is_named_and_is_no_failure(tmp_path: Path) -> None:
    begun, release = threading.Barrier(3), threading.Event()
    clock = VirtualClock()

    def hang(_patient: Patient) -> Verdict:
        begun.wait(60)
        release.wait()
        return ok("too late")

    def reported(_patient: Patient) -> Verdict:
        begun.wait(60)
        clock.advance(600 * SECOND)
        return ok("fine")

    checks = [
        Check("well", reported, limit_s=6_000),
        Check("slow", hang, limit_s=6_000),
        Check("slow-too", hang, limit_s=6_000, heavy=True),
        Check("waits", lambda _patient: ok("fine"), limit_s=6_000, heavy=True),
    ]
    report = examine(patient(tmp_path, clock=clock), checks, end_ns=600 * SECOND - 1)
    release.set()
    assert [finding.status for finding in report.checks] == ["ok", "warn", "warn", "skipped"]
    assert [finding.took_ms for finding in report.checks[1:]] == [600_000] * 3
    assert report.checks[1].found == "It had not ended when the examination's time was over."
    assert report.checks[3].found == "Its turn had not come when the examination's time was over."
    assert all(f"--only {finding.name}" in finding.remedy for finding in report.checks[1:])
    assert report.ok


def test_who_gives_an_examination_longer_gives_each_check_longer_and_nobody_shortens_them(tmp_path: Path) -> None:
    assert patience_until(None, 5) == 1
    assert patience_until(60 * SECOND, 0) == 1
    assert patience_until(610 * SECOND, 10 * SECOND) == 5
    release = threading.Event()

    def hang(_patient: Patient) -> Verdict:
        release.wait()
        return ok("too late")

    device = patient(tmp_path)
    device.patience = 4
    checks = [Check("hung", hang, limit_s=0.1), Check("hung-too", hang, limit_s=0.1, heavy=True)]
    report = examine(device, checks)
    release.set()
    assert [finding.found for finding in report.checks] == ["It did not end within 0.4 s."] * 2


def test_an_examination_that_begins_after_its_end_reports_at_once(tmp_path: Path) -> None:
    release = threading.Event()

    def hang(_patient: Patient) -> Verdict:
        release.wait()
        return ok("too late")

    report = examine(patient(tmp_path), [Check("slow", hang, limit_s=600)], end_ns=0)
    release.set()
    assert [finding.status for finding in report.checks] in (["warn"], ["skipped"])


def test_heavy_checks_run_one_after_another_and_each_has_its_whole_time(tmp_path: Path) -> None:
    running, most = 0, 0
    guard = threading.Lock()
    beside = threading.Barrier(2)

    def heavy(_patient: Patient) -> Verdict:
        nonlocal running, most
        with guard:
            running += 1
            most = max(most, running)
        with guard:
            running -= 1
        return ok("done")

    def light(_patient: Patient) -> Verdict:
        beside.wait(30)  # breaks unless two of them run at once
        return ok("done")

    checks = [Check(f"heavy/{n}", heavy, limit_s=30, heavy=True) for n in range(5)]
    checks += [Check(f"light/{n}", light, limit_s=60) for n in range(2)]
    report = examine(patient(tmp_path), checks)
    assert report.ok
    assert most == 1


def test_whatever_a_check_raises_becomes_a_finding(tmp_path: Path) -> None:
    secret = Misuse("The password cannot be read.", "Be root.")
    secret.__cause__ = PermissionError(13, "Permission denied")
    errors = [
        PeerError("The peer sulks.", "Talk to it."),
        PermissionError(13, "Permission denied", "/secret"),
        OSError(5, "Input/output error"),
        ZeroDivisionError("a defect"),
        secret,
    ]
    report = examine(patient(tmp_path), [raising(error) for error in errors])
    assert [finding.status for finding in report.checks] == ["fail", "skipped", "fail", "fail", "skipped"]
    assert [finding.remedy for finding in report.checks][:2] == ["Talk to it.", "Run it as root."]
    assert "/secret" in report.checks[1].found
    assert "ZeroDivisionError: a defect" in report.checks[3].found


def test_findings_are_told_in_the_order_of_the_checks(tmp_path: Path) -> None:
    told: list[str] = []
    checks = [Check(name, lambda _patient: ok("fine")) for name in "abcdef"]
    report = examine(patient(tmp_path), checks, lambda finding: told.append(finding.name))
    assert told == [finding.name for finding in report.checks] == list("abcdef")


def test_a_group_or_a_name_chooses_and_one_that_nobody_has_is_misuse(tmp_path: Path) -> None:
    text = '[cameras.x]\ntask = "nest"\n[cameras.y]\ntask = "nest"\n'
    checks = checks_of(patient(tmp_path, sections=text).settings)
    assert [check.name for check in chosen(checks, ("camera",))] == ["camera/x", "camera/y"]
    assert [check.name for check in chosen(checks, ("camera/y", "clock"))] == ["clock", "camera/y"]
    assert chosen(checks, ()) == list(checks)
    with pytest.raises(Misuse, match=r"no check 'cameras'.*camera, |no check 'cameras'"):
        chosen(checks, ("cameras",))


def test_names_of_checks_are_distinct_and_optional_parts_come_with_their_sections(tmp_path: Path) -> None:
    names = [check.name for check in checks_of(patient(tmp_path).settings)]
    assert len(set(names)) == len(names)
    assert "gateway" not in names
    assert "gateway" in [check.name for check in checks_of(patient(tmp_path, sections="[gateway]").settings)]


def test_the_worst_of_several_verdicts_counts_and_keeps_all_figures() -> None:
    verdict = together([ok("fine", a=1), fail("bad", "Mend it.", b=2), warn("odd", "Look."), fail("worse", "Mend it.")])
    assert verdict == Verdict(status="fail", found="bad worse", remedy="Mend it.", facts={"a": 1, "b": 2})
    assert together([skipped("no"), ok("yes")]).status == "ok"


def test_sentences_are_bounded_and_of_one_line() -> None:
    finding = named("x", fail("two\nlines " + "!" * 5000, "do\tit"), 1)
    assert finding.found.startswith("two lines !!!")
    assert len(finding.found) == MAX_TEXT
    assert finding.remedy == "do it"


REPORT = Report(
    node="coop-1",
    version="0.1.0",
    timestamp=1,
    took_ms=1234,
    ok=False,
    checks=[
        Finding(name="storage", status="ok", found="It keeps what is written.", remedy="never shown"),
        Finding(name="camera/nest", status="fail", found="Nothing came.\x1b[31m", remedy="Check the cable."),
        Finding(name="power", status="skipped", found="This is not a Raspberry Pi."),
    ],
)


def test_a_report_reads_as_a_table_without_colours_and_strange_characters_do_no_harm() -> None:
    assert list(telling.lines(REPORT)) == [
        "ok    storage      It keeps what is written.",
        "FAIL  camera/nest  Nothing came.\ufffd[31m",
        "                   → Check the cable.",
        "-     power        This is not a Raspberry Pi.",
        "",
        "coop-1: 1 ok, 0 to look at, 1 failed, 1 not examined (1.2 s).",
    ]


def test_long_sentences_stay_in_their_column() -> None:
    long = Finding(name="x", status="warn", found="word " * 40, remedy="step " * 40)
    lines = list(telling.told(long, names=1, width=60))
    assert all(len(line) <= 60 for line in lines)
    assert {line[:9] for line in lines[1:]} == {" " * 9}


def test_a_report_is_what_its_schema_says_and_survives_a_message() -> None:
    again = msgspec.json.decode(msgspec.json.encode(REPORT), type=Report)
    assert again == REPORT
    loose = msgspec.json.decode(msgspec.json.encode(REPORT))
    assert loose["schema"] == "roost.doctor/1"
    assert {"name", "status", "found", "remedy", "facts", "tookMs"} == set(loose["checks"][0])


def test_settings_reach_the_child_as_they_are(tmp_path: Path) -> None:
    text = '[cameras.x]\ntask = "nest"\n[gateway]\n[proxy]\n'
    settings = patient(tmp_path, sections=text).settings
    assert msgspec.json.decode(msgspec.json.encode(settings), type=Settings) == settings

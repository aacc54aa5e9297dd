from pathlib import Path

import msgspec
from patients import SCHEDULE, helps, patient

from roost_edge.doctor.schedules import schedule_of
from roost_rendezvous.server.attainment import FILE, Attained, Record


def test_the_schedule_of_the_settings_is_judged_where_the_one_in_force_is_not_known(tmp_path: Path) -> None:
    verdict = schedule_of(patient(tmp_path), "nest")
    assert helps(verdict, "ok", "an answer within 2000 ms", "")
    assert "which one is in force is not known" in verdict.found


def test_a_schedule_that_cannot_be_read_names_its_line(tmp_path: Path) -> None:
    device = patient(tmp_path)
    (tmp_path / "schedule.toml").write_text(SCHEDULE.replace("1900", "2500"), encoding="utf-8")
    verdict = schedule_of(device, "nest")
    assert helps(verdict, "fail", "cannot be used", "")
    assert verdict.remedy


def test_a_model_that_nobody_runs_is_a_doubt(tmp_path: Path) -> None:
    device = patient(tmp_path)
    (tmp_path / "schedule.toml").write_text(SCHEDULE.replace('["a"]', '["champion"]'), encoding="utf-8")
    assert helps(schedule_of(device, "nest"), "warn", "no model champion", "roost schedule apply")


def test_an_sla_that_no_model_ever_kept_is_a_failure(tmp_path: Path) -> None:
    device = patient(tmp_path)
    journal = device.settings.layout.journal("nest")
    journal.mkdir(parents=True)
    slow = Record(version="1", answers=100, fastest_ms=2_400.0)
    (journal / FILE).write_bytes(msgspec.json.encode(Attained(models={"a": slow})))
    assert helps(schedule_of(device, "nest"), "fail", "Every request would get the default", "more time")

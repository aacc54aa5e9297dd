"""What a boot test is asked for, and what it says it came to."""

import json
from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_provisioning.boot_test.options import Options, parse
from roost_provisioning.boot_test.report import Report, Step
from roost_provisioning.boot_test.telling import Telling


def test_without_arguments_an_image_is_built_and_the_whole_story_played() -> None:
    assert parse([]) == Options()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--image", "no-such.img"], "There is no image"),
        (["--card", "1"], "A card of 1 GB"),
        (["--cut-after", "5"], "would show nothing"),
        (["--patience", "0"], "--patience 0"),
        (["--memory", "64"], "64 MB of memory"),
        (["--processors", "0"], "0 processors"),
    ],
)
def test_what_cannot_be_played_is_refused_before_anything_begins(words: list[str], problem: str) -> None:
    with pytest.raises(Misuse, match=problem):
        parse(words)


def test_a_folder_to_keep_things_in_must_be_new_or_empty(tmp_path: Path) -> None:
    assert parse(["--keep", str(tmp_path)]).keep == tmp_path
    (tmp_path / "something").touch()
    with pytest.raises(Misuse, match="is in use"):
        parse(["--keep", str(tmp_path)])


def finished() -> Report:
    step = Step(name="First boot", seconds=61.5, found="coop-1")
    return Report(machine="virt", steps=[step], figures={"enrolled_s": 61.5}, done=True)


def test_a_story_that_came_to_its_end_without_a_problem_is_well() -> None:
    report = finished()
    assert report.ok
    assert "Everything came as it should, on virt." in "\n".join(report.lines())
    assert json.loads(json.dumps(report.as_data()))["figures"] == {"enrolled_s": 61.5}


def test_one_problem_is_enough_and_is_told() -> None:
    report = finished()
    report.problems.append("The device has no key.")
    assert not report.ok
    assert report.as_data()["ok"] is False
    assert "  NOT SO: The device has no key." in list(report.lines())


def test_a_story_that_broke_off_is_not_well_though_no_problem_was_found() -> None:
    report = finished()
    report.done = False
    assert not report.ok
    assert "did not come to its end" in "\n".join(report.lines())


def test_figures_always_say_that_they_are_an_emulators() -> None:
    assert finished().as_data()["emulated"] is True
    assert any("(emulated)" in line for line in finished().lines())


def test_a_step_is_told_with_what_it_found_and_one_that_breaks_off_is_none() -> None:
    said: list[str] = []
    tell = Telling(Report(), said.append)
    with tell.step("First boot") as found:
        found("coop-1")
    with pytest.raises(Misuse), tell.step("Second boot"):
        raise Misuse("it did not")
    assert [(step.name, step.found) for step in tell.report.steps] == [("First boot", "coop-1")]
    assert said[0] == "── First boot"
    assert said[-1] == "── Second boot"


def test_what_is_not_so_is_a_problem_and_the_story_goes_on() -> None:
    tell = Telling(Report(done=True), lambda line: None)
    tell.expect(True, "All is well.")
    assert tell.report.ok
    tell.expect(False, "The device has no key.")
    assert tell.report.problems == ["The device has no key."]


def test_a_figure_of_the_second_boot_does_not_replace_the_first() -> None:
    tell = Telling(Report(), lambda line: None)
    tell.figure("ready_s", 100.04)
    tell.figure("ready_s", 60)
    assert tell.report.figures == {"ready_s": 100.0, "ready_s_again": 60}

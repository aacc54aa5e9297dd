"""Progress and tables: small parts of the command line that a process test would not pin down."""

import io
import sys
import tomllib

import pytest

from roost_broker.centre.fleet import DeviceView
from roost_broker.errors import Malformed, Misuse
from roost_edge.cli import output
from roost_edge.cli.config import to_toml
from roost_edge.cli.fleet import _Lines
from roost_edge.cli.reporter import LiveReporter, PlainReporter, reporting


def test_plain_progress_is_lines_that_a_log_can_keep() -> None:
    stream = io.StringIO()
    report = PlainReporter("Replaying", stream=stream, every_s=0)
    report.progress(3, 10)
    report.progress(4, None)
    report.note("One thing more.")
    assert stream.getvalue() == "Replaying: 3 of 10\nReplaying: 4\nOne thing more.\n"


def test_plain_progress_is_not_told_more_often_than_asked() -> None:
    stream = io.StringIO()
    report = PlainReporter("Replaying", stream=stream, every_s=1_000)
    for done in range(100):
        report.progress(done, 100)
    assert stream.getvalue() == ""


def test_into_a_pipe_progress_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    assert not sys.stderr.isatty()
    with reporting("x") as report:
        assert isinstance(report, PlainReporter)
        report.note("to stderr")
    assert capsys.readouterr().err == "to stderr\n"


def test_on_a_terminal_progress_is_a_bar_with_its_title() -> None:
    from rich.console import Console
    from rich.progress import Progress

    stream = io.StringIO()
    with Progress(console=Console(file=stream, force_terminal=True, width=80)) as progress:
        report = LiveReporter("Replaying", progress)
        report.progress(5, 10)
        report.note("Half way.")
    assert "Replaying" in stream.getvalue()
    assert "50%" in stream.getvalue()
    assert "Half way." in stream.getvalue()


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (Misuse("That cannot be.", "Do this."), output.MISUSE, "roost: That cannot be.\n  → Do this.\n"),
        (Malformed("Not as agreed."), output.NO, "roost: Not as agreed.\n"),
        (ModuleNotFoundError("no", name="numpy"), output.MISUSE, "pip install 'roost[edge]'"),
        (ModuleNotFoundError("no", name="roost_edge.gone"), output.DEFECT, "a defect"),
        (OSError(28, "No space left on device"), output.NO, "No space left on device"),
        (ZeroDivisionError("x"), output.DEFECT, "ROOST_DEBUG=1"),
    ],
)
def test_every_error_has_a_status_and_a_next_step(
    error: Exception, status: int, says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROOST_DEBUG", raising=False)
    assert output.complain(error) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert "Traceback" not in err


def test_a_table_is_as_wide_as_its_cells() -> None:
    assert output.table([("a", "b"), ("longer", "c")]) == "a       b\nlonger  c"
    assert output.table([]) == ""


@pytest.mark.parametrize(("share", "filled"), [(-1.0, 0), (0.0, 0), (0.5, 12), (1.0, 24), (7.0, 24)])
def test_a_bar_is_always_of_one_width(share: float, filled: int) -> None:
    assert output.bar(share) == "█" * filled + "·" * (24 - filled)


def test_toml_leaves_out_what_is_none_and_quotes_texts() -> None:
    assert (
        to_toml({"a": {"x": None, "y": 'say "hi"', "b": {"z": [1, 2]}}})
        == '[a]\ny = "say \\"hi\\""\n\n[a.b]\nz = [1, 2]\n'
    )


def test_toml_of_tables_in_lists_and_of_names_with_spaces_can_be_read_again() -> None:
    values = {"a b": {"c": [{"d e": 1, "f": [True, "x"]}, {"g": None}]}}
    assert tomllib.loads(to_toml(values)) == {"a b": {"c": [{"d e": 1, "f": [True, "x"]}, {}]}}


def test_what_devices_say_cannot_move_the_cursor_or_recolour_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.say("a device says:\n\x1b[2J\x9b31mall is well")
    assert capsys.readouterr().err == "a device says:\n\ufffd[2J\ufffd31mall is well\n"


def test_a_devices_problem_is_shown_without_its_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    view = DeviceView(
        **{"node": "coop-1", "condition": "online", "heard_ms": 1, "age_ms": 1, "late_ms": 0, "version": ""},
        **{
            "tasks": (),
            "roles": {},
            "models": (),
            "lines": (),
            "problems": ("ota: \x1b]0;hacked\x07",),
            "malformed": 0,
        },
    )
    _Lines(as_json=False).show([view])
    assert capsys.readouterr().out == "coop-1 is online, 0 of 0 models ready: ota: \ufffd]0;hacked\ufffd\n"

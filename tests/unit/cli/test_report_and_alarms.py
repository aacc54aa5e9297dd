"""`roost report` on files alone, and what `roost alarms` says without a broker."""

import json
from pathlib import Path

import msgspec
import pytest

from roost_edge.cli import main
from roost_rendezvous.analytics.rows import Row, Word

MINUTE = 60 * 10**9
START = 1_795_000_000 * 10**9


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    found = []
    for nth in range(200):
        word = Word(model="champion", version="1", scores={"hen": 0.9, "egg": 0.1}, elapsed_ms=50, compute_ms=40)
        about = {
            "answered_by": "champion",
            "label": "hen",
            "cause": "preferred",
            "elapsed_ms": 55.0,
            "deadline_ms": 2_000,
        }
        row = Row(request_id=f"{nth:032x}", task="nest", at=START + nth * MINUTE, words=(word,), **about)  # type: ignore[arg-type]  # literals
        found.append(msgspec.json.encode(row))
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(found))
    return path


def roost(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["roost", *map(str, words)])
    try:
        return main()
    except SystemExit as end:
        return int(end.code or 0) if isinstance(end.code, int | None) else 1


def test_a_file_of_rows_is_told_on_the_terminal(
    rows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert roost(monkeypatch, "report", rows) == 0
    said = capsys.readouterr().out
    assert "100 % of 200 requests were answered in time" in said
    assert "champion" in said


def test_a_page_and_json_say_the_same(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "report.html"
    assert roost(monkeypatch, "report", rows, "--html", page, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tasks"][0]["service"]["requests"] == 200
    text = page.read_text(encoding="utf-8")
    assert "100 % of 200 requests" in text
    assert "<script" not in text
    assert ".plot .line" in text


def test_a_csv_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("request_id,old,new\n1,0.5,0.6\n2,0.9,0.8\n", encoding="utf-8")
    assert roost(monkeypatch, "report", path) == 0
    assert "old" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [("missing.jsonl",), ("-",), ("a.jsonl", "--archive", "b"), ("a.jsonl", "--since", "x")]
)
def test_what_cannot_be_reported_says_what_to_do(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert roost(monkeypatch, "report", *words) == 2
    assert "→" in capsys.readouterr().err


def test_a_line_that_is_no_row_is_named_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"request_id": "1", "task": "t", "at": 1}\nnonsense\n', encoding="utf-8")
    assert roost(monkeypatch, "report", path) == 1
    assert "Line 2" in capsys.readouterr().err

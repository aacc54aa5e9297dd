"""`roost report` of a device: head-room and noisy neighbours from what its monitor keeps on the card."""

import random
from pathlib import Path

import pytest

from roost_edge.cli import main
from roost_rendezvous.analytics.rows import Row, Word
from roost_rendezvous.analytics.sketches.book import SketchBook
from roost_rendezvous.analytics.sketches.qualifiers import qualifiers
from roost_rendezvous.analytics.sketches.store import SketchStore
from roost_rendezvous.monitor.journal import Journal

SECOND = 10**9
START = 1_795_000_000 // 600 * 600 * SECOND
Say = pytest.CaptureFixture[str]


def computed(nth: int, model: str, took: float, at: int, task: str) -> Row:
    word = Word(model=model, version="1", scores={"hen": 1.0}, elapsed_ms=took, compute_ms=took)
    return Row(request_id=f"{task}-{model}-{nth}", task=task, at=at, words=(word,), elapsed_ms=took)


def busy_hour(slower: float, many: int = 900) -> list[Row]:
    """`door/heavy` works half of the time; `nest/champion` takes so many times as long meanwhile."""
    draw, found = random.Random(1), []
    for nth in range(many):
        at = START + nth * 4 * SECOND
        if nth % 2:
            found.append(computed(nth, "heavy", 3_000.0, at, "door"))
        took = draw.lognormvariate(0, 0.2) * 20 * (slower if nth % 2 else 1.0)
        found.append(computed(nth, "champion", took, at + SECOND, "nest"))
    return found


@pytest.fixture
def device(tmp_path: Path) -> Path:
    settings = tmp_path / "roost.toml"
    settings.write_text(f'[node]\nname = "coop-1"\ndata = "{tmp_path / "data"}"\n', encoding="utf-8")
    return settings


def keep(device: Path, rows: list[Row]) -> None:
    """As the monitor does."""
    folder = device.parent / "data" / "analytics"
    journal = Journal(folder / "journal.db")
    journal.write([], [], None, rows)
    journal.close()
    store, book = SketchStore(folder / "sketches.db"), SketchBook()
    for row in sorted(rows, key=lambda one: one.at):
        for word in row.words:
            assert word.compute_ms is not None
            for kind in ("latency", "compute"):
                book.add(qualifiers(row.task, kind, model=word.model, version="1"), word.compute_ms, row.at, row.at)
        store.put(book.tick(row.at))
    store.put(book.close())
    store.close()


def report(device: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say, *words: object) -> str:
    monkeypatch.setattr("sys.argv", ["roost", "report", "--settings", str(device), *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, None)
    return capsys.readouterr().out


def test_head_room_of_each_model_and_who_disturbs_whom_are_told(
    device: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    keep(device, busy_hour(1.6))
    page = device.parent / "out.html"
    said = report(device, monkeypatch, capsys, "--html", page)
    [heavy] = [line for line in said.splitlines() if line.startswith("heavy 1")]
    assert heavy.endswith("2.7 × as many")
    [disturbed] = [line.strip() for line in said.splitlines() if "while door/heavy is at work" in line]
    assert disturbed.startswith("nest/champion computes ")
    assert disturbed.endswith("% longer while door/heavy is at work (450 times with it, 450 without).")
    assert "Do models disturb each other?" in page.read_text(encoding="utf-8")


def test_where_nobody_disturbs_anybody_that_is_said(device: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say) -> None:
    keep(device, busy_hour(1.0))
    assert "No model is slower while another one is at work" in report(device, monkeypatch, capsys)


def test_too_little_history_is_an_answer(device: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say) -> None:
    keep(device, busy_hour(1.6, many=20))
    said = report(device, monkeypatch, capsys)
    assert "not enough history: 20 of 30 answers" in said
    assert "Not enough history, fewer than 60 computations: door/heavy, nest/champion." in said

"""`roost compare` on a device needs no `--archive` where its settings leave one answer."""

import hashlib
from pathlib import Path

import pytest

from roost_broker.ids import new_id
from roost_broker.messages import FrameRef, Input, Issued, Output, Request, Score, encode
from roost_edge.cli import main
from roost_models.archive.writing import Archive, Item

START_MS = 1_700_000_000_000
DEVICE = '[node]\nname = "coop-1"\ndata = "data"\n'
TASK = '[tasks.{name}]\nschedule = "{name}.toml"\nmodels.old.bundle = "old"\n'
SCHEDULE = """task = "{name}"
sla_ms = 2000
[[step]]
after_ms = 0
accept = ["old"]
[default]
after_ms = 1900
label = "unknown"
"""
Say = pytest.CaptureFixture[str]


def device(folder: Path, *tasks: str) -> Path:
    for name in tasks:
        (folder / f"{name}.toml").write_text(SCHEDULE.format(name=name), encoding="utf-8")
    file = folder / "roost.toml"
    file.write_text(DEVICE + "".join(TASK.format(name=name) for name in tasks), encoding="utf-8")
    return file


def archived(folder: Path, task: str, requests: int) -> None:
    """As the decoy keeps them: `old` and `new` say the same."""
    items = []
    for number in range(requests):
        asked = Request(
            timestamp=START_MS + 1000 * number,
            message_id=new_id(number, b"m" * 10),
            request_id=f"{number:032x}",
            return_address=f"roost/coop-1/{task}/results/cam",
            deadline_ms=2_000,
            issued=Issued(boot="b" * 32, seq=number, monotonic_ns=number, attempt=1),
            input=Input(frame=FrameRef(sha256="0" * 64, bytes=9, path="x.png", width=16, height=12)),
        )
        payload = encode(asked)
        items.append(Item(payload, asked, task, asked.timestamp * 1_000_000))
        for model in ("old", "new"):
            said = Score(
                timestamp=asked.timestamp + 30,
                message_id=hashlib.sha256(f"{number}{model}".encode()).hexdigest()[:32],
                request_id=asked.request_id,
                model=model,
                version="1",
                outputs=[Output(label="hen", score=0.75), Output(label="none", score=0.25)],
                compute_ms=4.0,
                saw=hashlib.sha256(payload).hexdigest(),
            )
            items.append(Item(encode(said), said, task, said.timestamp * 1_000_000))
    with Archive(folder / "data" / "archive" / task) as archive:
        archive.write(items, None)


def compare(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["roost", "compare", *map(str, words)])
    try:
        return main()
    except SystemExit as end:
        return int(end.code or 0)


def test_the_archive_of_the_only_task_is_taken_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    file = device(tmp_path, "nest")
    archived(tmp_path, "nest", 3)
    assert compare(monkeypatch, "old", "new", "--settings", file) == 0
    said = capsys.readouterr()
    assert said.out.startswith("old beside new: 3 requests of nest")
    assert said.err.startswith(f"Of {tmp_path / 'data/archive/nest'}, as {file} has it.\n")
    monkeypatch.chdir(tmp_path)
    assert compare(monkeypatch) == 0  # all pairs
    assert "100" in capsys.readouterr().out


def test_of_several_tasks_one_is_to_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say) -> None:
    file = device(tmp_path, "nest", "door")
    archived(tmp_path, "door", 2)
    assert compare(monkeypatch, "old", "new", "--settings", file) == 2
    said = capsys.readouterr().err
    assert "several tasks: nest, door" in said
    assert "  → Name one: --task NAME." in said
    assert compare(monkeypatch, "old", "new", "--settings", file, "--task", "door") == 0
    assert capsys.readouterr().out.startswith("old beside new: 2 requests of door")


def test_a_source_that_is_named_goes_before_that_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    file, elsewhere = device(tmp_path, "nest"), tmp_path / "elsewhere"
    archived(tmp_path, "nest", 3)
    archived(elsewhere, "nest", 5)
    words = ["old", "new", "--settings", file, "--archive", elsewhere / "data/archive/nest"]
    assert compare(monkeypatch, *words) == 0
    said = capsys.readouterr()
    assert said.out.startswith("old beside new: 5 requests of nest")
    assert "Of " not in said.err


def test_without_settings_or_before_the_first_request_the_error_says_what_to_add(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    assert compare(monkeypatch, "old", "new", "--settings", tmp_path / "none.toml") == 2
    said = capsys.readouterr().err
    assert "no " + str(tmp_path / "none.toml") in said
    assert all(word in said for word in ("--archive DIR", "--rows FILE.jsonl", "--csv FILE.csv", "--settings FILE"))
    assert compare(monkeypatch, "old", "new", "--settings", device(tmp_path, "nest")) == 2
    said = capsys.readouterr().err
    assert "has archived nothing yet" in said
    assert "  → Let it run until it has answered (roost up), or give --archive DIR." in said
    assert not (tmp_path / "data").exists()

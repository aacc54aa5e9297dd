"""`roost compare` as its users meet it, on files (promises E1, E2, E7, K5, M9, C1, X9)."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from roost_edge.cli import main
from roost_rendezvous.analytics.comparison.row_files import parse, render
from roost_rendezvous.analytics.rows import Row, Word

NASTY = "<script>alert(1)</script>\x1b[31m"
VOID = ("meta", "link", "img", "br", "circle", "path", "line", "rect")


def roost(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["roost", "compare", *map(str, words)])
    try:
        return main()
    except SystemExit as end:
        return int(end.code or 0) if isinstance(end.code, int | None) else 1


def made(count: int = 400) -> list[Row]:
    """`canary`, `old` and `new`, which says something else in one of ten; half a day old and half of today."""
    random = np.random.default_rng(4)
    rows = []
    for number in range(count):
        score = float(random.uniform(0.55, 0.99))
        other = number % 10 == 0
        words = (
            Word(model="canary", version="1", scores={"hen": score - 0.02, "egg": 1.02 - score}, elapsed_ms=4),
            Word(model="old", version="1", scores={"hen": score, "egg": 1 - score}, elapsed_ms=20),
            Word(
                model="new", version="2", scores={"hen": 0.2, "egg": 0.8} if other else {"hen": score, "egg": 1 - score}
            ),
        )
        rows.append(
            Row(
                request_id=f"{number:032x}",
                task="nest",
                at=(20_000 if number < count // 2 else 20_001) * 86_400_000_000_000 + number,
                tags={"camera": NASTY if number % 4 == 0 else "door"},
                words=words,
                truth="egg" if other else "hen",
            )
        )
    return rows


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(map(render, made())))
    return path


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)
        self.outside += [value for name, value in attrs if name in ("src", "href") and value and value[:5] != "data:"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_two_models_of_a_file_are_compared_in_words_and_on_a_page(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    html = tmp_path / "out.html"
    assert roost(monkeypatch, "old", "new", "--rows", rows, "--cohort", "camera", "--html", html) == 0
    said = capsys.readouterr()
    assert said.out.startswith("old beside new: 400 requests of nest\n2024-10-04 00:00 to 2024-10-05 00:00 UTC")
    assert "PROMOTE new. Nothing here speaks against the next step: it is better: only it is right in 40" in said.out
    assert "360 of 400 answers are almost identical (90.00 %)" in said.out
    assert "at most 10 % of all answers change" in said.out
    assert "another label" in said.out
    assert "camera=door" in said.out
    assert "\x1b" not in said.out
    assert f"Written: {html}" in said.err
    page = html.read_text()
    seen = Seen()
    seen.feed(page)
    assert (seen.open, seen.outside) == ([], [])
    assert "script" not in seen.tags
    assert seen.tags.count("figure") >= 6 + 40  # three plots for each label, and the sample
    assert "top 10 %" in page
    assert "in truth: egg" in page


def test_a_program_gets_one_object(
    rows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert roost(monkeypatch, "old@1", "new", "--rows", rows, "--json", "--since", "2024-10-05", "--sample", "9") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["agreement"]["compared"] == 200
    assert found["one"]["versions"] == ["1"]
    assert len(found["sample"]) == 9
    assert sum(stratum["drawn"] for stratum in found["strata"]) == 9
    assert sum(stratum["size"] for stratum in found["strata"]) == 20
    assert found["gain"]["by"] == "truth"
    assert found["gain"]["estimate"]["mean"] == 1.0
    assert [top["share"] for top in found["labels"][0]["tops"]] == [0.01, 0.05, 0.1, 0.5]


def test_without_models_every_pair_is_listed_and_one_alone_is_looked_at_over_time(
    rows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert roost(monkeypatch, "--rows", rows) == 0
    table = capsys.readouterr().out
    assert [line.split()[:3] for line in table.splitlines()[1:]] == [
        ["canary@1", "new@2", "400"],
        ["canary@1", "old@1", "400"],
        ["new@2", "old@1", "400"],
    ]
    assert roost(monkeypatch, "old", "--rows", rows) == 0
    said = capsys.readouterr().out
    assert said.startswith("old@1 on 2024-10-05\n")
    for against in ("yesterday", "last month", "canary", "best"):
        assert against in said
    assert roost(monkeypatch, "nobody", "--rows", rows) == 2
    assert "These did: canary@1, new@2, old@1" in capsys.readouterr().err


def test_comparisons_with_a_canary_are_kept_and_the_next_model_is_judged_by_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bands = tmp_path / "bands.json"
    said = ""
    for number, every in enumerate((20, 19, 21, 20, 18, 2)):
        path = tmp_path / f"{number}.jsonl"
        words = [
            (Word(model="canary", scores={"hen": 1}), Word(model="new", version=str(number), scores=scores))
            for scores in ({"egg": 1.0} if nth % every == 0 else {"hen": 1.0} for nth in range(400))
        ]
        made_ = [Row(request_id=str(nth), task="t", at=nth, words=both) for nth, both in enumerate(words)]
        path.write_bytes(b"".join(map(render, made_)))
        assert roost(monkeypatch, "canary", "new", "--rows", path, "--bands", bands) == 0
        said = capsys.readouterr().out
        assert ("not enough history" in said) == (number < 4)
        # Beside the advice's reasons it stands by itself.
        assert said.count("unusual: new@5 differs from canary in 50 %") == (2 if number == 5 else 0)
    assert len(json.loads(bands.read_bytes())) == 6
    bands.write_text("{")
    assert roost(monkeypatch, "canary", "new", "--rows", tmp_path / "0.jsonl", "--bands", bands) == 2


def test_what_stands_behind_a_model_decides_whether_it_is_promoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(1)
    lines = ["request_id,model,label,score,truth"]
    for number in range(4_000):
        red = random.random() < 0.5
        chances = {"A": 0.8 * red, "B": 0.8 * (not red), "A2": 0.4 if red else 1.0}
        for model, chance in chances.items():
            lines.append(f"{number},{model},{'fraud' if random.random() < chance else 'clean'},1,fraud")
    (tmp_path / "long.csv").write_text("\n".join(lines))
    assert roost(monkeypatch, "A", "A2", "--csv", tmp_path / "long.csv", "--behind", "B", "--find", "fraud") == 0
    said = capsys.readouterr().out
    assert "CONTINUE A2" in said
    assert "Do not promote: A2 alone finds 7" in said
    assert "B adds 0 %" in said
    assert roost(monkeypatch, "A", "A2", "--csv", tmp_path / "long.csv", "--behind", "B") == 2


def test_a_csv_with_a_column_for_each_model_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wide.csv"
    lines = [f"{n},{n / 100},{3 * n - 7},{'a' if n % 2 else 'b'}" for n in range(1, 101)]
    path.write_text("\n".join(["request_id,old,new,group", *lines, "101,0.5,,a"]))
    kept = tmp_path / "rows.jsonl"
    assert roost(monkeypatch, "old", "new", "--csv", path, "--cohort", "group", "--write-rows", kept) == 0
    said = capsys.readouterr().out
    assert "different scales" in said
    assert "group=a" in said
    assert "1 silent" in said
    assert len(list(parse(kept.read_bytes().splitlines()))) == 101
    assert roost(monkeypatch, "old", "new", "--rows", kept, "--quantiles", "--json") == 0
    assert json.loads(capsys.readouterr().out)["agreement"]["almost"] == 100


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("a", "b"), "Rows come from one place"),
        (("a", "b", "--rows", "x", "--csv", "y"), "Rows come from one place"),
        (("a", "b", "--rows", "missing.jsonl"), "There is no file missing.jsonl"),
        (("a", "b", "--archive", "missing"), "There is no archive in missing"),
        (("a", "b", "--rows", "x", "--since", "yesterday"), "is no moment"),
        (("a", "b", "--rows", "x", "--labels", "y"), "Labels are found by the pictures"),
        (("old", "nobody", "--rows", "rows.jsonl"), "No request has answers of both old and nobody"),
        (("old", "old", "--rows", "rows.jsonl"), "compared with itself"),
    ],
)
def test_misuse_ends_with_what_to_do(
    words: tuple[str, ...],
    problem: str,
    rows: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(rows.parent)
    assert roost(monkeypatch, *words) == 2
    said = capsys.readouterr()
    assert problem in said.err
    assert "→" in said.err
    assert said.out == ""


def test_a_line_that_is_no_row_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(render(made(1)[0]) + b"\n{]\n")
    assert roost(monkeypatch, "old", "new", "--rows", path) == 1
    assert "Line 3 is no row" in capsys.readouterr().err


def test_where_the_schedule_draws_by_lot_it_is_told_what_always_choosing_each_would_have_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`old` is right in all, `new` in half; `new` is drawn in one of four."""
    random, rows = np.random.default_rng(1), []
    for number in range(2_000):
        wrong, bold = number % 2 == 0, random.random() < 0.25
        words = (
            Word(model="old", version="1", scores={"hen": 0.9, "egg": 0.1}),
            Word(model="new", version="1", scores={"hen": 0.2, "egg": 0.8} if wrong else {"hen": 0.9, "egg": 0.1}),
        )
        rows.append(
            Row(
                request_id=f"{number:032x}",
                task="nest",
                at=10**18 + number * 10**9,
                words=words,
                answered_by="new" if bold else "old",
                label="egg" if bold and wrong else "hen",
                cause="preferred",
                truth="hen",
                propensity=0.25 if bold else 0.75,
            )
        )
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(map(render, rows)))
    assert roost(monkeypatch, "old", "new", "--rows", path) == 0
    said = capsys.readouterr().out
    assert "Had old always been chosen, 100.0 % of the answers would have been right" in said
    assert roost(monkeypatch, "old", "new", "--rows", path, "--json") == 0
    found = {one["model"]: one for one in json.loads(capsys.readouterr().out)["always"]}
    assert abs(found["new"]["value"] - 0.5) <= 3 * found["new"]["error"]
    assert found["new"]["error"] < 0.05

"""The five phases: what may follow what, and on what evidence."""

import string
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.errors import Malformed
from roost_models.rollout import lifecycle
from roost_models.rollout.document import BundleRef, Rollout
from roost_models.rollout.lifecycle import PHASES, TRANSITIONS, Entry, Named, NotLegal, Phase, moved, uses
from roost_models.rollout.lifecycle_log import LifecycleLog

BUNDLE = BundleRef(name="breeds", version="2", digest="b" * 64)
OTHER = BundleRef(name="breeds", version="1", digest="a" * 64)
REPORT = {lifecycle.REPORT: "c" * 64}
WAY: dict[Phase | None, list[Phase]] = {
    None: [],
    "development": ["development"],
    "preproduction": ["development", "preproduction"],
    "production": ["development", "preproduction", "production"],
    "post-production": ["development", "preproduction", "production", "post-production"],
    "retirement": ["development", "preproduction", "retirement"],
}


def walked(phases: list[Phase]) -> list[Entry]:
    entries: list[Entry] = []
    for number, phase in enumerate(phases):
        entries.append(moved(entries, "nest", BUNDLE, phase, author="ann", at_ms=number, evidence=REPORT))
    return entries


@pytest.mark.parametrize("before", list(TRANSITIONS))
@pytest.mark.parametrize("to", PHASES)
def test_what_is_not_in_the_table_is_refused_and_the_refusal_names_what_is_legal(
    before: Phase | None, to: Phase
) -> None:
    entries = walked(WAY[before])
    if to in TRANSITIONS[before]:
        assert moved(entries, "nest", BUNDLE, to, author="ann", at_ms=9, evidence=REPORT).before == before
        return
    with pytest.raises(NotLegal) as refused:
        moved(entries, "nest", BUNDLE, to, author="ann", at_ms=9, evidence=REPORT)
    assert all(legal in refused.value.remedy for legal in TRANSITIONS[before])


def test_every_phase_is_reached_and_only_retirement_is_the_end() -> None:
    assert {to for legal in TRANSITIONS.values() for to in legal} == set(PHASES)
    assert [phase for phase, legal in TRANSITIONS.items() if not legal] == ["retirement"]


@pytest.mark.parametrize("evidence", [{}, {lifecycle.REPORT: ""}, {"rollout": "x"}])
def test_without_a_report_a_bundle_does_not_leave_development(evidence: dict[str, str]) -> None:
    with pytest.raises(NotLegal, match="no assessment report"):
        moved(walked(["development"]), "nest", BUNDLE, "preproduction", author="ann", at_ms=1, evidence=evidence)


def test_a_reason_instead_of_a_report_is_written_down() -> None:
    evidence = {lifecycle.WITHOUT: "the archive burned down"}
    entry = moved(walked(["development"]), "nest", BUNDLE, "preproduction", author="ann", at_ms=1, evidence=evidence)
    assert entry.evidence == evidence


def test_nobody_moves_a_bundle_anonymously() -> None:
    with pytest.raises(NotLegal, match="Nobody says"):
        moved([], "nest", BUNDLE, "development", author="", at_ms=1)


@pytest.mark.parametrize("state", ["running", "paused"])
@pytest.mark.parametrize("bundle", [BUNDLE, OTHER])
def test_what_a_roll_out_that_is_not_over_names_is_not_retired(state: str, bundle: BundleRef) -> None:
    document = Rollout(
        rollout_id="breeds-2",
        generation=1,
        task="nest",
        bundle=BUNDLE,
        previous=OTHER,
        state=state,  # type: ignore[arg-type]  # parametrised
    )
    found = uses(bundle, [document])
    assert "breeds-2" in found[0]
    entries = [Entry(at_ms=1, task="nest", bundle=bundle, phase="post-production", before="production", author="ann")]
    with pytest.raises(NotLegal, match="cannot be retired"):
        moved(entries, "nest", bundle, "retirement", author="ann", at_ms=2, in_use=found)


def test_what_is_over_and_named_nowhere_is_retired() -> None:
    over = Rollout(rollout_id="x", generation=1, task="nest", bundle=OTHER, previous=BUNDLE, state="complete")
    named = [Named(node="coop-1", task="nest", model="canary", digest=OTHER.digest, place="canary")]
    assert uses(BUNDLE, [over], named) == []
    assert len(uses(OTHER, [over], named)) == 1


def test_of_many_devices_ten_are_named_and_the_others_counted() -> None:
    named = [
        Named(node=f"coop-{n}", task="nest", model="champion", digest=BUNDLE.digest, place="schedule")
        for n in range(15)
    ]
    assert len(uses(BUNDLE, [], named)) == 11
    assert uses(BUNDLE, [], named)[-1] == "5 more devices name it"


# -- the log


def test_what_was_moved_is_there_for_the_next_command_with_author_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "centre" / "lifecycle.jsonl"
    LifecycleLog(path).publish("nest", BUNDLE, author="ann", at_ms=5, report="c" * 64, why="less confused by rain")
    LifecycleLog(path).move("nest", BUNDLE, "production", author="bob", at_ms=6, evidence={"rollout": "r"})
    entries = LifecycleLog(path).entries()
    assert [(entry.phase, entry.author, entry.at_ms) for entry in entries] == [
        ("development", "ann", 5),
        ("preproduction", "ann", 5),
        ("production", "bob", 6),
    ]
    assert entries[1].evidence == REPORT
    assert LifecycleLog(path).phase(BUNDLE.digest) == "production"


def test_publishing_twice_adds_nothing(tmp_path: Path) -> None:
    log = LifecycleLog(tmp_path / "lifecycle.jsonl")
    log.publish("nest", BUNDLE, author="ann", at_ms=5, report="c" * 64)
    assert log.publish("nest", BUNDLE, author="ann", at_ms=6, report="c" * 64) == []


def test_a_refused_move_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    log = LifecycleLog(tmp_path / "lifecycle.jsonl")
    log.publish("nest", BUNDLE, author="ann", at_ms=5, report="c" * 64)
    before = (tmp_path / "lifecycle.jsonl").read_bytes()
    with pytest.raises(NotLegal):
        log.move("nest", BUNDLE, "post-production", author="ann", at_ms=6)
    with pytest.raises(NotLegal):
        log.publish("nest", OTHER, author="ann", at_ms=6)
    assert (tmp_path / "lifecycle.jsonl").read_bytes() == before


def test_a_power_cut_in_the_middle_of_a_line_costs_only_that_line(tmp_path: Path) -> None:
    path = tmp_path / "lifecycle.jsonl"
    LifecycleLog(path).publish("nest", BUNDLE, author="ann", at_ms=5, report="c" * 64)
    whole = path.read_bytes()
    LifecycleLog(path).move("nest", BUNDLE, "production", author="ann", at_ms=6)
    line = path.read_bytes()[len(whole) :]
    for cut in range(len(line)):
        path.write_bytes(whole + line[:cut])
        assert LifecycleLog(path).phase(BUNDLE.digest) == "preproduction"
    LifecycleLog(path).move("nest", BUNDLE, "production", author="ann", at_ms=7)
    assert [entry.at_ms for entry in LifecycleLog(path).entries()] == [5, 5, 7]


def test_a_line_that_was_tampered_with_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lifecycle.jsonl"
    LifecycleLog(path).publish("nest", BUNDLE, author="ann", at_ms=5, report="c" * 64)
    path.write_bytes(path.read_bytes().replace(b'"preproduction"', b'"heaven"'))
    with pytest.raises(Malformed, match="line 2"):
        LifecycleLog(path).entries()


def test_of_two_commands_that_make_the_same_move_at_once_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lifecycle.jsonl"
    LifecycleLog(path).publish("nest", BUNDLE, author="ann", at_ms=5, report="c" * 64)
    together = threading.Barrier(2)

    def move(_number: int) -> bool:
        together.wait(10)
        try:
            LifecycleLog(path).move("nest", BUNDLE, "production", author="ann", at_ms=6)
        except NotLegal:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(move, range(2))) == [False, True]
    assert [entry.phase for entry in LifecycleLog(path).entries()].count("production") == 1


@given(st.binary(max_size=300))
def test_any_bytes_are_an_entry_or_malformed(data: bytes) -> None:
    try:
        lifecycle.parse(data)
    except Malformed:
        return


@given(st.text(string.printable, max_size=50), st.text(max_size=200))
def test_an_entry_comes_back_as_it_was(author: str, why: str) -> None:
    entry = Entry(at_ms=1, task="nest", bundle=BUNDLE, phase="development", author=author or "x", why=why)
    line = lifecycle.render(entry)
    assert line.count(b"\n") == 1
    assert lifecycle.parse(line) == entry

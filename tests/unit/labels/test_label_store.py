"""The label store: all or nothing, append-only, and out and in again without a loss."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.errors import Malformed, Misuse, PeerError
from roost_models.labels.entry import Entry, parse, render
from roost_models.labels.importing import import_entries
from roost_models.labels.store import Added, LabelStore

Make = Callable[..., Entry]


def test_what_was_written_is_there_again_in_its_order(store: LabelStore, entry: Make, tmp_path: Path) -> None:
    said = [entry(3), entry(1, "egg", "bert"), entry(2, None, kind="skip")]
    assert store.add(said) == Added(3, 0)
    with LabelStore(tmp_path / "labels.db", make=False) as again:
        assert list(again.entries()) == said
        assert again.history("a" * 64, task="nest") == said
        assert again.tasks() == ["nest"]


def test_the_same_entry_again_is_known_and_another_under_its_id_is_refused(store: LabelStore, entry: Make) -> None:
    store.add([entry(1)])
    assert store.add([entry(1), entry(2)]) == Added(1, 1)
    with pytest.raises(Misuse, match="something else"):
        store.add([entry(3), entry(1, "egg")])
    assert len(list(store.entries())) == 2  # 3 was not written either


def test_what_supersedes_must_find_its_entry_and_be_about_the_same_picture(store: LabelStore, entry: Make) -> None:
    with pytest.raises(Misuse, match="not here"):
        store.add([entry(2, supersedes=f"{1:032x}")])
    store.add([entry(1)])
    for other in ({"picture": "b" * 64}, {"task": "door"}):
        with pytest.raises(Misuse, match="another picture"):
            store.add([entry(2, supersedes=f"{1:032x}", **other)])


def test_an_entry_that_could_not_be_read_again_is_not_written(store: LabelStore, entry: Make) -> None:
    for bad in (entry(1, "x" * 201), entry(1, author=""), entry(1, picture="nonsense")):
        with pytest.raises(Malformed):
            store.add([bad])
    assert list(store.entries()) == []


def test_the_database_refuses_every_change_of_what_is_written(store: LabelStore, entry: Make) -> None:
    store.add([entry(1)])
    for statement in ("UPDATE entries SET author = 'eve'", "DELETE FROM entries"):
        with sqlite3.connect(store.path) as db, pytest.raises(sqlite3.IntegrityError):
            db.execute(statement)
        db.close()
    assert [one.author for one in store.entries()] == ["anna"]


def test_a_file_that_is_no_store_and_one_of_the_future_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database" * 100)
    with pytest.raises(PeerError, match="cannot be opened"):
        LabelStore(tmp_path / "text.db")
    for name, statement, error in (
        ("other.db", "CREATE TABLE x (y)", "not a|no label store"),
        ("future.db", "PRAGMA user_version = 9", "newer"),
    ):
        with sqlite3.connect(tmp_path / name) as db:
            db.execute(statement)
        db.close()
        with pytest.raises(Misuse, match=error):
            LabelStore(tmp_path / name)
    with pytest.raises(Misuse, match="no labels"):
        LabelStore(tmp_path / "nowhere.db", make=False)
    assert not (tmp_path / "nowhere.db").exists()


text = st.text(max_size=20)
said = st.lists(
    st.tuples(
        st.sampled_from(["label", "not-usable", "skip", "suggestion"]),
        text.filter(bool),
        text.filter(bool),
        text,
        st.integers(0, 2**62),
        st.none() | st.integers(0, 2**62),
        st.sampled_from("ab"),
    ),
    max_size=8,
)


@given(said)
def test_an_export_read_into_an_empty_store_gives_the_same_store(
    said: list[tuple[str, str, str, str, int, int | None, str]],
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        entries = [
            Entry(
                id=f"{number:032x}",
                picture=picture * 64,
                task=reason,
                kind=kind,  # type: ignore[arg-type]  # one of the four above
                label=label if kind in ("label", "suggestion") else None,
                author=author,
                reason=reason,
                at=at,
                taken=taken,
            )
            for number, (kind, label, author, reason, at, taken, picture) in enumerate(said)
        ]
        with LabelStore(folder / "one.db") as one:
            one.add(entries)
            file = folder / "export.jsonl"
            file.write_bytes(b"".join(render(entry) + b"\n" for entry in one.entries()))
        with LabelStore(folder / "two.db") as two:
            assert import_entries(file, two) == Added(len(entries), 0)
            assert list(two.entries()) == entries
            assert [parse(line) for line in file.read_bytes().splitlines()] == entries
            assert import_entries(file, two) == Added(0, len(entries))


def test_an_export_with_a_broken_line_is_refused_as_a_whole_naming_the_line(
    store: LabelStore, entry: Make, tmp_path: Path
) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_bytes(render(entry(1)) + b"\n\n" + b'{"schema": "roost.label/1"}\n')
    with pytest.raises(Misuse, match="line 3"):
        import_entries(file, store)
    assert list(store.entries()) == []


def test_a_writer_that_is_killed_leaves_whole_batches(tmp_path: Path, entry: Make) -> None:
    """The copy of database and log, taken between two batches, is what a cut would leave."""
    path = tmp_path / "labels.db"
    with LabelStore(path) as store:
        store.add([entry(1), entry(2, "egg", "bert")])
        cut = tmp_path / "cut"
        cut.mkdir()
        for file in tmp_path.glob("labels.db*"):
            (cut / file.name).write_bytes(file.read_bytes())
    wal = cut / "labels.db-wal"
    for size in range(0, wal.stat().st_size, 997):
        torn = tmp_path / f"torn-{size}"
        torn.mkdir()
        (torn / "labels.db").write_bytes((cut / "labels.db").read_bytes())
        (torn / "labels.db-wal").write_bytes(wal.read_bytes()[:size])
        with LabelStore(torn / "labels.db") as store:
            assert len(list(store.entries())) in (0, 2)

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from patients import helps, patient

from roost_edge.doctor.stores import ARCHIVE, quick_check, stores
from roost_models.archive.schema import DATABASE


def database(file: Path, rows: int = 2_000) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("CREATE TABLE t (a TEXT PRIMARY KEY, b BLOB)")
        db.executemany("INSERT INTO t VALUES (?, ?)", ((f"{n:09}", bytes(100)) for n in range(rows)))
    return file


def test_the_archives_file_is_known_by_its_name() -> None:
    assert ARCHIVE == DATABASE


def test_without_databases_nothing_is_examined(tmp_path: Path) -> None:
    assert helps(stores(patient(tmp_path)), "skipped", "none yet", "")


def test_whole_databases_are_counted_and_left_as_they_are(tmp_path: Path) -> None:
    device = patient(tmp_path)
    files = [database(tmp_path / "data" / "alerts.db"), database(tmp_path / "data/archive/nest/archive.db")]
    before = [file.read_bytes() for file in files]
    assert helps(stores(device), "ok", "2 databases are whole", "")
    assert [file.read_bytes() for file in files] == before


@pytest.mark.parametrize("how", ["torn", "overwritten", "strange"])
def test_a_damaged_database_is_named_with_the_way_to_rescue_it(tmp_path: Path, how: str) -> None:
    device = patient(tmp_path)
    database(tmp_path / "data" / "traces.db")
    file = database(tmp_path / "data" / "alerts.db")
    data = bytearray(file.read_bytes())
    match how:
        case "torn":
            del data[len(data) // 2 :]
        case "overwritten":
            data[8192:40_000] = bytes(40_000 - 8192)
        case _:
            data[:100] = b"\xff" * 100
    file.write_bytes(data)
    assert helps(stores(device), "fail", f"{file} is damaged", ".recover")


def test_a_database_that_is_too_large_for_the_time_is_not_called_whole(tmp_path: Path) -> None:
    file = database(tmp_path / "large.db", rows=60_000)
    assert quick_check(file, 0.0) is None
    assert quick_check(file, 600.0) == ""

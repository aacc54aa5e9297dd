"""What is found on a data partition after the power has gone."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from roost_provisioning.boot_test.remains import read_folder


def store(path: Path, *statements: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as opened:
        opened.executescript(";".join(statements))
    return path


def request_log(path: Path) -> Path:
    return store(
        path,
        "CREATE TABLE requests (request_id TEXT, closed INTEGER)",
        "CREATE VIEW open_requests AS SELECT * FROM requests WHERE closed = 0",
        "INSERT INTO requests VALUES ('a', 1), ('b', 0), ('c', 0)",
    )


def test_requests_of_every_camera_are_told_apart_by_whether_they_are_answered(tmp_path: Path) -> None:
    request_log(tmp_path / "requests" / "nest.db")
    request_log(tmp_path / "elsewhere" / "copy.db")
    found = read_folder(tmp_path)
    assert (found.accepted, found.open) == ({"a", "b", "c"}, {"b", "c"})
    assert set(found.stores) == {"requests/nest.db", "elsewhere/copy.db"}
    assert found.damaged == {}


def test_a_damaged_store_is_named_and_so_is_an_empty_file_that_should_be_one(tmp_path: Path) -> None:
    whole = store(tmp_path / "alerts.db", "CREATE TABLE t (x)", "INSERT INTO t VALUES (zeroblob(100000))")
    data = bytearray(whole.read_bytes())
    data[8192:20000] = b"\xff" * (20000 - 8192)
    whole.write_bytes(data)
    (tmp_path / "traces.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    (tmp_path / "empty.db").touch()
    assert read_folder(tmp_path).damaged.keys() == {"alerts.db", "traces.db"}
    (tmp_path / "archive.db").write_bytes(b"overwritten by something else")
    assert read_folder(tmp_path).damaged.keys() == {"alerts.db", "archive.db", "traces.db"}
    (tmp_path / "mosquitto").mkdir()
    (tmp_path / "mosquitto" / "mosquitto.db").write_bytes(b"Mosquitto's own")
    assert len(read_folder(tmp_path).damaged) == 3


def test_identity_is_compared_by_digest_and_a_missing_file_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "identity"
    folder.mkdir()
    (folder / "device.key").write_bytes(b"secret")
    (folder / "authority.json").write_bytes(b"{}")
    found = read_folder(tmp_path)
    assert found.identity == {"device.key": hashlib.sha256(b"secret").hexdigest()}
    assert "secret" not in repr(found)


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    found = read_folder(tmp_path)
    assert (found.stores, found.accepted, found.identity, found.files) == ({}, frozenset(), {}, 0)

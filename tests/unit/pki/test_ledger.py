"""Several issuers at once, and the ledger's bounds."""

import sqlite3
import threading
from pathlib import Path

import pytest
from fleet_authority import NOW, begin, device, enrol, token

from roost_broker.errors import PeerError
from roost_edge.enrolment.wire import Issued
from roost_provisioning.pki import ledger
from roost_provisioning.pki.authority import Authority
from roost_provisioning.pki.tokens import NameTaken, NotIssued


def race(folder: Path, text: str, name: str, count: int) -> tuple[list[Issued], list[Exception]]:
    """So many devices ask at the same moment, each an authority process of its own, as it were."""
    issued: list[Issued] = []
    refused: list[Exception] = []
    start = threading.Barrier(count)

    def one() -> None:
        with Authority(folder) as opened:
            key = device()
            start.wait(60)
            try:
                issued.append(enrol(opened, text, key, name))
            except (NotIssued, PeerError) as error:
                refused.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return issued, refused


def test_of_many_who_use_one_token_at_once_exactly_one_gets_a_certificate(tmp_path: Path) -> None:
    with begin(tmp_path) as authority:
        text = token(authority, prefix="coop")
        issued, refused = race(authority.files.folder, text, "", 8)
        assert len(issued) == 1
        assert len(refused) == 7
        assert all("used up" in str(error) for error in refused)
        assert len(authority.ledger.living(0)) == 1


def test_of_many_who_wish_for_one_name_at_once_exactly_one_gets_it(tmp_path: Path) -> None:
    with begin(tmp_path) as authority:
        text = token(authority, prefix="coop", uses=8)
        issued, refused = race(authority.files.folder, text, "coop-1", 8)
        assert len(issued) == 1
        assert all(isinstance(error, NameTaken) for error in refused)
        assert authority.ledger.open_tokens(0)[0].used == 1


def test_what_is_long_over_is_forgotten(tmp_path: Path) -> None:
    with begin(tmp_path) as authority:
        enrol(authority, token(authority), device())
        with authority.ledger.changing():
            authority.ledger.forget_old(int(NOW.timestamp()) + ledger.KEPT_S)
        assert authority.ledger.living(0)
        with authority.ledger.changing():
            authority.ledger.forget_old(int(NOW.timestamp()) + ledger.KEPT_S + 31 * 86_400)
        assert not authority.ledger.living(0)
        assert not authority.ledger.open_tokens(0)


def test_a_ledger_that_is_none_is_named(tmp_path: Path) -> None:
    with begin(tmp_path) as authority:
        folder = authority.files.folder
    (folder / "ledger.db").write_bytes(b"no database" * 100)
    with pytest.raises(PeerError, match=r"ledger\.db"):
        Authority(folder)


def test_a_failed_change_leaves_nothing(tmp_path: Path) -> None:
    row = ledger.Row("1", "device", "a", "k", 1, "test", 1, 1, "")

    def twice(authority: Authority) -> None:
        with authority.ledger.changing():
            authority.ledger.add(row)
            authority.ledger.add(row)

    with begin(tmp_path) as authority:
        with pytest.raises(sqlite3.IntegrityError):
            twice(authority)
        assert authority.ledger.certificate("1") is None

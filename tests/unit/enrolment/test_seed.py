"""The seed on a card: written, read, its token forgotten; and what people write into such a file."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs

from roost_broker.errors import Malformed, Misuse
from roost_edge.enrolment.seed import MAX_BYTES, Seed, forget_token, read_seed, write_seed

TOKEN = "12345678-abcdefghijklmnopqrstuvwxyz234567"  # noqa: S105 — it opens nothing
SEED = Seed(
    url="https://centre.example:8443",
    token=TOKEN,
    ca_sha256="a" * 64,
    name="coop",
    made=datetime(2030, 5, 1, tzinfo=UTC),
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_seed(tmp_path, SEED)
    assert read_seed(tmp_path) == SEED
    assert (tmp_path / "seed.toml").stat().st_mode & 0o077 == 0


def test_the_authority_may_lie_beside_it(tmp_path: Path) -> None:
    seed = structs.replace(SEED, ca="-----BEGIN CERTIFICATE-----\n", ca_sha256="")
    write_seed(tmp_path, seed)
    assert (tmp_path / "ca.pem").read_text() == seed.ca
    assert "BEGIN" not in (tmp_path / "seed.toml").read_text()
    assert read_seed(tmp_path) == seed


def test_the_token_is_forgotten_and_the_rest_stays(tmp_path: Path) -> None:
    write_seed(tmp_path, structs.replace(SEED, ca="pem\n"))
    assert forget_token(tmp_path)
    assert read_seed(tmp_path) == structs.replace(SEED, ca="pem\n", token="")
    assert all(TOKEN not in path.read_text() for path in tmp_path.iterdir())
    assert not forget_token(tmp_path)
    assert not forget_token(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://centre.example"},
        {"url": "centre.example"},
        {"url": "https://"},
        {"url": "https://centre:x"},
        {"url": "https://centre/path"},
        {"url": "https://[::1"},
        {"token": "short"},
        {"token": "with spaces in it, and more"},
        {"ca_sha256": "A" * 64},
        {"ca_sha256": ""},
        {"name": "a/b"},
        {"name": "x" * 60},
        {"made": datetime(2030, 1, 1)},
    ],
)
def test_a_seed_that_cannot_work_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Misuse):
        structs.replace(SEED, **wrong)


@pytest.mark.parametrize(
    "text",
    ["[enrol", "", "[enrol]\nurl = 3", "[enrol]\nurl = 'https://c'\nca_sha256 = 'b'\ntokn = ''", "\x00", "a\xff"],
)
def test_a_file_that_is_no_seed_is_refused_and_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "seed.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises((Malformed, Misuse), match=r"seed\.toml"):
        read_seed(tmp_path)


def test_no_seed_and_a_huge_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="no seed"):
        read_seed(tmp_path)
    (tmp_path / "seed.toml").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(Malformed, match="more than"):
        read_seed(tmp_path)


def test_an_address_without_a_port_has_the_desks() -> None:
    assert structs.replace(SEED, url="https://centre.example").address == ("centre.example", 8443)
    assert structs.replace(SEED, url="https://[::1]:1").address == ("::1", 1)

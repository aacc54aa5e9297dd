"""The file of addresses: safe, bounded, and never shown."""

from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_edge.notify.addresses import Address, given, load, parse


def test_one_address_a_line_each_once_without_comments() -> None:
    found = parse("# mine\n\nmailto://a\n  json://b  \nmailto://a\n")
    assert found == (Address(3, "mailto://a"), Address(4, "json://b"))


def test_an_address_is_spoken_of_by_its_line_and_its_scheme() -> None:
    secret = Address(7, "tgram://token/chat")
    assert (repr(secret), str(secret)) == ("line 7 (tgram)", "line 7 (tgram)")
    assert repr(Address(1, "my-password")) == "line 1 (no scheme)"
    assert "token" not in secret.key
    assert secret.key == Address(9, "tgram://token/chat").key


def safe(folder: Path, text: str) -> Path:
    path = folder / "urls"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = safe(tmp_path, "json://b")
    assert load(path) == (Address(1, "json://b"),)
    path.chmod(mode)
    with pytest.raises(Misuse, match="chmod 600"):
        load(path)


@pytest.mark.parametrize("text", ["", "# nothing\n", "x://y\n" * 40_000, "\n".join(f"json://{n}" for n in range(51))])
def test_a_file_without_addresses_or_with_too_much_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Misuse):
        load(safe(tmp_path, text))


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="install -m 600"):
        load(tmp_path / "none")


def test_what_systemd_hands_over_comes_first_and_is_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert given("/etc/roost/urls") == Path("/etc/roost/urls")
    handed = tmp_path / "notify"
    handed.write_text("json://b\n", encoding="utf-8")
    handed.chmod(0o440)
    assert given("/etc/roost/urls") == handed
    assert load(handed) == (Address(1, "json://b"),)

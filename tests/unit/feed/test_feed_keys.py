import os
from pathlib import Path

import pytest
from feed_world import KEYS

from roost_broker.clock import VirtualClock
from roost_broker.errors import Misuse
from roost_edge.feed import keys
from roost_edge.feed.opening import Opening
from roost_edge.feed.settings import FeedSettings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "secret"
    folder.mkdir(mode=0o700)
    path = folder / "keys.toml"
    keys.save(path, KEYS)
    return path


def test_keys_are_written_for_their_owner_alone_and_read_back(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    assert keys.load(file) == KEYS
    assert "practise" not in repr(KEYS)


def test_a_key_with_every_sign_that_it_may_have_is_read_back(file: Path) -> None:
    odd = keys.Keys(**dict(zip(keys.NAMES, ('a"b\\c', "x'=", "1-2", "~#"), strict=True)))
    keys.save(file, odd)
    assert keys.load(file) == odd


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o610])
def test_a_file_that_others_may_use_is_refused_with_what_to_do(file: Path, mode: int) -> None:
    file.chmod(mode)
    for look in (keys.load, keys.check):
        with pytest.raises(Misuse, match=f"mode {mode:04o}.*chmod 600"):
            look(file)


def test_a_folder_in_which_others_may_exchange_the_file_is_refused(file: Path) -> None:
    file.parent.chmod(0o777)
    with pytest.raises(Misuse, match=r"exchange files.*chmod go-w"):
        keys.load(file)
    file.parent.chmod(0o1777)  # as /tmp: nobody exchanges what is another's
    assert keys.load(file) == KEYS


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")
def test_a_file_of_another_user_is_refused(file: Path) -> None:
    os.chown(file, 12345, 12345)
    with pytest.raises(Misuse, match="belongs to another user"):
        keys.load(file)


def test_without_a_file_or_with_an_empty_one_there_are_no_keys_yet(file: Path) -> None:
    assert keys.load(file.with_name("other")) is None
    assert not keys.check(file.with_name("other"))
    file.write_bytes(b" \n")
    assert keys.load(file) is None


@pytest.mark.parametrize(
    "text",
    [
        'consumer_key = "SECRETa"',
        "consumer_key SECRET",
        '"SECRET" = {',
        'consumer_key = "SECRET a"\naccess_token = "b"',
        "consumer_key = 5\nconsumer_secret = 'SECRET'\naccess_token = 'b'\naccess_token_secret = 'c'",
        "\xff\xfeSECRET",
        "SECRET = 1",
        "".join(f'{name} = "x"\n' for name in keys.NAMES) + "SECRET = 1",
    ],
)
def test_a_file_that_cannot_be_read_is_said_without_what_stands_in_it(file: Path, text: str) -> None:
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(Misuse, match="roost feed keys") as told:
        keys.load(file)
    assert "SECRET" not in str(told.value)


def test_what_systemd_hands_over_is_taken_before_the_settings_path(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert keys.given(str(file)) == file
    handed = file.with_name("feed")
    file.rename(handed)
    handed.chmod(0o440)  # as systemd shows it to the unit's user
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(handed.parent))
    assert keys.load(keys.given("/nowhere")) == KEYS


def test_the_dry_run_is_what_happens_until_there_are_keys(file: Path, tmp_path: Path) -> None:
    clock, later = VirtualClock(), file.with_name("later.toml")
    assert "name no keys" in Opening(FeedSettings(), tmp_path, clock).why_dry()
    assert "dry_run" in Opening(FeedSettings(keys=str(file), dry_run=True), tmp_path, clock).why_dry()
    opening = Opening(FeedSettings(keys=str(later)), tmp_path, clock)
    assert (opening.service().mode, "yet" in opening.why_dry()) == ("dry-run", True)
    file.rename(later)
    assert (opening.service().mode, opening.why_dry()) == ("service", "")


def test_config_check_names_keys_that_are_not_safe_or_not_there(file: Path) -> None:
    from roost_edge.settings.check import check

    settings = file.parent / "roost.toml"
    (file.parent / "data").mkdir()
    settings.write_text('[node]\nname = "coop-1"\ndata = "data"\n[feed]\nkeys = "keys.toml"\n', encoding="utf-8")

    def found() -> list[tuple[str, int, str]]:
        return [(one.level, one.line, one.remedy) for one in check(settings) if one.field == "feed.keys"]

    assert found() == []
    file.chmod(0o644)
    ((level, line, remedy),) = found()
    assert (level, line, "chmod 600" in remedy) == ("error", 5, True)
    file.unlink()
    assert found() == [("warning", 5, "roost feed keys")]

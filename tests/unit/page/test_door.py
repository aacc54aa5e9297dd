"""Sessions and the throttle, with the time as an argument."""

from pathlib import Path

import pytest

from roost_broker.clock import SECOND
from roost_broker.errors import Misuse
from roost_edge.page import password
from roost_edge.page.door import Door
from roost_edge.page.password import check_new, hashed, is_password

HOUR = 3_600 * SECOND
PASSWORD, OTHER = b"fingerprint", b"of another one"


def door(most: int = 3) -> Door:
    return Door(idle_ns=HOUR, most=most)


def test_a_session_lasts_while_it_is_used_and_ends_an_hour_after() -> None:
    ours = door()
    ours.opened("a", "cookie", "token", PASSWORD, 0)
    for now in (HOUR, 2 * HOUR, 3 * HOUR):
        found = ours.session("cookie", PASSWORD, now)
        assert found is not None
        assert found.form == "token"
    assert ours.session("cookie", PASSWORD, 4 * HOUR + 1) is None
    assert ours.session("cookie", PASSWORD, 4 * HOUR + 2) is None
    assert len(ours) == 0


def test_a_cookie_that_nobody_was_given_is_no_session() -> None:
    ours = door()
    ours.opened("a", "cookie", "token", PASSWORD, 0)
    assert ours.session("", PASSWORD, 1) is None
    assert ours.session("cookie2", PASSWORD, 1) is None
    assert ours.session("\udcff", PASSWORD, 1) is None


def test_another_password_ends_every_session() -> None:
    ours = door()
    ours.opened("a", "cookie", "token", PASSWORD, 0)
    assert ours.session("cookie", OTHER, 1) is None
    assert ours.session("cookie", PASSWORD, 2) is None


def test_who_leaves_is_gone() -> None:
    ours = door()
    ours.opened("a", "cookie", "token", PASSWORD, 0)
    ours.closed("cookie")
    assert ours.session("cookie", PASSWORD, 1) is None


def test_of_too_many_sessions_the_one_used_least_recently_ends() -> None:
    ours = door(most=2)
    ours.opened("a", "one", "1", PASSWORD, 0)
    ours.opened("a", "two", "2", PASSWORD, 1)
    assert ours.session("one", PASSWORD, 2) is not None
    ours.opened("a", "three", "3", PASSWORD, 3)
    assert ours.session("two", PASSWORD, 4) is None
    assert ours.session("one", PASSWORD, 4) is not None


def test_wrong_passwords_wait_twice_as_long_each_time_up_to_five_minutes() -> None:
    ours, now, waits = door(), 0, []
    for _ in range(12):
        ours.failed("enemy", now)
        waits.append(ours.wait_ns("enemy", now) // SECOND)
        now += ours.wait_ns("enemy", now)
        assert ours.wait_ns("enemy", now) == 0
    assert waits == [0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert ours.wait_ns("a friend", now) == 0


def test_the_right_password_forgives_the_wrong_ones_and_so_does_an_hour() -> None:
    ours = door()
    for _ in range(5):
        ours.failed("a", 0)
    ours.opened("a", "cookie", "token", PASSWORD, HOUR // 2)
    assert ours.wait_ns("a", HOUR // 2) == 0
    for _ in range(5):
        ours.failed("b", 0)
    ours.failed("b", 2 * HOUR)
    assert ours.wait_ns("b", 2 * HOUR) == 0


def test_many_addresses_together_may_try_thirty_times_a_minute() -> None:
    ours = door()
    for nth in range(30):
        assert ours.wait_ns(f"address {nth}", nth * SECOND) == 0
        ours.tries(nth * SECOND)
    assert ours.wait_ns("one more", 30 * SECOND) == 30 * SECOND
    assert ours.wait_ns("one more", 60 * SECOND) == 0


def test_a_password_is_known_again_and_no_other_is() -> None:
    kept = hashed("three birds in a nest")
    assert is_password("three birds in a nest", kept)
    assert not is_password("three birds in a nes", kept)
    assert not is_password("", kept)
    assert not is_password("x" * 100_000, kept)
    assert hashed("three birds in a nest").digest != kept.digest  # another salt


def test_the_file_is_its_owners_alone_and_holds_no_password(tmp_path: Path) -> None:
    path = tmp_path / "page" / "password"
    password.write(path, "three birds in a nest")
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"birds" not in path.read_bytes()
    kept = password.read(path)
    assert kept is not None
    assert is_password("three birds in a nest", kept)


def test_a_file_that_others_can_read_or_that_is_none_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "password"
    assert password.read(path) is None
    password.write(path, "three birds in a nest")
    path.chmod(0o640)
    with pytest.raises(Misuse, match="read by others"):
        password.read(path)
    path.chmod(0o600)
    for broken in (b"", b"{}", b'{"salt":"","digest":""}', b'{"salt":"YQ==","digest":"YQ==","n":1073741824}'):
        path.write_bytes(broken)
        with pytest.raises(Misuse, match="no password"):
            password.read(path)


@pytest.mark.parametrize("bad", ["", "short", "x" * 201, "with\na line end", "with \x1b[2J an escape"])
def test_a_password_that_is_none_is_refused(bad: str) -> None:
    with pytest.raises(Misuse, match="10 to 200"):
        check_new(bad)

"""Reading a guest's serial line."""

from roost_broker.clock import SECOND
from roost_provisioning.boot_test.console import Console

BOOT = b"""[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mmosquitto.service\x1b[0m - MQTT broker.\r
[FAILED] Failed to start roost-gateway.service - The gateway.\r
[  OK  ] Reached target multi-user.target.\r
"""


def texts(console: Console) -> list[str]:
    return [line.text for line in console.last(99)]


def test_lines_lose_their_colours_and_keep_their_time() -> None:
    console = Console(["multi-user"])
    console.feed(BOOT, 7 * SECOND)
    assert texts(console)[0] == "[  OK  ] Started mosquitto.service - MQTT broker."
    line = console.first("multi-user")
    assert line is not None
    assert str(line) == "    7.0 s  [  OK  ] Reached target multi-user.target."


def test_the_first_line_with_a_marker_is_remembered_and_not_a_later_one() -> None:
    console = Console(["hello", "never"])
    console.feed(b"hello 1\nhello 2\n", 1)
    console.feed(b"hello 3\n", 2)
    line = console.first("hello")
    assert line is not None
    assert line.text == "hello 1"
    assert console.first("never") is None


def test_a_line_that_comes_in_pieces_is_one_line() -> None:
    console = Console()
    for piece in (b"one li", b"ne, and \xc3", b"\xbc\nthe next"):
        console.feed(piece, 1)
    assert texts(console) == ["one line, and ü"]


def test_a_prompt_is_seen_though_it_ends_no_line() -> None:
    console = Console(["login:"])
    console.feed(b"coop-1 lo", 3)
    assert console.first("login:") is None
    console.feed(b"gin: ", 4)
    line = console.first("login:")
    assert line is not None
    assert line.at_ns == 4


def test_units_that_did_not_start_are_named_once() -> None:
    console = Console()
    console.feed(BOOT, 1)
    console.feed(BOOT, 2)
    assert console.failed_units == ("roost-gateway.service - The gateway",)


def test_a_panic_is_fatal_and_an_ordinary_boot_is_not() -> None:
    console = Console()
    console.feed(BOOT, 1)
    assert console.fatal == ""
    console.feed(b"[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n", 2)
    assert console.fatal == "The kernel panicked."


def test_a_guest_that_never_stops_talking_fills_no_memory() -> None:
    console = Console(["needle"])
    for _ in range(100):
        console.feed(b"x" * 10_000, 1)
    console.feed(b"\n" + b"line\n" * 5_000 + b"needle\n", 2)
    assert len(console.last(10_000)) == 2_000
    assert max(len(line.text) for line in console.last(10_000)) <= 400
    assert console.first("needle") is not None

"""Commands that a person could type: what they say, and what is said of those that do not come to an end."""

import sys
from pathlib import Path

import pytest

from roost_broker.errors import PeerError
from roost_edge.demo_loop.commands import Commands


def commands(folder: Path, program: str, *, patience_s: float = 60) -> Commands:
    return Commands(folder, lambda _: None, program=(sys.executable, "-c", program), patience_s=patience_s)


def test_what_a_command_says_is_returned(tmp_path: Path) -> None:
    assert commands(tmp_path, "import sys; print(*sys.argv[1:])").run("fleet", "status") == "fleet status\n"


def test_a_command_that_fails_is_told_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="`roost train` ended with 3:\nno pictures"):
        commands(tmp_path, "import sys; print('no pictures'); sys.exit(3)").run("train")


def test_a_command_that_hangs_is_named(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="`roost rollout watch` has not ended after 1 s"):
        commands(tmp_path, "import signal; signal.pause()", patience_s=1).run("rollout", "watch")

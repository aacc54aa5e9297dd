import subprocess
import sys
import tempfile

import pytest

from roost_edge.demo.folder import temporary_folder

KILLED = """
import os, signal
from roost_edge.demo.folder import temporary_folder
with temporary_folder():
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # its own memory of where that is
    return tmp_path


def test_it_is_there_in_the_body_and_gone_afterwards(temporary):
    with temporary_folder() as folder:
        assert folder.is_dir()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_demo_left_is_deleted_by_the_next(temporary):
    subprocess.run([sys.executable, "-c", KILLED], check=False)
    (left,) = temporary.iterdir()
    with temporary_folder():
        assert not left.exists()


def test_the_folder_of_a_demo_that_runs_and_what_is_no_demos_stay(temporary):
    stranger = temporary / "roost-demo-notes"
    stranger.mkdir()
    with temporary_folder() as first, temporary_folder() as second:
        assert first != second
        assert first.is_dir()
    assert list(temporary.iterdir()) == [stranger]

"""A process whose thread is still inside a library ends with the status it meant to end with."""

import subprocess
import sys

import pytest

BUSY = """
import sys, threading
import cv2, numpy
from roost_edge.processes.own_process import leave

inside = threading.Event()

def blur_for_ever():
    picture = numpy.zeros((480, 640, 3), numpy.uint8)
    while True:
        inside.set()
        cv2.GaussianBlur(picture, (0, 0), 5)

threading.Thread(target=blur_for_ever, daemon=True).start()
inside.wait()
(leave if sys.argv[1] == "leave" else sys.exit)(3)
"""


def status_of(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", BUSY, how], capture_output=True, timeout=60, check=False)
    return done.returncode


def test_a_process_with_a_thread_inside_a_library_leaves_with_its_own_status() -> None:
    assert status_of("leave") == 3


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="from 3.14 on Python lets such a thread hang instead")
def test_pythons_own_ending_aborts_such_a_process_which_is_why_leave_exists() -> None:
    assert any(status_of("exit") == -6 for _ in range(5))

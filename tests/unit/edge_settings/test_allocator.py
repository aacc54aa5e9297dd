"""What is freed goes back to the system: measured in a process of its own, for the settings are a process's."""

import subprocess
import sys

import pytest

HELD = """
import sys
from roost_edge.processes.allocator import be_frugal

if sys.argv[1] == "frugal":
    be_frugal()

def own_kb():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))

before = own_kb()
bytearray(b"x" * 20_000_000)  # freed at once: by default what is smaller than this is taken from the heap from now on
pictures, small = [], []
for _ in range(40):
    pictures.append(bytearray(b"x" * 900_000))
    small.append(bytearray(b"x" * 2_000))  # above it on the heap, and kept
del pictures
print(own_kb() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_pictures_that_are_freed_do_not_stay_under_what_is_kept() -> None:
    def held_kb(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", HELD, how], check=True, capture_output=True, text=True, timeout=60)
        return int(done.stdout)

    assert held_kb("frugal") < 5_000
    assert held_kb("as it is") > 20_000  # else this test shows nothing

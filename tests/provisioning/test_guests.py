"""The guests themselves: what the other tests of this folder stand on."""

import select
import subprocess
import sys
from pathlib import Path

from guests import USER, Guest

_DIES = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from guests import Guest, network
with Guest("orphan"):
    print(network().cgroup, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_a_guest_boots_answers_ssh_and_keeps_what_it_wrote_over_a_restart() -> None:
    with Guest("boots") as guest:
        assert guest.state() == "running"
        assert subprocess.run([*guest.ssh(), "sudo", "id", "-un"], capture_output=True, text=True).stdout == "root\n"
        guest.put("/etc/kept", "said by " + USER, mode=0o600)
        guest.stop()
        guest.start()
        assert guest.read("/etc/kept") == "said by pi"
        assert guest.run(["hostname"]).stdout == "boots\n"


def test_two_guests_are_two_machines() -> None:
    with Guest("one") as one, Guest("two") as two:
        one.put("/etc/mine", "one")
        one.run(["systemctl", "stop", "mosquitto"])
        assert two.run(["test", "-e", "/etc/mine"], check=False).returncode == 1
        assert two.properties("mosquitto", "ActiveState") == {"ActiveState": "active"}
        two.link(up=False)
        assert one.run(["systemctl", "is-system-running"]).stdout == "running\n"


def test_guests_end_with_an_owner_that_is_killed() -> None:
    told = subprocess.run([sys.executable, "-c", _DIES], capture_output=True, text=True, timeout=300, check=False)
    assert told.returncode == -9, told.stderr
    with Path(told.stdout.strip(), "cgroup.events").open() as events:
        changes = select.poll()
        changes.register(events, select.POLLPRI)
        while "populated 1" in events.read():
            assert changes.poll(60_000), "its guest runs on"
            events.seek(0)

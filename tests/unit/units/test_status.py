"""What `systemctl show` prints, and what becomes of it."""

import msgspec

from roost_edge.settings.device import Settings
from roost_edge.units.status import statuses
from roost_edge.units.systemctl import show

DEVICE = msgspec.convert(
    {"node": {"name": "pi1", "data": "/var/lib/roost"}, "tasks": {"nest": {"schedule": "/s"}}}, Settings
)
SAID = """\
Id=roost-rendezvous@nest.service
LoadState=loaded
ActiveState=active
SubState=running
Result=success
MainPID=42
NRestarts=3
StatusText=ready: schedule a=b
MemoryCurrent=29400000

Id=roost-decoy@nest.service
LoadState=loaded
ActiveState=activating
SubState=auto-restart
Result=oom-kill
MainPID=0
NRestarts=7
StatusText=
MemoryCurrent=18446744073709551615

Id=roost-monitor.service
LoadState=not-found
ActiveState=inactive
"""


def test_each_role_is_as_systemd_says_and_says_what_it_said_itself() -> None:
    found = {one.role: one for one in statuses(DEVICE, show(SAID))}
    rendezvous, decoy, monitor = found["rendezvous-nest"], found["decoy-nest"], found["monitor"]
    assert (rendezvous.state, rendezvous.pid, rendezvous.restarts, rendezvous.memory_mb) == ("active", 42, 3, 29.4)
    assert rendezvous.detail == "ready: schedule a=b"
    assert rendezvous.well
    assert (decoy.state, decoy.detail, decoy.memory_mb) == ("activating", "ended: oom-kill", None)
    assert not decoy.well
    assert monitor.state == "not-found"
    assert not monitor.well
    assert found["alerts"].state == "not-found"

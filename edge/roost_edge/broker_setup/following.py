"""Mosquitto follows what was written, by way of systemd where that runs."""

from roost_edge.broker_setup.setting_up import Outcome
from roost_edge.units import systemctl

UNIT = "mosquitto.service"


def follow(done: Outcome, *, running: bool) -> str:
    """Reload or restart it as needed; what was done, or what is left to do, in a sentence. Raises `PeerError`.

    `running`: the files are those of the system we run on, and its service is to follow.
    """
    if done.follow == "nothing":
        return ""
    if not running or not systemctl.runs():
        return f"Mosquitto follows after a {done.follow}: " + (
            f"systemctl {done.follow} mosquitto."
            if running
            else "start it with the written roost.conf, or send SIGHUP."
        )
    if done.follow == "restart":
        systemctl.systemctl("daemon-reload")
        systemctl.systemctl("enable", UNIT)
        systemctl.systemctl("restart", UNIT)
    else:
        systemctl.systemctl("reload-or-restart", UNIT)
    return f"Mosquitto was told: {done.follow}."

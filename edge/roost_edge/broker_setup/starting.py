"""What to do where no broker answers: the command that starts Mosquitto on this machine, as it is."""

from roost_broker.errors import Misuse
from roost_broker.mosquitto import find_mosquitto

_CORRECT = "or correct [broker] in the settings."


def how_to_start(port: int, *, systemd: bool, folders: str | None = None) -> str:
    """The next step. `systemd`: whether it runs this machine. `folders` are looked through instead of PATH.

    Without systemd, as in a container, the whole path is named: /usr/sbin is on no ordinary user's PATH.
    """
    if systemd:
        return f"Start it (systemctl start mosquitto), {_CORRECT}"
    try:
        program = find_mosquitto(folders)
    except Misuse:
        return f"Install it (apt-get install mosquitto) and start it (mosquitto -d -p {port}), {_CORRECT}"
    return f"Start it ({program} -d -p {port}), {_CORRECT}"

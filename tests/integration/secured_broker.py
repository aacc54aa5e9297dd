"""A device's own Mosquitto as `roost broker setup` makes it, started by the test instead of by systemd."""

import os
import re
import signal
from collections import defaultdict
from pathlib import Path
from types import TracebackType

from mqtt_by_hand import connect, greeting

from roost_broker.credentials import as_operator
from roost_broker.mosquitto import find_mosquitto
from roost_broker.private_process import PrivateProcess, free_port
from roost_broker.settings import BrokerSettings
from roost_edge.broker_setup.setting_up import BrokerSetup, Outcome
from roost_edge.settings import loading
from roost_edge.settings.device import Settings

_SUBSCRIBED = re.compile(r": (\S+) \d (\S+)$")


class SecuredBroker:
    """Stands where a `PrivateBroker` does for `task_device.Device`. Give it the settings file before `start`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.port, self.operators_port, self.outside_port = free_port(), free_port(), free_port()
        self.path = folder / "roost.toml"
        self.process = PrivateProcess("The secured broker", folder / "mosquitto.log")

    def secure(self, path: Path, **outside: str) -> None:
        """Add to a settings file, which has a `port` below [broker], what makes its broker a secured one."""
        self.path = path
        text = path.read_text(encoding="utf-8")
        wanted = f"port = {self.port}\n"
        assert text.count(wanted) == 1
        lines = [f"{wanted}operators_port = {self.operators_port}", f'passwords = "{self.folder}/passwords"']
        lines += ["[mosquitto]", f'files = "{self.folder}/files"', f'folder = "{self.folder}/saved"']
        lines += ["log_packets = true", f"outside.port = {self.outside_port}", 'outside.address = "127.0.0.1"']
        lines += [f"outside.{name} = {value}" for name, value in outside.items()]
        path.write_text(text.replace(wanted, "\n".join(lines) + "\n"), encoding="utf-8")

    @property
    def device(self) -> Settings:
        return loading.load(self.path)

    def set_up(self) -> Outcome:
        """As the command does."""
        done = BrokerSetup(self.device, service=False).run()
        # Started by root it would become the user mosquitto, who may not enter a test's folder.
        user = "user root\n" if os.geteuid() == 0 else ""
        written = (self.folder / "files" / "roost.conf").read_text(encoding="utf-8")
        (self.folder / "mosquitto.conf").write_text(written + user, encoding="utf-8")
        return done

    def start(self) -> None:
        self.set_up()
        command = [find_mosquitto(), "-c", str(self.folder / "mosquitto.conf")]
        assert self.process.start(command, self._accepts, 60), self.process.last_words()

    def _accepts(self) -> bool:
        """It listens before it is ready for signals; when it answers it is."""
        return greeting(self.operators_port, connect("nobody")) >= 0

    def reload(self) -> None:
        """What `systemctl reload mosquitto` does."""
        os.kill(self.process.pid, signal.SIGHUP)

    def settings(self) -> BrokerSettings:
        """As an operator's command reaches it."""
        return as_operator(self.device.broker)

    @property
    def log(self) -> str:
        return self.process.log_file.read_text(encoding="utf-8", errors="replace")

    @property
    def denied(self) -> list[str]:
        """Publications that were refused."""
        return [line for line in self.log.splitlines() if "Denied" in line]

    @property
    def subscribed(self) -> dict[str, set[str]]:
        """To what everybody subscribed, by client id."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for line in self.log.splitlines():
            if match := _SUBSCRIBED.search(line):
                found[match[1]].add(match[2])
        return dict(found)

    def __enter__(self) -> "SecuredBroker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.stop(10)

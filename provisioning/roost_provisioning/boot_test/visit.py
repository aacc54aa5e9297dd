"""What an operator does with a device that is on: wait until it is ready, ask it, watch it answer."""

from collections.abc import Mapping
from typing import Final, Self

import msgspec

from roost_broker.errors import PeerError
from roost_broker.messages import Availability, Result
from roost_edge.doctor.findings import Report as Examination
from roost_edge.doctor.findings import Status
from roost_provisioning.boot_test.device_link import DeviceLink, Papers
from roost_provisioning.boot_test.device_settings import DOCTOR_S, waiting_for
from roost_provisioning.boot_test.emulator import Emulator
from roost_provisioning.boot_test.telling import Telling

# Hang-guards for a shared machine, not expectations; `--patience` multiplies them.
_READY_S: Final = 900.0
_ANSWER_S: Final = 300.0
_SAID: Final[dict[Status, str]] = {"ok": "ok", "warn": "warnings", "fail": "failed", "skipped": "not examined"}
_EXAMINED_S: Final = DOCTOR_S + 300.0


class Visit:
    """A context manager: connects, and leaves at its end. `before` are the sessions that an earlier visit saw."""

    def __init__(
        self,
        device: Emulator,
        link: DeviceLink,
        node: str,
        tell: Telling,
        *,
        before: Mapping[str, int],
        patience: float,
    ) -> None:
        self.device = device
        self.link = link
        self.node = node
        self._tell = tell
        self._before = before
        self._patience = patience

    @classmethod
    def to(
        cls,
        device: Emulator,
        node: str,
        tell: Telling,
        *,
        port: int,
        papers: Papers,
        base: str,
        before: Mapping[str, int],
        patience: float,
    ) -> Self:
        """A visit by the forwarded port of the device's outer listener."""
        return cls(device, DeviceLink(port, papers, base), node, tell, before=before, patience=patience)

    def __enter__(self) -> Self:
        self.link.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.link.__exit__()

    @property
    def sessions(self) -> dict[str, int]:
        """In which session each role is ready, and the device itself is there."""
        return self.link.heard.ready() | {self.node: self.link.heard.nodes[self.node].session}

    def until_ready(self, wanted: frozenset[str]) -> None:
        """Wait for the device's announcement, then for every role; in a newer session than before."""
        with self._tell.step("Every role is ready") as found:
            try:
                self.device.until(self._announced, "the device to announce itself", _READY_S * self._patience)
                self._tell.figure("announced_s", self.device.uptime_s)
                self.device.until(
                    lambda: not self._waiting_for(wanted) or None, "every role", _READY_S * self._patience
                )
            except PeerError as error:
                told = f"Not ready: {', '.join(self._waiting_for(wanted))}. Heard: {self.link.heard.unready()}"
                raise PeerError(f"{error.problem}\n{told} {self.link.trouble}", error.remedy) from error
            self._tell.figure("ready_s", self.device.uptime_s)
            found(f"{len(wanted)} roles, {self.device.uptime_s:.0f} s after switching on")

    def look_at_its_certificate(self) -> None:
        """Whose broker this is, and by which version of TLS."""
        with self._tell.step("It announces itself over TLS") as found:
            who, version = self.link.peer()
            self._tell.expect(str(who) == f"device:{self.node}", f"The broker's certificate is for {who}.")
            self._tell.expect(version == "TLSv1.3", f"The broker speaks {version}.")
            info = self.device.until(lambda: self.link.take().info.get(self.node), "its info", 60 * self._patience)
            found(f"{who}, {version}, models {', '.join(sorted(info.models))}")

    def ask_the_doctor(self) -> None:
        """No check may fail."""
        with self._tell.step("It is asked for `doctor`") as found:
            reply = self.link.ask(self.node, "doctor", self.device.until, _EXAMINED_S * self._patience)
            if reply.status != "ok":
                self._tell.expect(False, f"doctor could not answer: {reply.problem} {reply.remedy}")
                return
            seen = msgspec.convert(reply.data, Examination)
            for check in seen.checks:
                if check.status in ("warn", "skipped"):
                    self._tell.say(f"  {check.status}: {check.name}: {check.found}")
                self._tell.expect(check.status != "fail", f"doctor: {check.name}: {check.found} {check.remedy}")
            self._tell.figure("doctor_s", seen.took_ms / 1000)
            counts = (f"{seen.count(status)} {word}" for status, word in _SAID.items())
            found(f"{', '.join(counts)}, in {seen.took_ms / 1000:.0f} s")

    def watch_an_answer(self, title: str) -> None:
        """A request that is answered by a model, and not by the schedule's default, after this moment."""
        with self._tell.step(title) as found:
            seen = {result.request_id for result in self.link.take().results.values()}
            result = self.device.until(lambda: self._answer(seen), "a model's answer", _ANSWER_S * self._patience)
            if result.answer is not None:
                found(f"{result.answer.label} {result.answer.score:.2f} by {result.answer.model}")

    def until_asked(self, count: int, beyond: int) -> int:
        """Wait until `count` requests more than `beyond` were asked; how many there are."""
        return self.device.until(
            lambda: asked if (asked := len(self.link.take().asked)) >= beyond + count else None,
            "requests to go on",
            _ANSWER_S * self._patience,
        )

    def _answer(self, seen: set[str]) -> Result | None:
        return next((one for one in self.link.take().answered() if one.request_id not in seen), None)

    def _announced(self) -> Availability | None:
        state = self.link.take().nodes.get(self.node)
        new = state is not None and state.state == "online" and state.session > self._before.get(self.node, -1)
        return state if new else None

    def _waiting_for(self, wanted: frozenset[str]) -> tuple[str, ...]:
        return waiting_for(wanted, self.link.take().ready(), self._before)

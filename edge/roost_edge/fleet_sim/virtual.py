"""A whole fleet and its roll-out on a virtual clock: simulated devices, the real controller, no network, no waiting.

Devices poll and report each at their own pace; some are off for a while, some reports are lost, clocks are wrong. What
the controller orders is done at once, for its shell is not what is tried here.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from roost_broker.clock import MS, SECOND
from roost_broker.errors import Misuse
from roost_edge.fleet_sim.device import SimulatedDevice
from roost_edge.fleet_sim.truth import Draw
from roost_models.rollout.actions import Action, Command, Halted, Mark, Move, SetDocument
from roost_models.rollout.controller import Controller
from roost_models.rollout.document import Rollout
from roost_models.rollout.evidence import DeviceReport


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What happens between devices and centre."""

    poll_s: float = 900.0
    """A device polls and reports so often; each a little differently."""
    lost: float = 0.0
    """Share of reports that never arrive."""
    off: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    """By device: from when until when it is off, in nanoseconds."""
    skews: Mapping[str, int] = field(default_factory=dict)
    """By device: how far its clock is ahead, in nanoseconds."""

    def __post_init__(self) -> None:
        if self.poll_s <= 0 or not 0 <= self.lost < 1:
            raise Misuse("A poll of 0 s, or all reports lost.", "Give poll_s above 0, and lost below 1.")


class VirtualFleet:
    """Devices around one controller. `actions` holds all it ever ordered, with the time."""

    def __init__(
        self,
        controller: Controller,
        devices: Sequence[SimulatedDevice],
        draw: Draw,
        world: World | None = None,
        *,
        now: int = 0,
    ) -> None:
        self.now = now
        self.controller = controller
        self.devices = {device.node: device for device in devices}
        self.actions: list[tuple[int, Action]] = []
        self.document: Rollout | None = None
        """What the registry holds."""
        self._draw, self._world = draw, world or World()
        self._reports = 0
        self._queue: list[tuple[int, str]] = []
        for device in devices:
            heapq.heappush(self._queue, (now + self._pause(), device.node))

    def order(self, command: Command) -> None:
        """Somebody wants something now."""
        self._do(self.controller.handle(command, self.now))

    def run(self, until: int, *, stop_when_finished: bool = False) -> bool:
        """Let time pass. Returns whether the roll-out is over and every device that reports is where it should be."""
        while self._queue and self._next() <= until:
            self.now = max(self.now, self._next())
            look = self.controller.deadline()
            if look is not None and look <= self.now:
                self._do(self.controller.expire(self.now))
            elif self._queue[0][0] <= self.now:
                self._wake(heapq.heappop(self._queue)[1])
            if stop_when_finished and self.controller.finished:
                return True
        self.now = max(self.now, until)
        return self.controller.finished

    def restart_controller(self) -> None:
        """The controller was killed; another one goes on from what it kept."""
        self.controller = Controller(self.controller.progress, self.document, now=self.now)
        self._do(self.controller.resumed(self.now))

    @property
    def markers(self) -> list[Mark]:
        """Markers it left, oldest first."""
        return [action for _, action in self.actions if isinstance(action, Mark)]

    @property
    def moves(self) -> list[Move]:
        """What it did to the life cycle."""
        return [action for _, action in self.actions if isinstance(action, Move)]

    @property
    def halted(self) -> Halted | None:
        """Why it stopped by itself, if it did."""
        return next((action for _, action in self.actions if isinstance(action, Halted)), None)

    def ever_served(self, digest: str) -> float:
        """Share of the devices that were ever served by this bundle."""
        return sum(digest in device.ever_served for device in self.devices.values()) / len(self.devices)

    def _next(self) -> int:
        look = self.controller.deadline()
        return self._queue[0][0] if look is None else min(self._queue[0][0], look)

    def _wake(self, node: str) -> None:
        device, now = self.devices[node], self.now
        heapq.heappush(self._queue, (now + self._pause(), node))
        if any(begin <= now < end for begin, end in self._world.off.get(node, ())):
            return
        if self.document is not None:
            device.see(self.document, now)
        device.pass_time(now)
        if device.dark or self._draw.random() < self._world.lost:
            return
        self._reports += 1
        wall = now + self._world.skews.get(node, 0)
        report = DeviceReport(
            node=node,
            report_id=str(self._reports),
            order=self._reports,
            tags=device.tags,
            line=device.line(max(wall, 0), now),
            sent_ms=max(wall, 0) // MS,
        )
        self._do(self.controller.handle(report, now))

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Mark | Move) and any(action == done for _, done in self.actions):
                continue  # ordered again after a restart; the shell does it once
            self.actions.append((self.now, action))
            if isinstance(action, SetDocument):
                self.document = action.document

    def _pause(self) -> int:
        return int(self._world.poll_s * (0.8 + 0.4 * self._draw.random()) * SECOND)

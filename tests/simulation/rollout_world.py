"""A fleet of simulated devices and a roll-out to it, on virtual time."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from roost_broker.clock import SECOND
from roost_edge.fleet_sim.device import Habits, SimulatedDevice
from roost_edge.fleet_sim.truth import Known, Truth
from roost_edge.fleet_sim.virtual import VirtualFleet, World
from roost_models.rollout import planning
from roost_models.rollout.actions import Command
from roost_models.rollout.controller import Controller
from roost_models.rollout.document import BundleRef
from roost_models.rollout.policy import Baseline, Policy
from roost_models.rollout.progress import Order, Progress

HOUR = 3600 * SECOND
DAY = 24 * HOUR
OLD = BundleRef(name="breeds", version="1", digest="a" * 64)
NEW = BundleRef(name="breeds", version="2", digest="b" * 64)
QUICK = Policy(min_dwell_s=3600, max_dwell_s=2 * 86_400, quiet_s=2 * 3600)
EXPECTED = Baseline(canary=0.93, previous=0.97, answers=0.99)
CAMERAS = ("imx219", "imx477", "imx708", "noir")
START = 1_800_000_000 * SECOND


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """What the fleet is like."""

    devices: int = 1000
    requests_per_day: float = 1000
    known: Known = field(default_factory=lambda: Known(usual=Truth()))
    world: World = field(default_factory=lambda: World(poll_s=1800, lost=0.05))
    policy: Policy = QUICK
    baseline: Baseline = EXPECTED
    tags: Mapping[str, str] = field(default_factory=dict)
    """Only devices with these take part."""
    off_share: float = 0.05
    """Share of the devices that are off all the time."""


def names(count: int) -> list[str]:
    return [f"coop-{number}" for number in range(count)]


def build(fleet: Fleet, seed: int, *, extra_off: Mapping[str, Sequence[tuple[int, int]]] | None = None) -> VirtualFleet:
    """The roll-out is planned and not started."""
    draw = random.Random(seed)
    habits = Habits(requests_per_s=fleet.requests_per_day / 86_400)
    devices = [
        SimulatedDevice(
            node,
            "nest",
            "champion",
            OLD,
            {NEW.digest: fleet.known},
            draw,
            tags={"camera": CAMERAS[number % 4 if number % 20 else 3], "site": f"farm-{number % 37}"},
            habits=habits,
        )
        for number, node in enumerate(names(fleet.devices))
    ]
    off = {node: [(0, START + 1000 * DAY)] for node in names(fleet.devices) if draw.random() < fleet.off_share}
    off.update({node: list(times) for node, times in (extra_off or {}).items()})
    skews = {node: int(draw.gauss(0, HOUR)) for node in names(fleet.devices)}
    rollout_id = f"breeds-2-{seed}"
    able = [
        device.node for device in devices if all(device.tags.get(name) == value for name, value in fleet.tags.items())
    ]
    plan = planning.make(
        fleet.policy,
        fleet.baseline,
        devices=len(able),
        requests_per_day=fleet.requests_per_day,
        rollout_id=rollout_id,
        nodes=able,
    )
    order = Order(
        rollout_id=rollout_id, task="nest", bundle=NEW, previous=OLD, tags=dict(fleet.tags), plan=plan, author="ann"
    )
    world = World(poll_s=fleet.world.poll_s, lost=fleet.world.lost, off=off, skews=skews)
    return VirtualFleet(Controller(Progress(order=order), now=START), devices, draw, world, now=START)


def play(fleet: Fleet, seed: int, *, days: float = 30) -> VirtualFleet:
    """Heard for some hours, started, and left alone until it is over."""
    running = build(fleet, seed)
    running.run(START + 2 * HOUR)
    running.order(Command("start", "ann", "better on rainy days"))
    running.run(START + int(days * DAY), stop_when_finished=True)
    return running

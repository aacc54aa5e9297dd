"""A registry, bundles of which the worth is known, and a simulated fleet on a real broker."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from roost_broker.centre.layout import CentreLayout
from roost_broker.clock import SystemClock
from roost_broker.settings import BrokerSettings
from roost_edge.fleet_sim.device import Habits
from roost_edge.fleet_sim.measuring import Measuring, read_pictures
from roost_edge.fleet_sim.running import Simulation, SimulationSettings
from roost_models.bundle.folder import Bundle
from roost_models.bundle.writing import write_bundle
from roost_models.registry.reader import RegistryReader
from roost_models.registry.setting_up import Plan
from roost_models.registry.store import BundleStore
from roost_models.registry.writer import Registry
from roost_models.rollout.document import BundleRef
from roost_models.rollout.lifecycle_log import LifecycleLog

TASK, NAME = "nest", "breeds"
MODEL = '''"""Says `dark` below a brightness."""


def predict(image, context):
    dark = image.mean() < {limit}
    return {{"dark": 0.9 if dark else 0.1, "light": 0.1 if dark else 0.9}}
'''


def bundle(folder: Path, version: str, limit: float) -> Bundle:
    """A model of one rule; bundles with limits far apart disagree on the pictures in between."""
    fields = {
        "name": NAME,
        "version": version,
        "task": TASK,
        "licence": "Apache-2.0",
        "engine": "python",
        "entry": "model.py",
        "labels": ["dark", "light"],
        "input": {"width": 8, "height": 8, "color": "rgb", "range": "uint8", "resize": "squeeze", "method": "box"},
    }
    return write_bundle(folder / version, fields, {"model.py": MODEL.format(limit=limit).encode()})


def pictures(folder: Path, count: int = 100) -> Path:
    """Grey pictures, from black to white."""
    folder.mkdir()
    for number in range(count):
        level = np.full((8, 8, 3), round(number * 255 / (count - 1)), np.uint8)
        Image.fromarray(level).save(folder / f"{number:03}.png")
    return folder


class Centre:
    """A centre's folder with a registry in it."""

    def __init__(self, folder: Path) -> None:
        self.layout = CentreLayout(folder)
        self.registry = Registry(self.layout.registry)
        plan = Plan(root_keys=folder / "stick", tasks=[TASK], targets_online=True)
        self.root = self.registry.init(plan)
        self.lifecycle = LifecycleLog(self.layout.lifecycle)

    def publish(self, *bundles: Bundle) -> list[BundleRef]:
        """Into registry and life cycle."""
        found = []
        for one in bundles:
            published = self.registry.publish(one).bundle
            self.lifecycle.publish(TASK, published, author="ann", at_ms=1, without_evaluation="a test")
            found.append(published)
        return found

    def reader(self, cache: Path) -> RegistryReader:
        """As a device reads it."""
        return RegistryReader(str(self.registry.public), cache, self.root)


def simulation(
    centre: Centre,
    folder: Path,
    port: int,
    delivered: Bundle,
    *,
    devices: int,
    say: Callable[[str], None] = lambda _text: None,
) -> Simulation:
    """A fleet that polls the centre's registry and has 100 requests a second each."""
    reader = centre.reader(folder / "reader")
    store = BundleStore(folder / "store")
    settings = SimulationSettings(
        devices=devices,
        task=TASK,
        name=NAME,
        delivered=delivered,
        tags={"camera": ["imx219", "noir"]},
        poll_s=0.5,
        habits=Habits(
            requests_per_s=100, download_ns=50_000_000, testing_ns=50_000_000, warming_ns=50_000_000, canary=False
        ),
    )
    return Simulation(
        settings,
        BrokerSettings(port=port),
        reader,
        lambda task, wanted: reader.fetch(task, wanted.name, wanted.version, store, digest=wanted.digest),
        Measuring(read_pictures(pictures(folder / "pictures"))),
        SystemClock(),
        say=say,
    )

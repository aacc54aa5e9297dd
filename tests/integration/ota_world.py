"""A device with one line that is kept up to date, and a registry of its own to offer it bundles.

The line's model is `champion` of the task `nest`; the canary stands beside it. What a bundle says is its source.
"""

import json
from pathlib import Path
from typing import Any, Literal

from requester import Requester
from task_device import NODE, Device, schedule

from roost_broker.bus import Delivery
from roost_broker.messages import OtaLine, OtaState, Trial, decode
from roost_broker.mosquitto import PrivateBroker
from roost_edge.processes import control
from roost_models.bundle.folder import Bundle
from roost_models.bundle.writing import write_bundle
from roost_models.registry.setting_up import Plan
from roost_models.registry.writer import Registry
from roost_models.rollout.document import BundleRef, Rollout

TASK, MODEL, NAME = "nest", "champion", "hen"
# Who answers is the matter here, not how fast a busy machine is.
SLA_MS = 10_000
SCHEDULE = schedule((0, ["champion"]), (4000, ["champion", "fast"]), (6000, ["*"]), ignore=("canary",), sla_ms=SLA_MS)
SAYS = 'def predict(image, context):\n    return {{"{label}": 0.9, "other": 0.1}}\n'
HERE = 'def predict(image, context):\n    return {"here": 1.0}\n'
DIES = (
    "import os\n"
    "def predict(image, context):\n"
    '    if context.values["number"] > 0:\n        os._exit(7)\n'
    '    return {"bad": 0.9, "other": 0.1}\n'
)


def make_bundle(folder: Path, version: str, source: str, *, label: str = "", name: str = NAME, **other: Any) -> Bundle:
    """A small bundle that says `label` (or whatever `source` does); its golden is number 0. `other`: fields."""
    fields = {
        **{"name": name, "version": version, "task": TASK, "engine": "python", "entry": "model.py"},
        **{"labels": ["bad", "new", "old", "other"], "licence": "Apache-2.0"},
        "goldens": [{"values": {"number": 0}, "outputs": [{"label": label, "score": 0.9}] if label else []}],
        "queue": {"max_waiting": 500},
        **other,
    }
    return write_bundle(folder, fields, {"model.py": source.encode()})


class OtaWorld:
    """The registry lies in `<folder>/registry`; the device in `<folder>/device` is run with `device.up()`."""

    def __init__(
        self, folder: Path, broker: PrivateBroker, *, models: dict[str, Path] | None = None, **ota: Any
    ) -> None:
        self.folder = folder
        self.registry = Registry(folder / "registry")
        self.root = self.registry.init(Plan(root_keys=folder / "root-keys", targets_online=True))
        (folder / "root.json").write_bytes(self.root)
        self.bundles: dict[str, Bundle] = {}
        self.generation = 0
        (folder / "device").mkdir()
        self.device = Device(folder / "device", broker)
        self.old = make_bundle(folder / "old", "1.0.0", SAYS.format(label="old"), label="old")
        self.device.task(
            SCHEDULE,
            champion=self.old.root,
            fast=HERE,
            canary=HERE,
            **(models or {}),
        )
        settings: dict[str, Any] = {
            "registry": str(self.registry.public),
            "root": str(folder / "root.json"),
            **{"poll_s": 1, "retry_s": 1, "report_s": 1},
            "busy.motion": False,
            "trial.min_requests": 20,
            "limits.reserve_bytes": 0,
            **ota,
        }
        lines = [f'models.{MODEL}.ota = "{NAME}"', "[ota]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        with self.device.settings.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def publish(self, version: str, source: str, *, label: str = "", **fields: Any) -> Bundle:
        """A bundle into the registry."""
        bundle = make_bundle(self.folder / f"hen-{version}", version, source, label=label, **fields)
        self.registry.publish(bundle)
        self.bundles[version] = bundle
        return bundle

    def roll_out(
        self,
        version: str,
        role: Literal["shadow", "serving", "previous"],
        *,
        rollout: str = "first",
        previous: str = "",
        state: Literal["running", "aborted", "complete"] = "running",
    ) -> Rollout:
        """A document that gives every device this role."""
        self.generation += 1
        document = Rollout(
            rollout_id=rollout,
            generation=self.generation,
            task=TASK,
            bundle=ref(self.bundles[version]),
            previous=ref(self.bundles[previous]) if previous else None,
            state=state,
            shadow=0.0 if role == "previous" else 1.0,
            serving=1.0 if role == "serving" else 0.0,
        )
        self.registry.set_rollout(document)
        return document

    async def command(self, **wish: Any) -> dict[str, Any]:
        """A command to the running agent."""
        answer = await control.ask(self.device.folder / "data" / "ota" / "agent.sock", wish, timeout_s=10)
        assert answer is not None
        return answer


def ref(bundle: Bundle) -> BundleRef:
    return BundleRef(name=bundle.manifest.name, version=bundle.manifest.version, digest=bundle.digest)


class Watcher(Requester):
    """A requester that reads the device's reports too."""

    def __init__(self, device: Device) -> None:
        super().__init__(device, TASK, sla_ms=SLA_MS)
        self.reports: list[OtaState] = []
        self.payloads: list[bytes] = []
        self.bus.subscribe(device.topics.ota, self._reported)

    async def __aenter__(self) -> "Watcher":
        await super().__aenter__()
        return self

    def _reported(self, delivery: Delivery) -> None:
        message = decode(delivery.payload)
        assert isinstance(message, OtaState)
        self.reports.append(message)
        self.payloads.append(delivery.payload)
        delivery.ack()
        self._news.set()

    @property
    def line(self) -> OtaLine | None:
        return self.reports[-1].lines[0] if self.reports else None

    @property
    def trial(self) -> Trial | None:
        return self.line.trial if self.line is not None else None

    async def phase(self, *phases: str, version: str = "") -> OtaLine:
        """Until the line is in one of these phases (and, with `version`, that is in one of its slots)."""

        def there() -> bool:
            line = self.line
            return (
                line is not None
                and line.phase in phases
                and (not version or any(slot.version == version for slot in line.slots))
            )

        await self.until(there)
        assert self.line is not None
        return self.line

    async def of_rollout(self, rollout: str, phase: str) -> OtaLine:
        """Until the line acts on this roll-out and is in this phase."""
        await self.until(lambda: self.line is not None and (self.line.rollout, self.line.phase) == (rollout, phase))
        assert self.line is not None
        return self.line

    def phases(self) -> list[str]:
        """Through which phases the line went, as far as reports told."""
        found: list[str] = []
        for report in self.reports:
            if not found or found[-1] != report.lines[0].phase:
                found.append(report.lines[0].phase)
        return found


__all__ = ["NODE", "OtaWorld", "Watcher"]

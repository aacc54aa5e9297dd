"""A registry with everything that belongs to it, in one folder; time is what the test says."""

import datetime
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from roost_models.bundle.folder import Bundle
from roost_models.bundle.writing import write_bundle
from roost_models.registry.limits import Limits
from roost_models.registry.reader import RegistryReader
from roost_models.registry.setting_up import Plan
from roost_models.registry.store import BundleStore
from roost_models.registry.writer import Registry
from roost_models.rollout.document import BundleRef, Rollout

TASK = "nest"
NAME = "hen"
SOURCE = b'def predict(image, context):\n    return {"hen": 1.0, "none": 0.0}\n'
WEIGHTS = bytes(range(256)) * 400


class RegistryWorld:
    """`registry` is the centre's; `mirror()` a copy of what it serves now; `reader()` a device."""

    def __init__(self, folder: Path, **plan: Any) -> None:
        self.folder = folder
        self.now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        self.stick = folder / "stick"
        self.registry = self.open(self.stick)
        self.root = self.registry.init(Plan(root_keys=self.stick, **{"tasks": [TASK], **plan}))
        self._mirrors = 0

    def open(self, *folders: Path) -> Registry:
        return Registry(self.folder / "registry", folders=folders, clock=lambda: self.now)

    def pass_days(self, days: float) -> None:
        self.now += datetime.timedelta(days=days)

    def bundle(self, version: str = "1.0", *, head: bytes = b"head", **fields: Any) -> Bundle:
        manifest = {
            "name": NAME,
            "version": version,
            "task": TASK,
            "engine": "python",
            "entry": "model.py",
            "labels": ["hen", "none"],
            "licence": "CC0-1.0",
            **fields,
        }
        place = self.folder / "bundles" / f"{manifest['name']}-{version}-{hashlib.sha256(head).hexdigest()[:6]}"
        return write_bundle(place, manifest, {"model.py": SOURCE, "weights.bin": WEIGHTS, "head.bin": head})

    def publish(self, version: str = "1.0", **fields: Any) -> Bundle:
        bundle = self.bundle(version, **fields)
        self.registry.publish(bundle)
        return bundle

    def rollout(self, bundle: Bundle, generation: int = 1, **fields: Any) -> Rollout:
        reference = BundleRef(name=bundle.manifest.name, version=bundle.manifest.version, digest=bundle.digest)
        document = Rollout(
            rollout_id="first",
            generation=generation,
            task=TASK,
            bundle=reference,
            **{"state": "running", "shadow": 0.1, **fields},
        )
        self.registry.set_rollout(document)
        return document

    def mirror(self) -> Path:
        """A copy of what is served now, which does not change any more by itself."""
        self._mirrors += 1
        copy = self.folder / f"mirror-{self._mirrors}"
        shutil.copytree(self.registry.public, copy)
        return copy

    def reader(
        self, location: Path | str | None = None, *, device: str = "device", limits: Limits | None = None
    ) -> RegistryReader:
        return RegistryReader(
            str(location or self.registry.public),
            self.folder / device / "cache",
            self.root,
            limits=limits or Limits(reserve_bytes=0),
            clock=lambda: self.now,
        )

    def store(self, device: str = "device") -> BundleStore:
        return BundleStore(self.folder / device / "store")


def edit_json(path: Path, **changes: Any) -> None:
    """Change fields of the signed part, and leave the signatures as they were."""
    page = json.loads(path.read_bytes())
    page["signed"].update(changes)
    path.write_text(json.dumps(page))

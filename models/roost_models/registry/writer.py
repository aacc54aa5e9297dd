"""The registry as the centre writes it: bundles and roll-out documents in, signed static files out.

Rules:

1. Every state that a reader can find is whole: targets are written before the metadata that name them, the timestamp
   last, each durably; whoever is killed in between leaves the old state in force (`edition`).
2. A version is published once. Other content under the same version is refused.
3. Nothing here holds the keys of root: it is signed in a folder that is plugged in for it (`rotation`).
4. One writer at a time (a lock on the folder; the second waits).

What it does not do: decide whether a bundle is good enough (`publishing` asks for the report), or serve anything.
"""

import datetime
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from tuf.api.metadata import Delegations, Metadata, Root, TargetFile, Targets

from roost_broker.errors import Malformed, Misuse
from roost_models.bundle.folder import Bundle, read_manifest
from roost_models.bundle.manifest import digest_of
from roost_models.registry import layout
from roost_models.registry import settings as settings_file
from roost_models.registry.edition import Edition, check_enough
from roost_models.registry.errors import AlreadyPublished
from roost_models.registry.keys import KeyRing, Passphrase, no_passphrase
from roost_models.registry.metadata_files import MetadataFiles
from roost_models.registry.setting_up import Plan, delegate, first_roles, make_keys
from roost_models.registry.settings import RegistrySettings
from roost_models.registry.target_files import TargetFiles
from roost_models.registry.withdrawing import withdrawn_of
from roost_models.rollout.document import BundleRef, Rollout
from roost_models.rollout.document import parse as parse_rollout
from roost_models.rollout.document import render as render_rollout


class Published(Struct, frozen=True, kw_only=True):
    """What publishing did."""

    task: str
    bundle: BundleRef
    new: bool
    """False: exactly this was published already."""
    files: int = 0
    """Files that were not in the registry before."""
    bytes: int = 0


class Registry:
    """A registry in a folder (`CentreLayout.registry`). `folders`: where further private keys are, besides its own."""

    def __init__(
        self,
        root: Path,
        *,
        folders: Sequence[Path] = (),
        passphrase: Passphrase = no_passphrase,
        clock: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
    ) -> None:
        self.root = root
        self.clock = clock
        self.public = root / "public"
        self.keys = root / "keys"
        self.files = MetadataFiles(self.public / "metadata")
        self.stored = TargetFiles(self.public)
        self.ring = KeyRing([self.keys, *folders], passphrase)

    @property
    def settings(self) -> RegistrySettings:
        """As it was set up."""
        return settings_file.load(self.root / "settings.json")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone: a second writer waits here. The kernel takes the lock back from one that is killed."""
        self.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def init(self, plan: Plan) -> bytes:
        """Set up an empty registry. Returns its first root: what devices are given to trust. Raises `Misuse`."""
        with self.locked():
            if self.files.exists():
                raise Misuse(f"There is a registry at {self.root} already.", "Publish into it, or give a new folder.")
            if self.files.versions(layout.ROOT):  # killed in the middle: nobody can trust that root yet
                if self.files.versions(layout.ROOT) != [1] or (self.public / "targets").exists():
                    raise Misuse(
                        f"The registry at {self.root} has lost its timestamp.json.",
                        "Restore that file from a backup or a mirror; setting it up anew would lose all devices.",
                    )
                for left in self.files.folder.glob("*.json"):
                    left.unlink()
            settings_file.save(self.root / "settings.json", plan.settings)
            made = make_keys(plan, self.ring, self.keys)
            root, targets = first_roles(plan, made)
            edition = Edition(self.files, self.ring, plan.settings, self.clock(), root)
            edition.add(layout.TARGETS, targets)
            for role in (layout.ROLLOUTS, *(layout.task_role(task) for task in plan.tasks)):
                edition.add(role, Targets())
            data = edition.root_page(root)
            self.files.write(layout.ROOT, 1, data)
            edition.commit()
            return data

    def publish(self, bundle: Bundle, *, custom: dict[str, str] | None = None) -> Published:
        """Put a verified bundle in, with `custom` beside it for people. Raises `AlreadyPublished`, `KeysMissing`."""
        manifest = bundle.manifest
        reference = BundleRef(name=manifest.name, version=manifest.version, digest=bundle.digest)
        target = layout.bundle_target(manifest.task, manifest.name, manifest.version)
        with self.locked():
            edition = self.edition()
            role = self._task(edition, manifest.task)
            there = edition.targets(role).targets.get(target)
            if there is None and target in withdrawn_of(edition.targets(role)):
                raise AlreadyPublished(
                    f"{manifest.name} {manifest.version} was withdrawn.",
                    "A version is published once: give the bundle a new version and pack it again.",
                )
            if there is not None:
                if (there.custom or {}).get("digest") != bundle.digest:
                    raise AlreadyPublished(
                        f"{manifest.name} {manifest.version} is published with another content.",
                        "Give the bundle a new version and pack it again.",
                    )
                return Published(task=manifest.task, bundle=reference, new=False)
            count, size = self.stored.add_bundle(bundle)
            data = read_manifest(bundle.root)
            if digest_of(data) != bundle.digest:
                raise Malformed(f"The manifest in {bundle.root} changed since it was opened.", "Publish it again.")
            info = TargetFile.from_data(target, data, ["sha256"])
            info.unrecognized_fields["custom"] = {"digest": bundle.digest, **(custom or {})}
            self.stored.add_document(info, data)
            edition.targets(role).targets[target] = info
            edition.commit()
            self.prune()
        return Published(task=manifest.task, bundle=reference, new=True, files=count, bytes=size)

    def set_rollout(self, document: Rollout) -> bool:
        """Put a roll-out document in force; False when it is already. Raises `Misuse`, `KeysMissing`.

        Its bundles must be published here as it names them, and its generation be above that of the one before.
        """
        target = layout.rollout_target(document.task, document.bundle.name)
        data = render_rollout(document)
        with self.locked():
            before = self.rollout(document.task, document.bundle.name)
            if before is not None and render_rollout(before) == data:
                return False
            if before is not None and document.generation <= before.generation:
                raise Misuse(
                    f"Generation {document.generation} does not follow {before.generation} of {before.rollout_id}.",
                    f"Write it with generation {before.generation + 1} or more.",
                )
            for one in (document.bundle, document.previous):
                if one is not None:
                    self._check_published(document.task, one)
            edition = self.edition()
            info = TargetFile.from_data(target, data, ["sha256"])
            self.stored.add_document(info, data)
            edition.targets(layout.ROLLOUTS).targets[target] = info
            edition.commit()
            self.prune()
        return True

    def rollout(self, task: str, name: str) -> Rollout | None:
        """The document in force for a line."""
        info = self.files.targets(layout.ROLLOUTS).signed.targets.get(layout.rollout_target(task, name))
        return None if info is None else parse_rollout(self.stored.document(info))

    def rollouts(self) -> list[Rollout]:
        """All documents in force."""
        found = self.files.targets(layout.ROLLOUTS).signed.targets
        return [parse_rollout(self.stored.document(info)) for _, info in sorted(found.items())]

    def bundles(self) -> list[tuple[str, BundleRef, TargetFile]]:
        """Everything that is published: task, bundle, and what is signed of it."""
        found = []
        for role in sorted(self.files.infos()):
            if layout.task_of(role) is not None:
                for path, info in sorted(self.files.targets(role).signed.targets.items()):
                    if (parts := layout.bundle_of(path)) is not None:
                        digest = (info.custom or {}).get("digest", "")
                        found.append((parts[0], BundleRef(name=parts[1], version=parts[2], digest=digest), info))
        return found

    def edition(self, root: Root | None = None) -> Edition:
        """A change, to be made under the lock."""
        return Edition(self.files, self.ring, self.settings, self.clock(), root or self.files.root().signed)

    def _task(self, edition: Edition, task: str) -> str:
        """The role of a task; delegated to a new key when the task is new, which takes the keys of targets."""
        role = layout.task_role(task)
        if role not in self.files.infos():
            self.check_keys(layout.TARGETS)
            key = self.ring.make(role, self._home_of_tasks())
            targets = edition.targets(layout.TARGETS)
            delegations = targets.delegations or Delegations({}, {})
            targets.delegations = delegations
            delegate(delegations, role, 1, layout.task_pattern(task))
            targets.add_key(key, role)
            edition.add(role, Targets())
        return role

    def _home_of_tasks(self) -> Path:
        """Where the key of a new task is made: with those of the other tasks, which may be offline."""
        others = [role for role in self.files.infos() if layout.task_of(role) is not None]
        keyids = [keyid for role in others for keyid in self.signers(role)[0]]
        if not keyids or any(self.ring.folder_of(keyid) == self.keys for keyid in keyids):
            return self.keys
        here = (self.ring.folder_of(keyid) for keyid in [*keyids, *self.signers(layout.TARGETS)[0]])
        return next((folder for folder in here if folder is not None), self.keys)

    def _check_published(self, task: str, wanted: BundleRef) -> None:
        for found_task, found, _ in self.bundles():
            if (found_task, found) == (task, wanted):
                return
        raise Misuse(
            f"{wanted.name} {wanted.version} ({wanted.digest[:12]}…) of task {task} is not published.",
            "Publish it first: roost registry publish.",
        )

    def page(self, role: str) -> Metadata[Any]:
        """What is in force of a role, as it is signed."""
        if role == layout.ROOT:
            return self.files.root()
        if role == layout.TIMESTAMP:
            return self.files.timestamp()
        return self.files.snapshot() if role == layout.SNAPSHOT else self.files.targets(role)

    def expires(self, role: str) -> datetime.datetime:
        """When the signatures of a role in force end (UTC)."""
        ends: datetime.datetime = self.page(role).signed.expires
        return ends

    def delegator(self, role: str) -> Root | Targets:
        """Who says which keys sign a role."""
        if role in layout.TOP_LEVEL:
            return self.files.root().signed
        return self.files.targets(layout.TARGETS).signed

    def can_sign(self, role: str) -> bool:
        """Whether enough keys of a role are in the folders at hand."""
        signers = self.signers(role)
        return sum(self.ring.has(keyid) for keyid in signers[0]) >= signers[1]

    def signers(self, role: str, delegator: Root | Targets | None = None) -> tuple[list[str], int]:
        """Ids of the keys of a role, and how many of them must sign."""
        one = (delegator or self.delegator(role)).get_delegated_role(role)
        return list(one.keyids), one.threshold

    def check_keys(self, role: str, delegator: Root | Targets | None = None) -> None:
        """Raise `KeysMissing` when a role cannot be signed here."""
        keyids, threshold = self.signers(role, delegator)
        check_enough(role, [keyid for keyid in keyids if self.ring.has(keyid)], keyids, threshold)

    def prune(self) -> None:
        """Remove what is superseded for long."""
        kept = self.settings.kept
        self.files.prune(kept)
        in_force = list(self.files.targets(layout.ROLLOUTS).signed.targets.values())
        self.stored.prune_documents(in_force, kept)

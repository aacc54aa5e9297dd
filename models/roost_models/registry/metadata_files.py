"""The signed metadata on disk: what is in force, and the next free version of each role.

In force is what the timestamp leads to. A version that was written and never named by a snapshot (its writer was
killed) is left alone, and its number is never used again: some mirror may have it.
"""

import re
from pathlib import Path
from typing import TypeVar

from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from roost_broker.durable import write_durably
from roost_broker.errors import Malformed, Misuse
from roost_models.registry import layout

_Signed = TypeVar("_Signed", Root, Timestamp, Snapshot, Targets)
_VERSIONED = re.compile(r"(\d{1,10})\.(.+)\.json\Z")


class MetadataFiles:
    """The folder `public/metadata`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def exists(self) -> bool:
        """Whether a registry was set up here, down to its timestamp."""
        return (self.folder / "timestamp.json").exists()

    def versions(self, role: str) -> list[int]:
        """Versions of a role that lie here, in force or not, rising."""
        found = (_VERSIONED.match(path.name) for path in self.folder.glob(f"*.{role}.json"))
        return sorted(int(match[1]) for match in found if match is not None and match[2] == role)

    def next_version(self, role: str) -> int:
        """One that was never used."""
        return max(self.versions(role), default=0) + 1

    def root(self) -> Metadata[Root]:
        """The newest root: in force as soon as it is there."""
        versions = self.versions(layout.ROOT)
        if not versions:
            raise Misuse(
                f"There is no registry at {self.folder.parents[1]}.",
                "Set one up (roost registry init), or name the centre that has one: --centre DIR.",
            )
        return self._read(Root, f"{versions[-1]}.root.json")

    def timestamp(self) -> Metadata[Timestamp]:
        """The one in force."""
        return self._read(Timestamp, "timestamp.json")

    def snapshot(self) -> Metadata[Snapshot]:
        """The one in force."""
        version = self.timestamp().signed.snapshot_meta.version
        return self._read(Snapshot, f"{version}.snapshot.json")

    def infos(self) -> dict[str, MetaFile]:
        """What is in force of every role that signs targets, by role."""
        return {name.removesuffix(".json"): info for name, info in self.snapshot().signed.meta.items()}

    def targets(self, role: str) -> Metadata[Targets]:
        """The one in force of a role that signs targets."""
        info = self.infos().get(role)
        if info is None:
            raise Misuse(f"The registry has no role {role}.", "`roost registry status` lists them.")
        return self._read(Targets, f"{info.version}.{role}.json")

    def write(self, role: str, version: int, data: bytes) -> None:
        """Put one version there, durably. Timestamp has no version in its name; root has a copy without one too."""
        name = "timestamp.json" if role == layout.TIMESTAMP else f"{version}.{role}.json"
        write_durably(self.folder / name, data)
        if role == layout.ROOT:
            write_durably(self.folder / "root.json", data)

    def prune(self, kept: int) -> None:
        """Remove superseded versions but the newest `kept` of each role, and never a root or what is in force."""
        in_force = {f"{info.version}.{role}.json" for role, info in self.infos().items()}
        in_force.add(f"{self.timestamp().signed.snapshot_meta.version}.snapshot.json")
        for role in [*self.infos(), layout.SNAPSHOT]:
            for version in self.versions(role)[:-kept]:
                name = f"{version}.{role}.json"
                if name not in in_force:
                    (self.folder / name).unlink(missing_ok=True)

    def _read(self, kind: type[_Signed], name: str) -> Metadata[_Signed]:
        path = self.folder / name
        try:
            found = Metadata[_Signed].from_bytes(path.read_bytes())
        except (OSError, DeserializationError) as error:
            raise Malformed(f"{path} cannot be read: {error}.", "Restore the registry from a backup.") from error
        if not isinstance(found.signed, kind):
            raise Malformed(f"{path} is not what its name says.", "Restore the registry from a backup.")
        return found

"""One change of the registry: which roles change, signed and written so that every reader finds a whole state.

The order is the promise: targets first (by the caller), then the roles that sign them, snapshot, timestamp. Every name
is new but the timestamp's, which is replaced in one step. Whoever is killed in between leaves files that nobody names.
"""

import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from tuf.api.metadata import Metadata, MetaFile, Role, Root, Signed, Snapshot, Targets, Timestamp

from roost_models.registry import layout
from roost_models.registry.errors import KeysMissing
from roost_models.registry.keys import KeyRing
from roost_models.registry.metadata_files import MetadataFiles
from roost_models.registry.settings import RegistrySettings


class Edition:
    """Collects changes; nothing is written before `commit`."""

    def __init__(
        self, files: MetadataFiles, ring: KeyRing, settings: RegistrySettings, now: datetime.datetime, root: Root
    ) -> None:
        """`root` says whose signatures count; usually the one in force."""
        self._files = files
        self._ring = ring
        self._settings = settings
        self._now = now.replace(microsecond=0)
        self._root = root
        self._changed: dict[str, Targets] = {}
        self._ready: dict[str, bytes] = {}

    def targets(self, role: str) -> Targets:
        """What a role signs, to be changed in place; it is signed anew with the commit."""
        if role not in self._changed:
            self._changed[role] = deepcopy(self._files.targets(role).signed)
        return self._changed[role]

    def add(self, role: str, targets: Targets) -> None:
        """A role that signs targets, new or replaced as a whole."""
        self._changed[role] = targets

    def add_signed(self, role: str, targets: Targets, data: bytes) -> None:
        """As `add`, for what was signed elsewhere: exactly these bytes are written."""
        self._changed[role] = targets
        self._ready[role] = data

    def commit(self, *, also: Mapping[str, Collection[str]] | None = None) -> None:
        """Sign and write. `also`: further key ids that sign a role, as far as their keys are here.

        Raises `KeysMissing` before anything is written.
        """
        further = also or {}
        infos = self._files.infos() if self._files.exists() else {}
        pages: list[tuple[str, int, bytes]] = []
        for role, signed in self._changed.items():
            data = self._ready.get(role) or self._page(role, signed, further.get(role, ()))
            pages.append((role, signed.version, data))
            infos[role] = _info(signed.version, data)
        snapshot = Snapshot(meta={f"{role}.json": info for role, info in sorted(infos.items())})
        data = self._page(layout.SNAPSHOT, snapshot, further.get(layout.SNAPSHOT, ()))
        pages.append((layout.SNAPSHOT, snapshot.version, data))
        pages.append(self.timestamp(_info(snapshot.version, data), further.get(layout.TIMESTAMP, ())))
        for role, version, page in pages:
            self._files.write(role, version, page)
        self._changed = {}

    def root_page(self, root: Root) -> bytes:
        """The bytes of a first root, signed. Raises `KeysMissing`."""
        root.expires = self._now + datetime.timedelta(days=self._settings.validity.root)
        return sign(Metadata(root), layout.ROOT, [root.get_delegated_role(layout.ROOT)], self._ring)

    def timestamp(self, snapshot: MetaFile, also: Collection[str] = ()) -> tuple[str, int, bytes]:
        """A new timestamp that names this snapshot: role, version and bytes, not yet written."""
        signed = Timestamp(snapshot_meta=snapshot)
        return layout.TIMESTAMP, *self._numbered(layout.TIMESTAMP, signed, also)

    def _page(self, role: str, signed: Signed, also: Collection[str]) -> bytes:
        return self._numbered(role, signed, also)[1]

    def _numbered(self, role: str, signed: Signed, also: Collection[str]) -> tuple[int, bytes]:
        if role == layout.TIMESTAMP:
            signed.version = self._files.timestamp().signed.version + 1 if self._files.exists() else 1
        else:
            signed.version = self._files.next_version(role)
        signed.expires = self._now + datetime.timedelta(days=self._settings.validity.days(role))
        return signed.version, sign(Metadata(signed), role, [self._signers_of(role)], self._ring, also=also)

    def _signers_of(self, role: str) -> Role:
        if role in layout.TOP_LEVEL:
            return self._root.get_delegated_role(role)
        return self.targets_in_force().get_delegated_role(role)

    def targets_in_force(self) -> Targets:
        """Top-level targets as they will be: changed ones if there are."""
        return self._changed.get(layout.TARGETS) or self._files.targets(layout.TARGETS).signed


def sign(
    metadata: Metadata[Any], role: str, roles: Iterable[Role], ring: KeyRing, *, also: Collection[str] = ()
) -> bytes:
    """Sign with every key of these roles that is here; bytes as they are written.

    Raises `KeysMissing` when one of them does not reach its threshold with the signatures there and new.
    """
    metadata.signatures.clear()
    needed = list(roles)
    for keyid in dict.fromkeys([keyid for one in needed for keyid in one.keyids] + list(also)):
        signer = ring.signer(keyid)
        if signer is not None:
            metadata.sign(signer, append=True)
    for one in needed:
        check_signed(metadata, one, role)
    return metadata.to_bytes()


def check_signed(metadata: Metadata[Any], one: Role, role: str) -> None:
    """Raise `KeysMissing` unless enough keys of a role have signed."""
    check_enough(role, [keyid for keyid in one.keyids if keyid in metadata.signatures], one.keyids, one.threshold)


def check_enough(role: str, have: Sequence[str], keyids: Sequence[str], threshold: int) -> None:
    """Raise `KeysMissing` when these are too few of a role's keys."""
    if len(have) < threshold:
        absent = ", ".join(keyid[:12] + "…" for keyid in keyids if keyid not in have)
        raise KeysMissing(
            f"{role} needs the signatures of {threshold} of its {len(keyids)} keys; {len(have)} of them are here. "
            f"Not here: {absent}.",
            "Give the folders that they are in (--root-keys DIR, --keys DIR), or have it signed where they are: "
            "rotate … --unsigned FILE, then sign there, then accept.",
        )


def _info(version: int, data: bytes) -> MetaFile:
    return MetaFile.from_data(version, data, ["sha256"])

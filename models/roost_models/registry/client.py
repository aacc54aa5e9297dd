"""python-tuf's client with our limits, our clock and our names for what goes wrong.

The only module that touches tuf's client, and its inside in one place: the set of metadata that it trusts
(`_trusted_set`), for the versions in it and for its idea of the time. Tests hold it against the version installed.
"""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tuf.api import exceptions
from tuf.api.metadata import TargetFile, Targets
from tuf.api.serialization import DeserializationError
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from roost_models.registry import layout
from roost_models.registry.errors import Reason, RegistryRefused, RegistryUnreachable
from roost_models.registry.floor import Floor
from roost_models.registry.limits import Limits
from roost_models.registry.sources import NotThere, Source

if TYPE_CHECKING:
    from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet

_METADATA = "metadata/"
_REMEDIES: dict[Reason, str] = {
    "rollback": "The mirror or stick is older than what this device has seen: bring it up to date.",
    "freeze": "Re-sign it with `roost registry refresh`, or look whether this mirror is still brought up to date.",
    "mix-and-match": "Copy the whole registry again; `roost registry export` does it in a safe order.",
    "endless": "Try another mirror.",
    "signature": "Was the stick or mirror copied before a change of keys (`rotate`)? Export it again. Else somebody "
    "altered it, or keys were changed that this device's trusted root does not lead to.",
    "altered": "Copy that file to the mirror again.",
    "malformed": "Copy the registry again.",
}


class BoundedFetcher(FetcherInterface):
    """Gives tuf its bytes from a source: in memory, bounded, with no temporary file anywhere.

    `asked` is the last path that was read, so that a refusal can say which role it is about.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.asked = ""

    def _fetch(self, url: str) -> Iterator[bytes]:
        raise NotImplementedError(f"{url}: only whole documents are read")

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """See `FetcherInterface`."""
        self.asked = url
        try:
            return b"".join(self._source.read(url, most=max_length))
        except NotThere as error:
            raise exceptions.DownloadHTTPError(f"{url} is not there", 404) from error


class TrustedView:
    """One look at the registry: metadata are loaded once, and everything asked afterwards is of that one state."""

    def __init__(
        self, source: Source, folder: Path, trusted_root: bytes, limits: Limits, now: datetime.datetime
    ) -> None:
        self._limits = limits
        self._fetcher = BoundedFetcher(source)
        self._folder = folder
        config = UpdaterConfig(
            max_root_rotations=limits.root_rotations,
            max_delegations=limits.delegations,
            root_max_length=limits.root_bytes,
            timestamp_max_length=limits.timestamp_bytes,
            snapshot_max_length=limits.snapshot_bytes,
            targets_max_length=limits.targets_bytes,
        )
        with self._named():
            self._updater = Updater(
                str(folder), _METADATA, fetcher=self._fetcher, config=config, bootstrap=trusted_root
            )
        self._trusted.reference_time = now

    @property
    def _trusted(self) -> "TrustedMetadataSet":
        return self._updater._trusted_set

    def refresh(self) -> None:
        """Load all top-level metadata. Raises `RegistryRefused`, `RegistryUnreachable`; `OSError` of the cache."""
        with self._named():
            self._updater.refresh()

    def seen(self) -> Floor:
        """Versions of what is trusted so far; 0 for what was not loaded."""
        trusted = self._trusted
        keys = [sorted(trusted.root.roles[role].keyids) for role in (layout.TIMESTAMP, layout.SNAPSHOT)]
        meta = trusted.snapshot.meta if layout.SNAPSHOT in trusted else {}
        return Floor(
            root=trusted.root.version,
            keys=" ".join(keyid for group in keys for keyid in [*group, "/"]),
            timestamp=trusted.timestamp.version if layout.TIMESTAMP in trusted else 0,
            snapshot=trusted.snapshot.version if layout.SNAPSHOT in trusted else 0,
            roles={name.removesuffix(".json"): info.version for name, info in sorted(meta.items())},
        )

    def target(self, path: str) -> TargetFile | None:
        """What is signed for a target; None when nothing is."""
        with self._named():
            return self._updater.get_targetinfo(path)

    def read(self, target: TargetFile, *, held: bytes | None = None) -> bytes:
        """Content of a target, verified; `held` is taken when it is that content already."""
        if target.length > self._limits.document_bytes:
            raise RegistryRefused(
                "endless", f"{target.path} has {target.length} bytes; {self._limits.document_bytes} are allowed."
            )
        with self._named():
            if held is not None and _is(target, held):
                return held
            path = f"targets/{target.path}"
            if self._trusted.root.consistent_snapshot:
                path = layout.target_path(target.path, next(iter(target.hashes.values())))
            data = self._fetcher.download_bytes(path, target.length)
            target.verify_length_and_hashes(data)
            return data

    def targets_of(self, role: str, probe: str) -> dict[str, TargetFile]:
        """Everything that a delegated role signs; `probe` is any target that it may sign. Empty without that role."""
        self.target(probe)
        signed = self._trusted.get(role)
        return dict(signed.targets) if isinstance(signed, Targets) else {}

    @contextmanager
    def _named(self) -> Iterator[None]:
        """tuf's errors become ours."""
        try:
            yield
        except exceptions.DownloadHTTPError as error:
            raise RegistryUnreachable(
                f"The registry does not have {self._fetcher.asked}.", "Is the address that of its `public` folder?"
            ) from error
        except exceptions.DownloadError as error:
            raise RegistryUnreachable(f"{error}.") from error
        except exceptions.RepositoryError as error:
            reason = self._reason(error)
            raise RegistryRefused(
                reason, f"Refused ({reason}): {self._fetcher.asked or 'the trusted root'}: {error}.", _REMEDIES[reason]
            ) from error

    def _reason(self, error: exceptions.RepositoryError) -> Reason:
        document = self._fetcher.asked.startswith("targets/")
        if isinstance(error, exceptions.ExpiredMetadataError):
            return "freeze"
        if isinstance(error, exceptions.UnsignedMetadataError):
            return "signature"
        if isinstance(error, exceptions.LengthOrHashMismatchError):
            return "altered" if document else "mix-and-match"
        if isinstance(error, exceptions.BadVersionNumberError):
            return "mix-and-match" if self._contradicts(error) else "rollback"
        if isinstance(error, DeserializationError):
            return "malformed"
        return "rollback" if "missing info" in str(error) else "malformed"

    def _contradicts(self, error: exceptions.BadVersionNumberError) -> bool:
        """Whether a wrong version contradicts what names it; else it is below one that was seen before."""
        if layout.SNAPSHOT not in self._trusted:
            return False
        of_snapshot = self._fetcher.asked.endswith(f"{layout.SNAPSHOT}.json")
        return not of_snapshot or str(error).startswith("Expected snapshot version")


def _is(target: TargetFile, data: bytes) -> bool:
    try:
        target.verify_length_and_hashes(data)
    except exceptions.LengthOrHashMismatchError:
        return False
    return True

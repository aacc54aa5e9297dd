"""Whether a bundle on the card may run here: its files, its task, this environment, and its goldens in a child.

Blocking; the agent calls it in a thread.
"""

from pathlib import Path

from roost_broker.errors import Malformed, Misuse, RoostError
from roost_edge.ota.lines import Line
from roost_edge.ota.settings import TrialSettings
from roost_edge.ota.standing import Content
from roost_models.bundle.environment import check_environment
from roost_models.bundle.folder import Bundle
from roost_models.bundle.opening import open_bundle
from roost_models.bundle.trial import Undecided, try_in_child
from roost_models.registry.store import BundleStore


class NotFit(RoostError):
    """A bundle that may not run here. `final`: another try would find the same."""

    def __init__(self, problem: str, *, final: bool) -> None:
        super().__init__(problem)
        self.final = final


class Workshop:
    """Opens and tries bundles; `delivered` are the settings' own, by line."""

    def __init__(
        self, store: BundleStore, unpacked: Path, delivered: dict[Line, Path], settings: TrialSettings
    ) -> None:
        self._store = store
        self._unpacked = unpacked
        self._delivered = delivered
        self._settings = settings

    def delivered(self, line: Line) -> Content:
        """What the settings' bundle is. Raises `Misuse`, `Malformed`."""
        bundle = open_bundle(self._delivered[line], cache=self._unpacked)
        manifest = bundle.manifest
        return Content(name=manifest.name, version=manifest.version, digest=bundle.digest, delivered=True)

    def held(self, line: Line) -> dict[str, str]:
        """Files of the settings' bundle by SHA-256: a new bundle that shares them need not bring them."""
        try:
            bundle = open_bundle(self._delivered[line], cache=self._unpacked)
        except RoostError:
            return {}
        return {entry.sha256: str(bundle.root / path) for path, entry in bundle.manifest.files.items()}

    def verify(self, line: Line, content: Content) -> Bundle:
        """Open it, every file verified. Raises `NotFit`."""
        bundle = self._open(line, content)
        if bundle.manifest.task != line.task:
            raise NotFit(f"it is for the task {bundle.manifest.task}, not for {line.task}", final=True)
        try:
            check_environment(bundle.manifest)
        except Misuse as error:
            raise NotFit(str(error), final=True) from error
        return bundle

    def try_it(self, line: Line, content: Content) -> None:
        """Run its goldens in a child. Raises `NotFit`."""
        memory = self._settings.memory_mb << 20
        bundle = self.verify(line, content)
        try:
            trial = try_in_child(bundle, timeout_s=self._settings.timeout_s, memory_bytes=memory)
        except Undecided as error:
            raise NotFit(str(error), final=False) from error
        except Malformed as error:
            raise NotFit(str(error), final=True) from error
        except OSError as error:
            raise NotFit(f"its trial could not be started: {error.strerror}", final=False) from error
        if trial.differences:
            raise NotFit(f"goldens: {'; '.join(trial.differences)[:400]}", final=True)

    def _open(self, line: Line, content: Content) -> Bundle:
        if not content.delivered:
            bundle = self._store.open(content.digest)
            if bundle is None:
                raise NotFit("it does not lie whole on the card", final=False)
            return bundle
        try:
            return open_bundle(self._delivered[line], cache=self._unpacked)
        except RoostError as error:
            raise NotFit(str(error), final=False) from error

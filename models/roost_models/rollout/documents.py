"""Roll-out documents in the centre's registry: what is published of a line, and publishing the next one."""

from pathlib import Path

from roost_broker.errors import Misuse
from roost_models.rollout.document import Rollout


class RegistryDocuments:
    """See `conducting.Documents`. Raises `Misuse` when there is no registry."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise Misuse(f"There is no registry in {root}.", "Make one: roost registry init.")
        from roost_models.registry.writer import Registry

        self._registry = Registry(root)

    def rollout(self, task: str, name: str) -> Rollout | None:
        """What is published of this line now."""
        return self._registry.rollout(task, name)

    def set_rollout(self, document: Rollout) -> None:
        """Sign and publish."""
        self._registry.set_rollout(document)

"""Taking a published bundle out of the registry, for good.

* What devices look up has it no more: its target leaves the metadata of the task's role, of which a newer version is
  signed. A device that has seen that one takes no older one (rollback); one that is held back takes none at all when
  the timestamp ends (freeze).
* That it was there is kept in the same metadata, signed: the version is never published again, with whatever content.
* A device that runs it goes on until a roll-out says otherwise. So it is refused while a roll-out document gives the
  bundle to devices, or takes them back to it.
* Files that no other bundle has are removed after the new metadata are in force.
"""

from typing import TYPE_CHECKING

from tuf.api.metadata import Targets

from roost_broker.errors import Misuse
from roost_models.bundle.manifest import parse as parse_manifest
from roost_models.registry import layout

if TYPE_CHECKING:
    from roost_models.registry.writer import Registry

WITHDRAWN = "x-roost-withdrawn"
"""In the metadata of a task's role: digest and reason, by target."""


def withdrawn_of(targets: Targets) -> dict[str, dict[str, str]]:
    """What was withdrawn of a role's targets."""
    return dict(targets.unrecognized_fields.get(WITHDRAWN, {}))


def withdraw(registry: "Registry", task: str, name: str, version: str, *, why: str = "") -> bool:
    """See the module. False when it was withdrawn already; then what was left undone is done.

    Raises `Misuse`, `KeysMissing`.
    """
    target, role = layout.bundle_target(task, name, version), layout.task_role(task)
    with registry.locked():
        edition = registry.edition()
        targets = edition.targets(role) if role in registry.files.infos() else Targets()
        withdrawn = withdrawn_of(targets)
        if target in withdrawn:
            _sweep(registry)
            return False
        info = targets.targets.pop(target, None)
        if info is None:
            raise Misuse(f"{name} {version} of task {task} is not published.", "roost registry status lists all.")
        check_unused(registry, task, name, version)
        note = {"digest": str((info.custom or {}).get("digest", "")), "why": why[:1000]}
        targets.unrecognized_fields[WITHDRAWN] = {**withdrawn, target: note}
        edition.commit()
        _sweep(registry)
        registry.prune()
    return True


def check_unused(registry: "Registry", task: str, name: str, version: str) -> None:
    """Raise `Misuse` while a roll-out document brings devices to this bundle."""
    for one in registry.rollouts():
        if (one.task, one.bundle.name) != (task, name):
            continue
        brings = {one.bundle.version} if one.state != "aborted" else set()
        if one.previous is not None and one.state != "complete":
            brings.add(one.previous.version)
        if version in brings:
            raise Misuse(
                f"{name} {version} is what roll-out {one.rollout_id} ({one.state}) brings devices to.",
                "Bring them to another version first, or abort the roll-out; then withdraw it.",
            )


def _sweep(registry: "Registry") -> None:
    """Remove manifests and files that belong to no published bundle."""
    kept = [info for _, _, info in registry.bundles()]
    manifests = [parse_manifest(registry.stored.document(info)) for info in kept]
    registry.stored.sweep(kept, {entry.sha256 for one in manifests for entry in one.files.values()})

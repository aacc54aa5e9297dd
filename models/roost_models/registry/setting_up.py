"""The first keys and roles of a registry."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field
from securesystemslib.signer import Key
from tuf.api.metadata import DelegatedRole, Delegations, Role, Root, Targets

from roost_broker.errors import Misuse
from roost_models.registry import layout
from roost_models.registry.keys import KeyRing
from roost_models.registry.settings import RegistrySettings

Few = Annotated[int, Meta(ge=1, le=16)]


class Quorum(Struct, frozen=True, kw_only=True):
    """`threshold` of `keys` must sign."""

    keys: Few = 1
    threshold: Few = 1

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= self.keys <= 16:
            raise ValueError("a quorum is at least 1, at most all of its keys, of which there are at most 16")


class Plan(Struct, frozen=True, kw_only=True):
    """How a registry is set up."""

    root_keys: Path
    """A folder of its own for the keys of root: a stick that is put away afterwards."""
    root: Quorum = field(default_factory=Quorum)
    targets: Quorum = field(default_factory=Quorum)
    targets_online: bool = False
    """Whether the keys that say who signs which task stay on this machine; else they lie with root's."""
    rollouts: Quorum = field(default_factory=Quorum)
    tasks: list[str] = field(default_factory=list)
    tasks_offline: bool = False
    """Whether the keys that sign bundles lie with root's, so that each bundle is published by hand."""
    settings: RegistrySettings = field(default_factory=RegistrySettings)


def make_keys(plan: Plan, ring: KeyRing, online: Path) -> dict[str, list[Key]]:
    """The keys of every role, their private parts in the folders where the plan wants them."""
    if plan.root_keys.resolve() == online.resolve():
        raise Misuse("The keys of root cannot lie with the online ones.", "Give another folder with --root-keys.")
    tasks = [layout.task_role(task) for task in plan.tasks]
    made = {layout.ROOT: _make(ring, layout.ROOT, plan.root, plan.root_keys)}
    made[layout.TARGETS] = _make(ring, layout.TARGETS, plan.targets, online if plan.targets_online else plan.root_keys)
    for role in tasks:
        made[role] = _make(ring, role, Quorum(), plan.root_keys if plan.tasks_offline else online)
    made[layout.ROLLOUTS] = _make(ring, layout.ROLLOUTS, plan.rollouts, online)
    for role in (layout.SNAPSHOT, layout.TIMESTAMP):
        made[role] = _make(ring, role, Quorum(), online)
    return made


def first_roles(plan: Plan, keys: Mapping[str, list[Key]]) -> tuple[Root, Targets]:
    """Root and top-level targets: who may sign what."""
    root = Root(consistent_snapshot=True)
    for role in layout.TOP_LEVEL:
        root.roles[role] = Role([], _threshold(plan, role))
        for key in keys[role]:
            root.add_key(key, role)
    delegations = Delegations({}, {})
    targets = Targets(delegations=delegations)
    patterns = {layout.ROLLOUTS: layout.ROLLOUTS_PATTERN}
    patterns |= {layout.task_role(task): layout.task_pattern(task) for task in plan.tasks}
    for role, pattern in patterns.items():
        delegate(delegations, role, _threshold(plan, role), pattern)
        for key in keys[role]:
            targets.add_key(key, role)
    return root, targets


def delegate(delegations: Delegations, role: str, threshold: int, pattern: str) -> None:
    """Let a role sign the targets of this pattern, and nobody further down say otherwise (terminating)."""
    roles = delegations.roles
    if roles is None:
        raise Misuse("These targets are delegated in a way that Roost does not write.", "Set up a registry of its own.")
    roles[role] = DelegatedRole(role, [], threshold, terminating=True, paths=[pattern])


def _threshold(plan: Plan, role: str) -> int:
    quorums = {layout.ROOT: plan.root, layout.TARGETS: plan.targets, layout.ROLLOUTS: plan.rollouts}
    return quorums.get(role, Quorum()).threshold


def _make(ring: KeyRing, role: str, quorum: Quorum, folder: Path) -> list[Key]:
    return [ring.make(role, folder) for _ in range(quorum.keys)]

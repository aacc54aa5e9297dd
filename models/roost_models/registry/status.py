"""What stands in a registry, as values: roles, keys, ends, bundles, roll-outs, and what somebody should see to."""

import datetime
from pathlib import Path

from msgspec import Struct, field

from roost_models.registry import layout
from roost_models.registry.refreshing import signed_by_its_keys
from roost_models.registry.writer import Registry


class RoleStatus(Struct, frozen=True, kw_only=True):
    """One role."""

    name: str
    version: int
    threshold: int
    keys: list[str]
    """Ids of the keys whose signatures count."""
    here: list[str]
    """Those of them whose private part is in the folders at hand."""
    expires: str
    """UTC, ISO 8601."""
    days_left: float
    signed: bool
    """Whether enough of its present keys have signed."""


class BundleStatus(Struct, frozen=True, kw_only=True):
    """One published bundle."""

    task: str
    name: str
    version: str
    digest: str
    evidence: dict[str, str] = field(default_factory=dict)


class RolloutStatus(Struct, frozen=True, kw_only=True):
    """One roll-out document in force."""

    task: str
    name: str
    rollout_id: str
    generation: int
    state: str
    version: str
    shadow: float
    serving: float


class RegistryStatus(Struct, frozen=True, kw_only=True):
    """Everything. `problems` empty: nothing to do."""

    path: str
    roles: list[RoleStatus]
    bundles: list[BundleStatus]
    rollouts: list[RolloutStatus]
    files: int
    bytes: int
    """Of everything that is served."""
    problems: list[str]


def status_of(registry: Registry) -> RegistryStatus:
    """Look at a registry. Raises `Misuse` when there is none, `Malformed` when it cannot be read."""
    now = registry.clock()
    roles = [_role(registry, role, now) for role in _all_roles(registry)]
    served = [path for path in registry.public.rglob("*") if path.is_file()]
    return RegistryStatus(
        path=str(registry.root),
        roles=roles,
        bundles=[
            BundleStatus(
                task=task,
                name=bundle.name,
                version=bundle.version,
                digest=bundle.digest,
                evidence={key: str(value) for key, value in (info.custom or {}).items() if key != "digest"},
            )
            for task, bundle, info in registry.bundles()
        ],
        rollouts=[
            RolloutStatus(
                task=one.task,
                name=one.bundle.name,
                rollout_id=one.rollout_id,
                generation=one.generation,
                state=one.state,
                version=one.bundle.version,
                shadow=one.shadow,
                serving=one.serving,
            )
            for one in registry.rollouts()
        ],
        files=len(served),
        bytes=sum(path.stat().st_size for path in served),
        problems=[*(text for role in roles for text in _problems(registry, role)), *_exposed(registry.keys)],
    )


def _all_roles(registry: Registry) -> list[str]:
    below = sorted(set(registry.files.infos()) - {layout.TARGETS})
    return [layout.ROOT, layout.TARGETS, *below, layout.SNAPSHOT, layout.TIMESTAMP]


def _role(registry: Registry, role: str, now: datetime.datetime) -> RoleStatus:
    keyids, threshold = registry.signers(role)
    page = registry.page(role)
    return RoleStatus(
        name=role,
        version=page.signed.version,
        threshold=threshold,
        keys=keyids,
        here=[keyid for keyid in keyids if registry.ring.has(keyid)],
        expires=page.signed.expires.isoformat(),
        days_left=round((page.signed.expires - now) / datetime.timedelta(days=1), 1),
        signed=signed_by_its_keys(registry, role),
    )


def _problems(registry: Registry, role: RoleStatus) -> list[str]:
    found = []
    if not role.signed:
        found.append(f"{role.name} is not signed by its present keys: run refresh.")
    if role.days_left <= 0:
        found.append(f"{role.name} ended {-role.days_left:g} days ago: devices refuse it. Run refresh with its keys.")
    elif role.days_left < registry.settings.validity.days(role.name) / 4:
        found.append(f"{role.name} ends in {role.days_left:g} days: run refresh with its keys.")
    if role.name in (layout.SNAPSHOT, layout.TIMESTAMP, layout.ROLLOUTS) and len(role.here) < role.threshold:
        found.append(
            f"{role.name} cannot be signed here: {len(role.here)} of the {role.threshold} keys it needs are here."
        )
    return found


def _exposed(folder: Path) -> list[str]:
    """Key files that others on this machine can read, and keys of root that lie with the online ones."""
    found = [
        f"{path.name} can be read by others: chmod 600." for path in folder.glob("*.pem") if path.stat().st_mode & 0o77
    ]
    found += [f"{path.name} is a key of root and lies online: put it away." for path in folder.glob("root-*.pem")]
    return found

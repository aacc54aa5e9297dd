"""Signing again before signatures end: what a timer runs, and with the offline keys plugged in the rest too."""

import datetime

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata

from roost_models.registry import layout, rotation
from roost_models.registry.writer import Registry


def refresh(registry: Registry, *, force: bool = False) -> list[str]:
    """Sign what has less than half of its time left, as far as its keys are at hand. Returns the roles signed.

    Also what root's present keys did not sign (whoever changed them was killed). Roles whose keys are elsewhere are
    left alone; `status` tells when they are due.
    """
    with registry.locked():
        done = []
        if (force or _ends_soon(registry, layout.ROOT)) and registry.can_sign(layout.ROOT):
            rotation.accept(registry, rotation.sign(rotation.renewal(registry), registry.ring)[0])
            done.append(layout.ROOT)
        due = [role for role in sorted(registry.files.infos()) if force or _is_due(registry, role)]
        mine = [role for role in due if registry.can_sign(role)]
        if mine or force or any(_is_due(registry, role) for role in (layout.SNAPSHOT, layout.TIMESTAMP)):
            edition = registry.edition()
            for role in mine:
                edition.targets(role)
            edition.commit()
            registry.prune()
            done += [*mine, layout.SNAPSHOT, layout.TIMESTAMP]
    return done


def _is_due(registry: Registry, role: str) -> bool:
    return _ends_soon(registry, role) or not signed_by_its_keys(registry, role)


def _ends_soon(registry: Registry, role: str) -> bool:
    return (
        registry.expires(role) - registry.clock() < datetime.timedelta(days=registry.settings.validity.days(role)) / 2
    )


def signed_by_its_keys(registry: Registry, role: str) -> bool:
    """Whether what is in force of a role has the signatures that it needs now."""
    page: Metadata = registry.page(role)  # type: ignore[type-arg]  # any role
    try:
        registry.delegator(role).verify_delegate(role, page.signed_bytes, page.signatures)
    except RepositoryError:
        return False
    return True

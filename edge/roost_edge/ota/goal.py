"""What a roll-out document asks of one line of this device: a pure function of the document, the name and the tags."""

from collections.abc import Mapping
from typing import NamedTuple

from roost_edge.ota.standing import Content
from roost_models.rollout.document import BundleRef, Role, Rollout, assignment


class Goal(NamedTuple):
    """`active` is to answer, `shadow` to evaluate beside it without being heard."""

    rollout: str
    generation: int
    role: Role
    active: Content | None
    """None: the bundle that the settings name."""
    shadow: Content | None
    state: str = "running"

    @property
    def wanted(self) -> str:
        """Version that the roll-out brings to this device; empty: none."""
        content = self.shadow or (self.active if self.role == "serving" else None)
        return "" if content is None else content.version


def goal_of(document: Rollout, node: str, tags: Mapping[str, str]) -> Goal:
    """What this device does about `document`."""
    role = assignment(document, node, tags)
    new, previous = _content(document.bundle), _content(document.previous)
    return Goal(
        document.rollout_id,
        document.generation,
        role,
        new if role == "serving" else previous,
        new if role == "shadow" else None,
        document.state,
    )


def _content(ref: BundleRef | None) -> Content | None:
    return None if ref is None else Content(name=ref.name, version=ref.version, digest=ref.digest)

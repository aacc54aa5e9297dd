"""Changing keys: propose, sign, accept; on one machine in one go, or with the signing where the keys are.

Rules:

1. A new root is signed by enough keys of the old root *and* of the new one, or it is not accepted.
2. What the new keys of targets, snapshot or timestamp sign must be there when the new root appears. So these are first
   published with the signatures of the old keys and of the new ones: right under either root. Only when the old keys
   are gone comes root first; a device that looks just then is refused once and looks again.
3. Roles below targets change their keys and their signature in one step: a snapshot names both.
4. Private keys that count no more are deleted where they lay online. Offline ones are their owner's to destroy.
"""

import datetime
from collections.abc import Collection
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets

from roost_broker.errors import Malformed, Misuse, RoostError
from roost_models.registry import layout
from roost_models.registry.edition import check_signed
from roost_models.registry.errors import KeysMissing
from roost_models.registry.keys import KeyRing
from roost_models.registry.setting_up import Quorum
from roost_models.registry.writer import Registry

_MAX_BYTES = 2_000_000
_ONLINE_TOP = (layout.TARGETS, layout.SNAPSHOT, layout.TIMESTAMP)


class Proposal(Struct, tag_field="schema", tag="roost.registry-proposal/1", frozen=True, kw_only=True):
    """New root or targets metadata on its way to those who must sign it."""

    what: list[str]
    """What it changes, for who is asked to sign."""
    after: int
    """The version that it was made from. Once another one is in force it counts no more."""
    signers: list[str] = field(default_factory=list)
    """Ids of the keys whose signatures count."""
    metadata: dict[str, Any]
    """As The Update Framework writes it, with the signatures so far."""


def propose(
    registry: Registry,
    role: str,
    *,
    folder: Path | None = None,
    quorum: Quorum | None = None,
    replace: Collection[str] | None = None,
) -> Proposal:
    """A change of the keys of a role, not yet signed. To be called under the registry's lock.

    `replace`: ids of the keys that go (their beginnings will do); None: all. As many come in their place as `quorum`
    asks for, made in `folder`, by default the registry's own
    (never for root). Raises `Misuse`.
    """
    top = role in layout.TOP_LEVEL
    folder = folder or registry.keys
    if role == layout.ROOT and folder.resolve() == registry.keys.resolve():
        raise Misuse("The keys of root cannot lie with the online ones.", "Give another folder with --new-keys.")
    page: Metadata[Any] = registry.files.root() if top else registry.files.targets(layout.TARGETS)
    signed = deepcopy(page.signed)
    try:
        one = signed.get_delegated_role(role)
    except ValueError:
        raise Misuse(f"The registry has no role {role}.", "`roost registry status` lists them.") from None
    going = _named(one.keyids, replace)
    wanted = quorum or Quorum(keys=len(one.keyids), threshold=one.threshold)
    for keyid in going:
        signed.revoke_key(keyid, role)
    count = wanted.keys - len(one.keyids)
    if count < 0:
        raise Misuse(f"{role} keeps {len(one.keyids)} keys, which is more than {wanted.keys}.", "Replace more of them.")
    coming = [registry.ring.make(role, folder) for _ in range(count)]
    for key in coming:
        signed.add_key(key, role)
    one.threshold = wanted.threshold
    what = [f"{role}: key {keyid[:12]}… goes" for keyid in going]
    what += [f"{role}: key {key.keyid[:12]}… comes" for key in coming]
    what.append(f"{role}: {one.threshold} of {len(one.keyids)} must sign")
    return _proposal(registry, signed, what)


def renewal(registry: Registry) -> Proposal:
    """Root as it is, with a new end. To be called under the registry's lock."""
    return _proposal(registry, deepcopy(registry.files.root().signed), ["root: is renewed as it is"])


def sign(proposal: Proposal, ring: KeyRing) -> tuple[Proposal, list[str]]:
    """Add the signatures of all keys that are here. Needs no registry. Returns the ids of the keys that signed."""
    metadata = _metadata(proposal)
    used = []
    for keyid in proposal.signers:
        signer = ring.signer(keyid)
        if signer is not None:
            metadata.sign(signer, append=True)
            used.append(keyid)
    return msgspec.structs.replace(proposal, metadata=metadata.to_dict()), used


def accept(registry: Registry, proposal: Proposal) -> None:
    """Put a signed proposal in force. To be called under the registry's lock.

    Raises `KeysMissing` when signatures are missing, or keys that must sign anew here; `Misuse` when it is out of date.
    """
    metadata = _metadata(proposal)
    top = isinstance(metadata.signed, Root)
    in_force: Metadata[Any] = registry.files.root() if top else registry.files.targets(layout.TARGETS)
    if top and metadata.signed.version != proposal.after + 1:
        raise Malformed("The proposal leaves out a version: no device would find it.", "Propose it again.")
    if proposal.after != in_force.signed.version:
        raise Misuse(
            f"The proposal follows version {proposal.after}; version {in_force.signed.version} is in force.",
            "Propose it again, and have it signed again.",
        )
    if top:
        _accept_root(registry, in_force.signed, metadata)
    else:
        _accept_targets(registry, in_force.signed, metadata)


def rotate(
    registry: Registry,
    role: str,
    *,
    folder: Path | None = None,
    quorum: Quorum | None = None,
    replace: Collection[str] | None = None,
) -> Proposal:
    """Propose, sign and accept in one go, with the keys at hand. Raises as these; then the new keys are forgotten."""
    with registry.locked():
        before = set(registry.ring.opened())
        proposal = propose(registry, role, folder=folder, quorum=quorum, replace=replace)
        made = set(registry.ring.opened()) - before
        try:
            accept(registry, sign(proposal, registry.ring)[0])
        except RoostError:
            for keyid in made:
                registry.ring.forget(keyid, folder or registry.keys)
            raise
    return proposal


def read_proposal(data: bytes) -> Proposal:
    """Raises `Malformed`."""
    try:
        if len(data) > _MAX_BYTES:
            raise ValueError(f"{len(data)} bytes are over the limit of {_MAX_BYTES}")
        return msgspec.json.decode(data, type=Proposal)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Malformed(f"Not a proposal: {error}.", "Make one with rotate … --unsigned FILE.") from error


def render_proposal(proposal: Proposal) -> bytes:
    """For people to read before they sign."""
    return msgspec.json.format(msgspec.json.encode(proposal), indent=1) + b"\n"


def _accept_root(registry: Registry, old: Root, metadata: Metadata[Any]) -> None:
    new: Root = metadata.signed
    for root in (old, new):
        check_signed(metadata, root.get_delegated_role(layout.ROOT), layout.ROOT)
        _verified(root, layout.ROOT, metadata)
    changed = [role for role in _ONLINE_TOP if old.roles[role] != new.roles[role]]
    for role in changed:
        registry.check_keys(role, new)
    ahead = bool(changed) and _published_under_both(registry, old, new, changed)
    registry.files.write(layout.ROOT, new.version, metadata.to_bytes())
    if changed and not ahead:
        edition = registry.edition(new)
        if layout.TARGETS in changed:
            edition.targets(layout.TARGETS)
        edition.commit()
    _forget(registry, set(old.keys) - set(new.keys))


def _published_under_both(registry: Registry, old: Root, new: Root, changed: Collection[str]) -> bool:
    """See the second rule; False when the old keys are not here."""
    edition = registry.edition(old)
    if layout.TARGETS in changed:
        edition.targets(layout.TARGETS)
    try:
        edition.commit(also={role: new.roles[role].keyids for role in changed})
    except KeysMissing:
        return False
    return True


def _accept_targets(registry: Registry, old: Targets, metadata: Metadata[Any]) -> None:
    new: Targets = metadata.signed
    root = registry.files.root().signed
    check_signed(metadata, root.get_delegated_role(layout.TARGETS), layout.TARGETS)
    _verified(root, layout.TARGETS, metadata)
    edition = registry.edition()
    edition.add_signed(layout.TARGETS, new, metadata.to_bytes())
    for role in registry.files.infos():
        if role != layout.TARGETS and old.get_delegated_role(role) != new.get_delegated_role(role):
            edition.targets(role)
    edition.commit()
    before, after = ({} if one.delegations is None else one.delegations.keys for one in (old, new))
    _forget(registry, set(before) - set(after))


def _forget(registry: Registry, keyids: Collection[str]) -> None:
    for keyid in keyids:
        registry.ring.forget(keyid, registry.keys)


def _verified(root: Root, role: str, metadata: Metadata[Any]) -> None:
    try:
        root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except RepositoryError as error:
        raise Malformed(f"A signature of the proposal is wrong: {error}.", "Have it signed again.") from error


def _proposal(registry: Registry, signed: Root | Targets, what: list[str]) -> Proposal:
    role = layout.ROOT if isinstance(signed, Root) else layout.TARGETS
    after = signed.version
    signed.version = registry.files.next_version(role)
    signed.expires = registry.clock().replace(microsecond=0) + datetime.timedelta(
        days=registry.settings.validity.days(role)
    )
    signers = registry.signers(role)[0]
    if isinstance(signed, Root):
        signers = list(dict.fromkeys([*signers, *signed.roles[layout.ROOT].keyids]))
    metadata: Metadata[Any] = Metadata(signed)
    return Proposal(what=what, after=after, signers=signers, metadata=metadata.to_dict())


def _metadata(proposal: Proposal) -> Metadata[Any]:
    try:
        found: Metadata[Any] = Metadata.from_dict(deepcopy(proposal.metadata))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"The proposal holds no metadata: {error}.", "Propose it again.") from error
    if not isinstance(found.signed, (Root, Targets)):
        raise Malformed("The proposal is about neither root nor targets.", "Propose it again.")
    return found


def _named(keyids: Collection[str], replace: Collection[str] | None) -> list[str]:
    if replace is None:
        return list(keyids)
    found = []
    for beginning in replace:
        fitting = [keyid for keyid in keyids if keyid.startswith(beginning)]
        if len(fitting) != 1:
            raise Misuse(
                f"{beginning!r} begins the id of {len(fitting)} keys of this role.", "See roost registry status."
            )
        found += fitting
    return found

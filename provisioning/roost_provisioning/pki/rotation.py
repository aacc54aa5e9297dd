"""Beginning an authority, and replacing its keys while everything goes on.

    begin          the first root and the first issuing authority
    new_issuer     another issuing authority below the newest root; what the earlier ones signed stays good
    new_root       another root, which the root before it vouches for, and an issuing authority below it
    retire         what nobody needs any more is no longer believed

Each step leaves the old state or a whole new one, wherever it is cut. Only these steps need a root's key.
"""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key

from roost_broker.durable import write_durably
from roost_broker.errors import Misuse
from roost_provisioning.pki import profile, settings
from roost_provisioning.pki.authority import Authority, signs_from
from roost_provisioning.pki.files import AuthorityFolder, Passphrase, open_key, root_key, save_key
from roost_provisioning.pki.profile import Signer
from roost_provisioning.pki.revocation import STALE, publish


class Retired(NamedTuple):
    """What is no longer believed, and what still is because living certificates need it."""

    roots: list[int]
    issuers: list[int]
    needed: dict[int, int]
    """Issuing authorities before the current one, with the number of their living certificates."""


def begin(
    folder: Path, wanted: settings.AuthoritySettings, root_keys: Path, passphrase: Passphrase, now: datetime
) -> Authority:
    """Set up an authority. Begun before and cut off, it is finished. Raises `Misuse` when there is one already."""
    files = AuthorityFolder(folder)
    if files.settings.exists():
        raise Misuse(f"{folder} is an authority already.", "Look at it: roost pki status. Or name another folder.")
    files.make()
    _check_apart(files, root_keys)
    roots = files.roots()
    if not roots:
        key = _new_root_key(root_keys, 1, passphrase)
        files.add_root(1, profile.root(wanted.fleet, 1, key, now, wanted.root_days), {})
    if not files.issuers():
        _add_issuer(files, wanted, 1, root_keys, passphrase, now)
    settings.save(files.settings, wanted)  # the last: with it the folder is an authority
    authority = Authority(folder)
    with authority.ledger.changing():
        authority.ledger.tell(int(now.timestamp()), f"began the authority of {wanted.fleet}")
    _publish(authority, now)
    return authority


def new_issuer(
    authority: Authority, root_keys: Path, passphrase: Passphrase, now: datetime, *, at_once: bool = False
) -> int:
    """Another issuing authority, which signs after `overlap_days`, or at once; its number.

    Raises `Misuse` without the newest root's key.
    """
    files, ledger, at = authority.files, authority.ledger, int(now.timestamp())
    with ledger.changing():
        number = max(files.issuers(), default=0) + 1
        begins = at if at_once else at + authority.settings.overlap_days * 86_400
        _add_issuer(files, authority.settings, number, root_keys, passphrase, now)
        ledger.set_fact(signs_from(number), begins)
        ledger.tell(at, f"issuing authority {number}")
        ledger.set_fact(STALE, 1)
    _publish(authority, now)
    return number


def new_root(
    authority: Authority, root_keys: Path, passphrase: Passphrase, now: datetime, *, at_once: bool = False
) -> int:
    """Another root, and an issuing authority below it; the root's number. Needs the newest root's key, and makes one.

    Raises `Misuse`.
    """
    files, wanted, ledger = authority.files, authority.settings, authority.ledger
    with ledger.changing():
        roots = files.roots()
        newest = max(roots)
        old = Signer(roots[newest], _open_root(files, root_keys, newest, passphrase))
        number = newest + 1
        key = _new_root_key(root_keys, number, passphrase)
        made = profile.root(wanted.fleet, number, key, now, wanted.root_days)
        files.add_root(number, made, {newest: profile.cross(made, old)})
        ledger.tell(int(now.timestamp()), f"root {number}")
    new_issuer(authority, root_keys, passphrase, now, at_once=at_once)
    return number


def retire(authority: Authority, now: datetime, *, force: bool = False) -> Retired:
    """Stop believing what no living certificate needs; with `force` (a stolen key) also what some need."""
    files, ledger, at = authority.files, authority.ledger, int(now.timestamp())
    with ledger.changing():
        old = [number for number in files.issuers() if number < authority.signing(now)]
        living = ledger.living(at - int(authority.settings.grace.total_seconds()))
        needed = {number: count for number in old if (count := sum(row.issuer == number for row in living))}
        gone = [number for number in old if force or number not in needed]
        roots, issuers = files.roots(), files.issuers()
        kept = {issuers[number].issuer for number in issuers if number not in gone}
        ended = [number for number in roots if roots[number].subject not in kept]
        for number in gone:
            files.drop_issuer(number)
            ledger.tell(at, f"retired issuing authority {number}")
        for number in ended:
            files.drop_root(number)
            ledger.tell(at, f"retired root {number}")
        ledger.set_fact(STALE, 1)
    _publish(authority, now)
    return Retired(ended, gone, {} if force else needed)


def _publish(authority: Authority, now: datetime) -> None:
    """The public files, as they are now."""
    write_durably(authority.files.trust, authority.trust(now).encode("ascii"), mode=0o644)
    publish(authority, now)


def _add_issuer(
    files: AuthorityFolder,
    wanted: settings.AuthoritySettings,
    number: int,
    root_keys: Path,
    passphrase: Passphrase,
    now: datetime,
) -> None:
    roots = files.roots()
    newest = max(roots)
    root = Signer(roots[newest], _open_root(files, root_keys, newest, passphrase))
    key = generate_private_key(SECP256R1())
    certificate = profile.issuing(wanted.fleet, number, key.public_key(), root, now, wanted.issuing_days)
    files.add_issuer(number, Signer(certificate, key))


def _open_root(files: AuthorityFolder, root_keys: Path, number: int, passphrase: Passphrase) -> EllipticCurvePrivateKey:
    key = open_key(root_key(root_keys, number), passphrase)
    if key.public_key() != files.roots()[number].public_key():
        raise Misuse(
            f"{root_key(root_keys, number)} is the key of another root than this authority's.",
            "Name the folder that belongs to it: --root-keys DIR.",
        )
    return key


def _new_root_key(root_keys: Path, number: int, passphrase: Passphrase) -> EllipticCurvePrivateKey:
    """A key that is there already was made by a run that was cut off before its certificate was written: taken."""
    path = root_key(root_keys, number)
    if path.exists():
        return open_key(path, passphrase)
    root_keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = generate_private_key(SECP256R1())
    save_key(path, key, passphrase(path))
    return key


def _check_apart(files: AuthorityFolder, root_keys: Path) -> None:
    if root_keys.resolve().is_relative_to((files.folder / "public").resolve()):
        raise Misuse(f"{root_keys} is a public folder.", "Make the root's key on a stick: --root-keys DIR.")

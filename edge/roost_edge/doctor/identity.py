"""The device's identity: its key, its certificate, whom it believes, and who is believed no longer."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from roost_broker.clock import SECOND
from roost_broker.errors import Malformed, PeerError
from roost_edge.doctor.findings import Facts, Verdict, fail, ok, skipped, together, warn
from roost_edge.doctor.patient import Patient, there

if TYPE_CHECKING:
    from cryptography import x509

_FILES = ("device.key", "device.pem", "ca.pem")
_RENEW = "Renew it: roost enrol renew. It does so by itself while the desk can be reached (systemctl list-timers)."
_ENROL = "Enrol the device anew, with a new seed: `roost pki token` at the centre, `roost enrol` here."
_SOON = 0.15
"""Share of its life that a certificate has left when its renewal has failed for long."""


def identity(patient: Patient) -> Verdict:
    """Key, chain, name, days, revocation list, and who may read the key."""
    folder = patient.settings.layout.data / "identity"
    if not there(folder):
        return skipped(
            "This device is not enrolled in a fleet.", "roost enrol, where it is to be reached from outside."
        )
    missing = [name for name in _FILES if not there(folder / name)]
    if missing:
        return fail(f"{folder} has no {' and no '.join(missing)}.", _ENROL)
    now = datetime.fromtimestamp(patient.clock.wall_ns() // SECOND, UTC)
    try:
        found = [*_judged(folder, now), *_modes(folder)]
    except ModuleNotFoundError as error:
        return skipped(
            f"It needs {error.name}, which is not installed.", "Install the parts for a device: roost[edge]."
        )
    return together(found)


def _judged(folder: Path, now: datetime) -> list[Verdict]:
    from roost_edge.enrolment import trust
    from roost_edge.enrolment.keys import public_bytes, read_key

    try:
        own, *between = trust.certificates((folder / "device.pem").read_bytes())
        bundle = trust.certificates((folder / "ca.pem").read_bytes())
        key = read_key((folder / "device.key").read_bytes())
    except Malformed as error:
        return [fail(f"The identity in {folder} is damaged: {error.problem}", f"{error.remedy} {_ENROL}")]
    end = own.not_valid_after_utc
    name, left = trust.common_name(own), end - now
    facts: Facts = {"name": name, "daysLeft": round(left / timedelta(days=1), 1), "until": end.isoformat()}
    found = [ok(f"{name} until {end:%Y-%m-%d}, {left.days} days from now.", **facts)]
    if public_bytes(key) != trust.key_bytes(own):
        found.append(fail("The certificate is for another key than the device's.", _ENROL))
    if end <= now:
        found.append(fail(f"The certificate of {name} ended on {end:%Y-%m-%d}.", _RENEW))
    elif own.not_valid_before_utc > now:
        problem = f"The certificate of {name} begins on {own.not_valid_before_utc:%Y-%m-%d}, and it is {now:%Y-%m-%d}."
        found.append(fail(problem, "Set the clock: roost doctor --only clock."))
    else:
        found += _chained(own, between, bundle, now)
        if left < _SOON * (end - own.not_valid_before_utc):
            found.append(warn(f"The certificate of {name} ends in {left.days} days and was not renewed.", _RENEW))
    return [*found, *_revoked(folder, own, now)]


def _chained(
    own: "x509.Certificate", between: "list[x509.Certificate]", bundle: "list[x509.Certificate]", now: datetime
) -> list[Verdict]:
    from roost_edge.enrolment import trust

    crosses = [one for one in bundle if one not in (roots := trust.roots(bundle))]
    try:
        trust.verify_chain(own, [*between, *crosses], roots, now)
    except PeerError as error:
        return [fail(error.problem, f"{error.remedy} {_ENROL}")]
    return []


def _revoked(folder: Path, own: "x509.Certificate", now: datetime) -> list[Verdict]:
    """One PEM file, a list for each issuing authority; of those of others nothing is said."""
    from cryptography import x509

    file = folder / "crl.pem"
    if not there(file):
        return [warn("There is no revocation list: whoever was revoked is still let in.", _RENEW)]
    marker = b"-----BEGIN X509 CRL-----"
    found: list[Verdict] = []
    try:
        lists = [x509.load_pem_x509_crl(marker + part) for part in file.read_bytes().split(marker)[1:]]
    except ValueError as error:
        return [fail(f"{file} is damaged: {error}.", _RENEW)]
    for one in lists:
        if one.issuer == own.issuer and one.get_revoked_certificate_by_serial_number(own.serial_number) is not None:
            found.append(fail("This device's certificate has been revoked.", _ENROL))
        due = one.next_update_utc
        if due is not None and due < now:
            problem = (
                f"The revocation list should have been renewed on {due:%Y-%m-%d}: Mosquitto lets nobody in with it."
            )
            found.append(fail(problem, _RENEW))
    if not lists:
        found.append(fail(f"{file} holds no revocation list.", _RENEW))
    return found


def _modes(folder: Path) -> list[Verdict]:
    key = folder / "device.key"
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        return [fail(f"{key} can be read by more than its owner and group (mode {mode:o}).", f"chmod 0640 {key}")]
    return []

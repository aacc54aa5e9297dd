"""What a look at the identity folder tells: who, until when, what ends soon. Asks nobody."""

from datetime import datetime, timedelta

from msgspec import Struct

from roost_broker.errors import RoostError
from roost_edge.enrolment import keys, renewing, trust
from roost_edge.enrolment.enrolling import read_name
from roost_edge.enrolment.folder import IdentityFolder


class IdentityStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """`problems` is empty when all is well."""

    enrolled: bool
    name: str = ""
    desk: str = ""
    serial: str = ""
    begins: datetime | None = None
    ends: datetime | None = None
    renews: datetime | None = None
    crl_ends: datetime | None = None
    roots: list[str] = []
    """SHA-256 of each root that is believed."""
    problems: list[str] = []

    def text(self) -> str:
        """For people."""
        if not self.enrolled:
            return "This device has no identity."
        return "\n".join(
            [
                f"name         {self.name}",
                f"desk         {self.desk}",
                f"certificate  {self.serial}",
                f"valid        {_day(self.begins)} to {_day(self.ends)}, renewed from {_day(self.renews)} on",
                f"revocations  good until {_day(self.crl_ends)}",
                *(f"root         {root}" for root in self.roots),
            ]
        )


def status_of(folder: IdentityFolder, now: datetime, *, soon: timedelta) -> IdentityStatus:
    """Look. What cannot be read is a problem, not an error."""
    if not folder.enrolled:
        return IdentityStatus(enrolled=False, problems=[f"There is no identity in {folder.root}: roost enrol."])
    problems: list[str] = []
    try:
        chain, believed = folder.chain(), folder.believed()
        name, desk = read_name(folder), folder.url()
        key = keys.read_key(folder.key.read_bytes())
    except (RoostError, OSError) as error:
        return IdentityStatus(enrolled=True, problems=[str(error)])
    certificate = chain[0]
    if keys.public_bytes(key) != trust.key_bytes(certificate):
        problems.append("Key and certificate do not belong together: roost enrol --again.")
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begins:
        problems.append(f"This device's clock is before its certificate's begin, {_day(begins)}: timedatectl.")
    elif ends - now < soon:
        said = "ended" if ends < now else "ends"
        problems.append(f"The certificate {said} on {_day(ends)}: roost enrol renew.")
    else:
        try:
            trust.verify_chain(certificate, chain[1:], believed, now)
        except trust.Distrusted as error:
            problems.append(str(error))
    crl_ends = renewing.ends(folder.crl)
    if crl_ends is None:
        problems.append(f"There are no revocation lists in {folder.crl}: roost enrol renew.")
    elif crl_ends - now < soon:
        problems.append(f"The revocation lists end on {_day(crl_ends)}: roost enrol renew.")
    return IdentityStatus(
        enrolled=True,
        name=name,
        desk=desk,
        serial=f"{certificate.serial_number:x}",
        begins=begins,
        ends=ends,
        renews=renewing.due(certificate),
        crl_ends=crl_ends,
        roots=[trust.fingerprint(one) for one in believed],
        problems=problems,
    )


def _day(moment: datetime | None) -> str:
    return "-" if moment is None else moment.strftime("%Y-%m-%d")

"""Which time is it, on a device whose clock may never have been set? Pure.

A Pi without a battery clock starts where it was switched off, or at the day its image was made: its clock is behind,
not ahead. Then the desk's certificate seems to begin in the future. The desk's own time helps, as a hint only:

1. The desk has proved that it is the fleet's: chain, name and key were checked, all but the time.
2. Its time must lie within its certificate's, and not before what this device knows for certain (when the seed was
   written, when its own certificate began). So an old stolen key of a desk does not pass once newer seeds are written.
3. A device whose clock is ahead of the certificate's end is told so, and nothing is done: that is what a stolen key
   would look like, too.

The hint sets no clock. What was signed with the right time is good as soon as the clock is right.
"""

from datetime import datetime, timedelta

from roost_broker.errors import PeerError

WORTH_TELLING = timedelta(minutes=5)


class ClockWrong(PeerError):
    """Two clocks differ so far that nobody can say what is still valid."""


def time_to_use(now: datetime, floor: datetime, desk: datetime, begins: datetime, ends: datetime) -> datetime:
    """The time to check certificates by, where this device's own clock (`now`) refuses the desk's certificate.

    `floor`: it is not earlier. `desk`: what the desk says. `begins`, `ends`: of its certificate. Raises `ClockWrong`.
    """
    if desk < floor - WORTH_TELLING:
        raise ClockWrong(
            f"The desk says it is {_text(desk)}; this device knows that it is {_text(floor)} at least.",
            "Set the desk's clock. If it is right, the seed was written by a machine with a wrong one.",
        )
    if now > ends:
        raise ClockWrong(
            f"The desk's certificate ended on {_text(ends)}; this device's clock says {_text(now)}, the desk's "
            f"{_text(desk)}.",
            "Set this device's clock if it is ahead (`timedatectl`); otherwise the desk must be started anew.",
        )
    if not begins <= desk <= ends:
        raise ClockWrong(
            f"The desk says it is {_text(desk)}, and shows a certificate for {_text(begins)} to {_text(ends)}.",
            "Set the desk's clock and start it anew.",
        )
    return desk


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M")

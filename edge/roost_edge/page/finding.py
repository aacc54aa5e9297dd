"""What the check of a settings' text says, between the child process and the page."""

from typing import Literal

from msgspec import Struct


class Finding(Struct, frozen=True, kw_only=True):
    """One thing to mend (`error`: nothing is written) or to know of (`warning`)."""

    level: Literal["error", "warning"]
    line: int
    field: str
    problem: str
    remedy: str

"""Which Debian mirror to use: the one this machine's own package manager uses, unless another is named. Pure parse."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from roost_broker.errors import Misuse
from roost_provisioning.image.recipe import Mirror

_DEBIAN: Final = re.compile(r"/debian/?$")
_SECURITY: Final = re.compile(r"(?:/debian-security|security\.[^/]+(?:/debian-security)?)/?$")
_ONE_LINE: Final = re.compile(r"^deb\s+(?:\[[^]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)")
_REMEDY: Final = "Name one: --mirror URL, and --security-mirror URL if its security updates are elsewhere."


def mirror_of_machine(apt: Path = Path("/etc/apt")) -> Mirror:
    """The mirror in this machine's package sources. Raises Misuse if they name none for Debian."""
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    modern = sorted((apt / "sources.list.d").glob("*.sources"))
    found: list[tuple[str, str]] = []
    for path in files:
        if path.is_file():
            found += one_line(path.read_text())
    for path in modern:
        found += deb822(path.read_text())
    return chosen(found)


def named_mirror(main: str, security: str = "") -> Mirror:
    """The mirror somebody named; its security updates lie beside it unless said otherwise."""
    if not re.match(r"(https?|file)://", main):
        raise Misuse(f"{main!r} is no mirror.", "It begins with http:// or https:// and has the folder `dists`.")
    main = main.rstrip("/")
    return Mirror(main, (security or f"{main}-security").rstrip("/"))


def chosen(found: list[tuple[str, str]]) -> Mirror:
    """The first mirror for packages and the first for security updates among (address, suite)."""
    main = next((uri for uri, suite in found if _DEBIAN.search(uri) and not suite.endswith("-security")), "")
    if not main:
        raise Misuse("This machine's package sources name no Debian mirror.", _REMEDY)
    security = next((uri for uri, suite in found if suite.endswith("-security") or _SECURITY.search(uri)), "")
    return named_mirror(main, security)


def one_line(text: str) -> list[tuple[str, str]]:
    """(Address, suite) of each `deb` line of a sources.list."""
    matches = (_ONE_LINE.match(line.strip()) for line in text.splitlines())
    return [(match["uri"], match["suite"]) for match in matches if match]


def deb822(text: str) -> list[tuple[str, str]]:
    """(Address, suite) of each stanza of a `.sources` file that is not switched off."""
    return [
        (uri, suite)
        for stanza in _stanzas(text)
        if "deb" in stanza.get("types", "").split() and stanza.get("enabled", "yes").lower() != "no"
        for uri in stanza.get("uris", "").split()
        for suite in stanza.get("suites", "").split()
    ]


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for block in re.split(r"\n\s*\n", lines):
        fields = re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t]+.*)*)", block, re.MULTILINE)
        if fields:
            yield {name.lower(): value for name, value in fields}

"""Version pins: which environment a bundle was made for, and whether this is it.

The specifiers are the plain part of the Python packaging specification (PEP 440): `==`, `!=`, `>=`, `<=`, `<`, `>`
on release numbers, joined by commas; `==2.14.*` for a prefix. That is enough for pins and needs no library.
"""

import platform
import re
from importlib import metadata

_RELEASE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})*")
_CLAUSE = re.compile(rf"(==|!=|>=|<=|<|>)\s*({_RELEASE.pattern})(\.\*)?\Z")


def check_spec(spec: str) -> None:
    """Raise `ValueError` unless `spec` is a specifier this module understands."""
    for clause in filter(None, (part.strip() for part in spec.split(","))):
        match = _CLAUSE.match(clause)
        if match is None or (match[3] and match[1] not in ("==", "!=")):
            raise ValueError(f"{clause[:100]!r} is not a version pin (write for example '>=2.1,<3' or '==2.14.0')")


def satisfies(version: str, spec: str) -> bool:
    """Whether a version is within a specifier. Only the release number counts: `2.14.0rc1` is taken as 2.14.0."""
    found = _RELEASE.match(version)
    if found is None:
        return False
    return all(_clause_holds(found[0], clause.strip()) for clause in spec.split(",") if clause.strip())


def _clause_holds(version: str, clause: str) -> bool:
    match = _CLAUSE.match(clause)
    if match is None:
        raise ValueError(f"{clause!r} is not a version pin")
    operator, wanted_text, prefix = match[1], match[2], match[3]
    have, want = _numbers(version), _numbers(wanted_text)
    if prefix:
        same = have[: len(want)] == want
        return same if operator == "==" else not same
    width = max(len(have), len(want))
    have += (0,) * (width - len(have))
    want += (0,) * (width - len(want))
    return {
        "==": have == want,
        "!=": have != want,
        ">=": have >= want,
        "<=": have <= want,
        "<": have < want,
        ">": have > want,
    }[operator]


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))


def installed(distribution: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def python_version() -> str:
    """Version of this interpreter, for example `3.11.2`."""
    return platform.python_version()

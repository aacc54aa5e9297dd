"""A schedule out of decoded JSON, or out of a TOML file with the line of whatever is wrong in it."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from roost_broker.errors import Misuse
from roost_broker.toml_lines import LineMap
from roost_rendezvous.schedule.document import Schedule
from roost_rendezvous.schedule.parts import Refused

_PLAIN = ("task", "sla_ms", "ignore", "rank", "cohort_tag")
_SHARES = ("rollout", "random", "sample")
_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]+)`")


def parse(loose: object) -> Schedule:
    """Read a schedule from decoded TOML or JSON. Raises `Refused` (a `Misuse`) with the field and the remedy."""
    if isinstance(loose, dict):
        _check_places(loose)
    try:
        return msgspec.convert(loose, Schedule)
    except msgspec.ValidationError as error:
        raise Refused(
            f"The schedule cannot be used: {error}.",
            "A schedule has task, sla_ms, [[step]] (after_ms, accept), [default] (after_ms, label), and perhaps "
            "ignore, rank, cohort_tag, [rollout] or [random], [sample], [quorum.<name>] (members, need or share).",
            *_path(str(error)),
        ) from error


def load(path: Path) -> Schedule:
    """Read a schedule from a TOML file. Raises `Misuse` with the file and, where one is to blame, the line."""
    try:
        text = path.read_text(encoding="utf-8")
        loose = tomllib.loads(text)
    except OSError as error:
        raise Misuse(f"The schedule {path} cannot be read: {error}.", "Name a readable TOML file.") from error
    except (ValueError, RecursionError) as error:  # besides what is no TOML: numbers of 5,000 digits, lists 1,000 deep
        raise Misuse(f"The schedule {path} is not TOML: {error}.", "Mend the line named.") from error
    try:
        return parse(loose)
    except Refused as error:
        place = f"{path}:{LineMap(text).line(error.where)}" if error.where else f"{path}"
        raise Misuse(f"{place}: {error.problem}", error.remedy) from error


def _check_places(loose: dict[Any, Any]) -> None:
    """A plain field below a [table] has become part of that table, which nobody means."""
    for where, table, of_shares in _tables(loose):
        for name in _PLAIN:
            value = table.get(name)
            if value is None or (of_shares and isinstance(value, float)):
                continue  # a model may well be called `rank`
            raise Refused(
                f"The schedule's field {name} stands inside [{'.'.join(where)}].",
                f"In TOML a plain field belongs above the first [table]: move the line `{name} = …` to the top.",
                *(*where, name),
            )


def _tables(loose: dict[Any, Any]) -> list[tuple[tuple[str, ...], dict[Any, Any], bool]]:
    found: list[tuple[tuple[str, ...], object, bool]] = [(("default",), loose.get("default"), False)]
    found += [((name,), loose.get(name), True) for name in _SHARES]
    steps, quorums = loose.get("step"), loose.get("quorum")
    if isinstance(steps, list):
        found += [(("step", str(index)), step, False) for index, step in enumerate(steps)]
    if isinstance(quorums, dict):
        found += [(("quorum", str(name)), quorum, False) for name, quorum in quorums.items()]
    return [(where, table, of_shares) for where, table, of_shares in found if isinstance(table, dict)]


def _path(message: str) -> tuple[str, ...]:
    """The culprit's path out of msgspec's sentence (`… - at `$.step[1].after_ms``)."""
    match = _AT.match(message)
    inside = re.findall(r"[\w-]+", match["path"] or "") if match else []
    unknown = _UNKNOWN.search(message)
    return (*inside, unknown["name"]) if unknown else tuple(inside)

"""What a person on the device may ask of the running agent, through its socket: status, check, return, allow."""

from typing import TYPE_CHECKING, Any

import msgspec

from roost_broker.errors import Misuse
from roost_edge.ota import events as e
from roost_edge.ota.lines import Line

if TYPE_CHECKING:
    from roost_edge.ota.role import OtaAgent


def answer(agent: "OtaAgent", wish: dict[str, Any]) -> dict[str, Any]:
    """One command. Raises `Misuse` for what cannot be."""
    match wish.get("do"):
        case "status":
            return {"state": msgspec.json.decode(agent.state())}
        case "check":
            agent.check()
            return {}
        case "return":
            line = _line(agent, str(wish.get("line", "")))
            standing = agent.shells[line].machine.standing
            if standing.beside not in ("fallback", "shadow"):
                raise Misuse(f"{line.key} has nothing to return to.", "roost ota status shows what lies in its slots.")
            agent.shells[line].tell(e.OperatorReturn(str(wish.get("why", ""))))
            back = standing.serving if standing.beside == "shadow" else standing.besides
            return {"line": line.key, "to": back.version if back is not None else ""}
        case "allow":
            line = _line(agent, str(wish.get("line", "")))
            digest = _rejected(agent, line, str(wish.get("digest", "")))
            agent.shells[line].tell(e.OperatorAllow(digest))
            agent.check()
            return {"line": line.key, "digest": digest}
        case unknown:
            raise Misuse(f"The OTA agent cannot do {unknown!r}.", "It can: status, check, return, allow.")


def _line(agent: "OtaAgent", key: str) -> Line:
    lines = list(agent.shells)
    found = [line for line in lines if key in ("", line.key, line.model)]
    if len(found) != 1:
        names = ", ".join(line.key for line in lines)
        raise Misuse(f"{key!r} is not one of the lines." if key else "There are several lines.", f"Lines: {names}.")
    return found[0]


def _rejected(agent: "OtaAgent", line: Line, start: str) -> str:
    rejected = agent.shells[line].machine.standing.rejected
    found = [one.digest for one in rejected if one.digest.startswith(start) or one.version == start]
    if len(found) != 1:
        names = ", ".join(f"{one.version} ({one.digest[:12]})" for one in rejected) or "none"
        raise Misuse(f"{start!r} is not one rejected bundle of {line.key}.", f"Rejected: {names}.")
    return found[0]

"""What ties the device to others: the OTA agent's lines, and the gateway's way to the centre."""

from roost_edge.doctor.findings import Verdict, fail, ok, together, warn
from roost_edge.doctor.patient import Patient

_LONG_MS = 3_600_000


def ota(patient: Patient) -> Verdict:
    """What the OTA agent said last."""
    state = patient.seen().ota
    if state is None:
        return warn("The OTA agent has said nothing yet.", "Start it with the device; see its log if it runs.")
    found = [ok(f"{len(state.lines)} lines are kept up to date.", lines=len(state.lines))]
    if state.problem:
        found.append(warn(f"The registry cannot be used: {state.problem}", "See: roost ota status"))
    for line in state.lines:
        title = f"{line.task}/{line.model}"
        if line.phase == "failed":
            found.append(warn(f"{title} refused {line.wanted or 'a bundle'}: {line.problem}", "See: roost ota status"))
    return together(found)


def gateway(patient: Patient) -> Verdict:
    """What waits for the centre, and since when."""
    state = patient.seen().roles.get("gateway")
    if state is None or state.state != "ready":
        how = "has said nothing yet" if state is None else f"is {state.state}"
        return fail(f"The gateway {how}.", "Start the device; the gateway's log says why it ended.")
    counts = state.counts
    waits, age = counts.get("queued", 0), counts.get("oldest-age-ms", 0)
    facts = {"queued": waits, "oldestMs": age, "link": counts.get("link", 0)}
    found = [ok(f"The centre is reachable; {waits} messages wait.", **facts)]
    if not counts.get("link"):
        problem = f"The centre is away; {waits} messages wait, the oldest for {age // 1000} s."
        found.append(warn(problem, "Look at the network and at gateway.servers; nothing is lost meanwhile."))
    elif age > _LONG_MS:
        problem = f"{waits} messages wait, the oldest for {age // 60_000} min."
        found.append(warn(problem, "The link is too slow for what is sent: see gateway.lanes and docs/gateway.md."))
    if counts.get("denied"):
        problem = f"The centre refused {counts['denied']} messages."
        found.append(fail(problem, "Its rights for this device are wrong: docs/gateway.md."))
    if "medium is full" in state.detail:
        found.append(fail("The gateway takes nothing: its medium is full.", "Make room on the data folder's disk."))
    return together(found)

"""Does the monitor learn what is normal, and what does it find strange? As it says itself (`roost alarms`)."""

from roost_broker.clock import MS
from roost_edge.doctor.findings import Facts, Verdict, ok, together, warn
from roost_edge.doctor.patient import Patient

_DAY_MS = 86_400_000
_SHOWN = 5
_MONITOR, _BEHIND = "monitor", "watch-behind"


def analytics(patient: Patient) -> Verdict:
    """The retained alarms of the device and of each task. An alarm is no defect of the device: it is a warning."""
    said = patient.seen().alarms
    if not said:
        return warn(
            "Nobody has said what is normal here, and what is strange.",
            "The role monitor learns it: is it well? roost doctor --only roles",
        )
    whole = said.get("") or next(iter(said.values()))
    days = max(0, patient.clock.wall_ns() // MS - whole.watched_since) / _DAY_MS if whole.watched_since else 0.0
    alarms = [one for each in said.values() for one in each.open if one.state == "open"]
    facts: Facts = {"alarms": len(alarms), "signals": whole.signals, "able": whole.able, "days": round(days, 1)}
    history = f"{whole.able} of {whole.signals} signals are known well enough after {days:.1f} days"
    if whole.why_not:
        history += f" ({whole.why_not})"
    state = patient.seen().roles.get(_MONITOR)
    if state is not None and (behind := state.counts.get(_BEHIND, 0)):
        facts |= {"behind": behind}
        history += f"; the monitor is catching up: {behind:,} observations are still to be handled"
    remedy = "`roost alarms` shows what they are made of; acknowledge what you know."
    strange = [warn(f"{one.verdict}: {one.sentence}", remedy, **facts) for one in alarms[:_SHOWN]]
    return together([ok(f"{history}.", **facts), *strange])

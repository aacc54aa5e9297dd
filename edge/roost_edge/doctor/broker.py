"""The broker and what the roles say there."""

from roost_edge.doctor.findings import Verdict, fail, ok, together, warn
from roost_edge.doctor.patient import Patient
from roost_edge.processes.model_slots import beside, to_start
from roost_edge.processes.own_process import is_held
from roost_edge.processes.plan import RoleProcess, plan

_SLOW_MS = 500
_START = "Start the device: systemctl start roost.target, or `roost up`."


def broker(patient: Patient) -> Verdict:
    """A message there and back."""
    took = patient.look().round_trip_ms
    settings = patient.settings.broker
    place, facts = f"{settings.host}:{settings.port}", {"roundTripMs": took}
    if took > _SLOW_MS:
        remedy = "See what keeps the machine or the broker's disk busy (top, journalctl -u mosquitto)."
        return warn(f"{place} took {took:.0f} ms to carry a message there and back.", remedy, **facts)
    return ok(f"{place} carried a message there and back in {took:.1f} ms.", **facts)


def roles(patient: Patient) -> Verdict:
    """Who of those whom the settings ask for is there."""
    look, settings = patient.seen(), patient.settings
    missing, failed, starting, ready = (list[str]() for _ in range(4))
    for role in to_start(settings, plan(settings)):
        if beside(settings, role):
            continue  # a bundle on trial; the OTA agent watches it
        state, detail = _state(patient, role)
        title = f"{role.name} ({detail})" if detail else role.name
        {"ready": ready, "failed": failed, "starting": starting, "warming": starting}.get(state, missing).append(title)
    total = len(missing) + len(failed) + len(starting) + len(ready)
    facts = {"ready": len(ready), "planned": total, "roles": len(look.roles), "models": len(look.models)}
    if not total:
        return warn("The settings ask for no roles.", "Add a [tasks.NAME] table: docs/your-own-device.md.", **facts)
    if not ready and not starting and not failed:
        return fail(f"None of the {total} roles runs.", _START, **facts)
    found = [ok(f"{len(ready)} of {total} roles are ready.", **facts)]
    if missing:
        found.append(fail(f"Not there: {', '.join(missing)}.", f"{_START} Their logs say why they ended."))
    if failed:
        found.append(fail(f"Failed: {', '.join(failed)}.", "Do what they say; they are started again by themselves."))
    if starting:
        remedy = "Ask again in a minute; if it stays so, its log says what it waits for."
        found.append(fail(f"Still starting: {', '.join(starting)}.", remedy))
    return together(found)


def _state(patient: Patient, role: RoleProcess) -> tuple[str, str]:
    """What it said last, of whichever slot works; `gone` for one that said nothing or holds its lock no more."""
    look, layout = patient.seen(), patient.settings.layout
    if role.kind == "model":
        one = look.models.get((role.task, role.model, role.replica))
        if one is None or one.state in ("stopped", "gone"):
            return "gone", ""
        return one.state, one.detail if one.state == "failed" else ""
    if role.kind == "alerts" and look.availability is not None and look.availability.state == "offline":
        return "gone", ""  # its last will speaks of the device, not of itself
    for name in (role.name, f"{role.name}-b") if role.has_slots else (role.name,):
        state = look.roles.get(name)
        if state is None or state.state in ("stopped", "gone"):
            continue
        return state.state, state.detail if state.state == "failed" else ""
    return ("starting", "") if is_held(layout.session(f"{role.name}.lock")) else ("gone", "")


def versions(patient: Patient) -> Verdict:
    """Whether all that runs is of one version of Roost, the one that examines."""
    from roost_broker.version import VERSION

    others = sorted(
        f"{state.role} {state.version}"
        for state in patient.seen().roles.values()
        if state.state == "ready" and state.version and state.version != VERSION
    )
    if others:
        remedy = "Hand over to the new one: `roost upgrade`, or systemctl restart roost.target."
        return warn(f"Roost {VERSION} is installed, and there still run: {', '.join(others)}.", remedy)
    return ok(f"Roost {VERSION} is installed, and nothing else runs.", roost=VERSION)

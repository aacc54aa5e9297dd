"""What systemd says: units that failed, roles that it restarted, and the watchdogs."""

from roost_broker.errors import RoostError
from roost_edge.doctor.findings import Facts, Verdict, fail, ok, skipped, together, warn
from roost_edge.doctor.patient import Patient

_NO_SYSTEMD = "systemd does not run this machine."
_OFTEN = 5
_PI_MOST_S = 15
"""The Pi's watchdog counts to about 16 s: a longer RuntimeWatchdogSec switches it off without a word."""
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def units(patient: Patient) -> Verdict:
    """No unit has failed, and no role is restarted again and again."""
    if not patient.has_systemd:
        return skipped(_NO_SYSTEMD)
    state = (patient.say(("systemctl", "is-system-running")) or "").strip()
    said = patient.say(("systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "--full"))
    if said is None:
        return skipped("systemctl does not answer.", "See `journalctl -b` for what keeps systemd busy.")
    failed = [line.split()[0] for line in said.splitlines() if line.split()]
    ours = [name for name in failed if name.startswith("roost-") or name == "mosquitto.service"]
    others = [name for name in failed if name not in ours]
    found = [ok(f"systemd is {state or 'there'}, and no unit has failed.", state=state, failed=len(failed))]
    if ours:
        first = ours[0]
        found.append(fail(f"Failed: {', '.join(ours)}.", f"systemctl status {first}; journalctl -u {first} says why."))
    if others:
        first = others[0]
        found.append(warn(f"Failed: {', '.join(others)}.", f"systemctl status {first}, then systemctl reset-failed."))
    restarted = _restarted(patient)
    if restarted:
        names = ", ".join(f"{name} ({count} times)" for name, count in restarted.items())
        first = next(iter(restarted))
        found.append(warn(f"Started again and again: {names}.", f"journalctl -u {first} says why it ends."))
    return together([*found, *_as_planned(patient)])


def watchdog(patient: Patient) -> Verdict:
    """Whether the hardware resets a machine that hangs."""
    device = patient.path("/sys/class/watchdog/watchdog0")
    if not device.is_dir():
        if not patient.is_pi:
            return skipped("This machine has no hardware watchdog.")
        return fail("The Pi's watchdog is not there.", "Add dtparam=watchdog=on to config.txt, and start again.")
    kind = patient.text("/sys/class/watchdog/watchdog0/identity") or "a watchdog"
    state = patient.text("/sys/class/watchdog/watchdog0/state") or "unknown"
    seconds = _runtime_s(patient) if patient.has_systemd else 0.0
    facts: Facts = {"identity": kind, "state": state, "runtimeS": seconds}
    arm = f"Set RuntimeWatchdogSec={_PI_MOST_S}s below [Manager] in /etc/systemd/system.conf.d/, and start again."
    if not seconds and state != "active":
        return warn(f"{kind} is there and not armed: a machine that hangs stays so.", arm, **facts)
    if patient.is_pi and seconds > _PI_MOST_S:
        problem = f"RuntimeWatchdogSec is {seconds:g} s, and the Pi's watchdog counts to {_PI_MOST_S} s: it is off."
        return fail(problem, arm, **facts)
    return ok(f"{kind} is armed{f' with {seconds:g} s' if seconds else ''}.", **facts)


def _as_planned(patient: Patient) -> list[Verdict]:
    """Whether the units on the disk are those of this version of Roost and of these settings, where there are any."""
    from roost_edge.units.installing import differences
    from roost_edge.units.planned import SYSTEM, planned
    from roost_edge.units.shipped import shipped

    root = patient.path("/")
    if not (root / SYSTEM / "roost.target").exists():
        return []
    remedy = "Bring them up to date: roost units apply."
    try:
        changes = differences(planned(patient.settings, shipped()), root)
    except RoostError as error:
        return [warn(error.problem, error.remedy)]
    if not changes:
        return []
    problem = (
        f"The units are not those of these settings and this Roost: {changes[0].place} and {len(changes) - 1} more."
    )
    return [warn(problem, remedy, differences=len(changes))]


def _restarted(patient: Patient) -> dict[str, int]:
    said = patient.say(("systemctl", "show", "roost-*", "--property=Id,NRestarts", "--no-pager")) or ""
    found, name = {}, ""
    for line in said.splitlines():
        key, _, value = line.partition("=")
        if key == "Id":
            name = value
        elif key == "NRestarts" and value.isdigit() and int(value) >= _OFTEN:
            found[name] = int(value)
    return found


def _runtime_s(patient: Patient) -> float:
    """systemd prints a span, such as `15s` or `1min 30s`; 0 for off."""
    said = patient.say(("systemctl", "show", "--property=RuntimeWatchdogUSec", "--value")) or ""
    return span_s(said.strip())


def span_s(text: str) -> float:
    """A span as systemd prints it, in seconds; 0 for `0`, `infinity` and what is none."""
    total = 0.0
    for word in text.split():
        unit = word.lstrip("0123456789.")
        number = word[: len(word) - len(unit)]
        try:
            total += float(number) * _UNITS[unit]
        except (ValueError, KeyError):
            return 0.0
    return total

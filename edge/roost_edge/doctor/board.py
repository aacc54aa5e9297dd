"""What the board itself says: heat, and the power that it gets."""

from pathlib import Path

from roost_edge.doctor.findings import Facts, Verdict, fail, ok, skipped, warn
from roost_edge.doctor.patient import Patient

_HOT, _TOO_HOT = 80.0, 85.0
"""Degrees Celsius: a Pi slows down from 80 on, and stops itself at 85."""
_VCGENCMD = ("vcgencmd", "get_throttled")
_FIRMWARE = "/sys/devices/platform/soc/soc:firmware/get_throttled"
_NOW = {0: "its voltage is too low", 1: "its clock is capped", 2: "it is throttled", 3: "it is near its limit of heat"}
_SINCE_BOOT = 16


def temperature(patient: Patient) -> Verdict:
    """The hottest of the machine's own sensors."""
    zones = sorted(patient.path("/sys/class/thermal").glob("thermal_zone*/temp"))
    degrees = [celsius for zone in zones if (celsius := _celsius(zone)) is not None]
    if not degrees:
        return skipped("This machine tells no temperature.")
    hottest = max(degrees)
    if hottest >= _HOT:
        status = fail if hottest >= _TOO_HOT else warn
        remedy = "Give it air or a heat sink, out of the sun; it slows down until it is cooler."
        return status(f"It is {hottest:.0f} °C hot.", remedy, celsius=hottest)
    return ok(f"{hottest:.0f} °C.", celsius=hottest)


def power(patient: Patient) -> Verdict:
    """Under-voltage and throttling, as the Pi's firmware tells them."""
    if not patient.is_pi:
        return skipped("This is not a Raspberry Pi.")
    bits = _throttled(patient)
    if bits is None:
        return skipped("The firmware does not tell.", "Install vcgencmd (package raspi-utils).")
    facts: Facts = {"throttled": f"{bits:#x}"}
    now = [text for bit, text in _NOW.items() if bits >> bit & 1]
    supply = "Use the power supply made for this board and a short, thick cable."
    cooler = "Cool it."
    if bits & 1:
        return fail(f"The Pi gets too little power now: {', '.join(now)}.", supply, **facts)
    if now:
        return warn(f"The Pi is slower than it could be: {', '.join(now)}.", cooler, **facts)
    if bits >> _SINCE_BOOT & 1:
        return warn("The Pi has had too little power since it started.", supply, **facts)
    if bits >> _SINCE_BOOT:
        return warn("The Pi has been throttled since it started.", cooler, **facts)
    return ok("Enough, and never too little since it started.", **facts)


def _throttled(patient: Patient) -> int | None:
    text = patient.text(_FIRMWARE)
    if text is None:
        said = patient.say(_VCGENCMD)
        text = said.strip().removeprefix("throttled=") if said else None
    try:
        return int(text, 16) if text else None
    except ValueError:
        return None


def _celsius(zone: Path) -> float | None:
    """A sensor in a chip that sleeps answers with an error."""
    try:
        return int(zone.read_text(encoding="ascii")) / 1000
    except (OSError, ValueError):
        return None

"""A camera: a frame from it, or from the role that holds it.

A camera can be opened once. While its capture role runs, what that role says of its frames is the evidence; else one
is taken here, in a child process, because a driver can hang where no time limit reaches.
"""

import contextlib
import os
import subprocess
import sys

import msgspec

from roost_broker.clock import MS
from roost_edge.doctor.camera_words import Failed, Word
from roost_edge.doctor.findings import Facts, Verdict, fail, ok, warn
from roost_edge.doctor.patient import Patient
from roost_edge.processes.own_process import is_held
from roost_edge.settings.device import CameraSection
from roost_edge.sources.settings import CameraSettings

MOST_S = 20.0
"""However long the settings let a camera take."""
_KILL_S = 2.0
_CABLE = "Check the camera's cable, power or network; its settings are in [cameras.{name}]."


def camera(patient: Patient, name: str) -> Verdict:
    """One camera of the settings."""
    section = patient.settings.cameras[name]
    if is_held(patient.settings.layout.session(f"capture-{name}.lock")):
        return _watched(patient, name, section)
    return _taken(name, section, patient.patience)


def limit_s(section: CameraSettings) -> float:
    """How long a frame may take: what the settings allow, and a start of Python on a slow board."""
    return min(MOST_S, (section.open_timeout_ms + section.read_timeout_ms) / 1000 + 5)


def _watched(patient: Patient, name: str, section: CameraSection) -> Verdict:
    """The role renews its retained state with every frame, at a bounded rate."""
    state = patient.seen().roles.get(f"capture-{name}")
    log = f"See its log: journalctl -u roost-capture@{name}, or `{patient.settings.layout.log(f'capture-{name}')}`."
    if state is None or state.state != "ready":
        how = "says nothing" if state is None else f"is {state.state}: {state.detail}".rstrip(": ")
        return fail(f"Its role runs and {how}.", f"{_CABLE.format(name=name)} {log}")
    frames = state.counts.get("frames", 0)
    age_ms = max(0, patient.clock.wall_ns() // MS - state.timestamp)
    facts: Facts = {"frames": frames, "ageMs": age_ms, "heldBy": "capture"}
    if state.counts.get("finished"):
        return ok(f"Its role has taken {frames} frames; {state.detail}.", **facts)
    if not frames:
        return warn("Its role is ready and has no frame yet.", f"Ask again in a moment. {log}", **facts)
    if section.source != "folder" and age_ms > section.capture.stall_s * 1000:
        return fail(
            f"Its role has had no frame for {age_ms / 1000:.0f} s.", f"{_CABLE.format(name=name)} {log}", **facts
        )
    return ok(f"Its role took the newest of {frames} frames {age_ms / 1000:.1f} s ago.", **facts)


def _taken(name: str, section: CameraSection, patience: float) -> Verdict:
    command = [sys.executable, "-P", "-m", "roost_edge.doctor.camera_child", str(os.getpid())]
    fields = {field: getattr(section, field) for field in CameraSettings.__struct_fields__}
    limit, remedy = limit_s(section) * patience, _CABLE.format(name=name)
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        said, _ = child.communicate(msgspec.json.encode(fields), timeout=limit)
    except subprocess.TimeoutExpired:
        _kill(child)
        return fail(f"It delivered nothing within {limit:g} s.", remedy, limitS=limit)
    try:
        word: Word = msgspec.json.decode(said, type=Word)
    except msgspec.DecodeError:
        return fail(f"It ended the process that opened it (status {child.returncode}).", f"See `dmesg`. {remedy}")
    if isinstance(word, Failed):
        return fail(word.problem, word.remedy or remedy)
    size = f"{word.width} × {word.height}"
    facts: Facts = {"width": word.width, "height": word.height, "ms": word.ms, "spread": word.spread}
    if word.spread == 0:
        problem = f"{word.title} shows one even colour, {size}."
        return warn(problem, "Look whether the lens is covered, or the light is off.", **facts)
    return ok(f"{word.title} gave a frame of {size} in {word.ms:.0f} ms.", **facts)


def _kill(child: "subprocess.Popen[bytes]") -> None:
    """Not waited for in earnest: in a driver that hangs even the end comes late."""
    child.kill()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_KILL_S)

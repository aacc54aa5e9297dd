"""From settings to what lies below /etc: pure. Files by their place, and which unit is wanted by whom.

What is the same on every device is shipped as it is (`shipped`). What is this device's own stands in one drop-in per
unit, so that `systemctl cat` shows both, each with its reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from roost_broker.errors import Misuse
from roost_edge.processes.model_slots import slot_of
from roost_edge.processes.named import every
from roost_edge.processes.plan import RoleProcess
from roost_edge.processes.together import ASIDE, FLOCK, members, shares
from roost_edge.settings.device import CameraSection, Settings
from roost_edge.units.names import FLOCK_UNIT, SHARED, TARGET, target_of, template_of, unit_of
from roost_edge.units.settings import UnitSettings

DATA = "/var/lib/roost"
"""The units name it; it is a folder or a mounted partition."""
SYSTEM = "etc/systemd/system"
DROP_IN = "20-settings.conf"
_HEAD = "# Written by `roost units apply` from the settings; change those, not this.\n"
_ALWAYS = ("roost-units.socket", "roost-renew.timer")
"""Wanted by the target whatever the settings say."""
FEATURES = "roost-features.timer"
"""Wanted unless [analytics] is off."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_NETWORK = ("IPAddressDeny=", "IPAddressAllow=")
"""Takes back that a unit may speak to this device alone."""
_HIGH = 0.9
"""Of the bound on memory: from here on the kernel takes back what it can before it ends the process."""


@dataclass(frozen=True, slots=True)
class Planned:
    """`files`: place below the root → text. `wants`: (wanting unit, wanted unit). Both are all there is of ours."""

    files: Mapping[str, str]
    wants: frozenset[tuple[str, str]] = field(default_factory=frozenset)


def planned(settings: Settings, shipped: Mapping[str, str]) -> Planned:
    """Everything that `roost units apply` is to leave. Raises `Misuse` for settings that units cannot serve."""
    if settings.node.data != DATA:
        raise Misuse(
            f"Under systemd the data folder is {DATA}, and the settings say {settings.node.data}.",
            f'Set data = "{DATA}" below [node]; to keep it elsewhere, mount that place there.',
        )
    shared, flock = members(settings, ASIDE), members(settings, FLOCK)
    roles = tuple(role for role in every(settings) if not shares(settings, role))
    for role in roles:
        if template_of(role) not in shipped:
            raise Misuse(f"There is no unit for {role.name}.", f"{template_of(role)} is missing from the installation.")
    drop_ins = {f"{SYSTEM}/{unit_of(role)}.d/{DROP_IN}": drop_in(settings, role) for role in roles}
    always = (*_ALWAYS, *((FEATURES,) if settings.analytics.enabled else ()))
    wants = {*((target_of(role), unit_of(role)) for role in roles), *((TARGET, unit) for unit in always)}
    if shared:
        drop_ins[f"{SYSTEM}/{SHARED}.d/{DROP_IN}"] = shared_drop_in(settings, shared)
        wants.add((TARGET, SHARED))
    if flock:
        drop_ins[f"{SYSTEM}/{FLOCK_UNIT}.d/{DROP_IN}"] = flock_drop_in(settings, flock)
        wants.add((target_of(flock[0]), FLOCK_UNIT))
    return Planned(
        {**base_files(shipped), **{place: text for place, text in drop_ins.items() if text}, **_system(settings.units)},
        frozenset(wants),
    )


def base_files(shipped: Mapping[str, str]) -> dict[str, str]:
    """What is the same on every device, by its place."""
    return {_place(name): text for name, text in shipped.items()}


def drop_in(settings: Settings, role: RoleProcess) -> str:
    """What this device's settings add to a role's unit; empty: nothing."""
    conditions, lines = _conditions(settings, role), list[str]()
    if settings.broker.passwords:
        lines.append(f"LoadCredential=mqtt:{settings.broker.passwords}/{role.name}")
    if role.kind == "notify" and settings.notify is not None:
        lines.append(f"LoadCredential=notify:{settings.notify.urls}")
    if role.kind == "feed" and settings.feed is not None and settings.feed.keys:
        # The file may be root's alone. The empty value is for the time before it is there: then nothing is sent.
        lines += ["SetCredential=feed:", f"LoadCredential=feed:{settings.feed.keys}"]
    page_outside = role.kind == "page" and settings.page is not None and not settings.page.local
    if settings.broker.host not in _LOOPBACK or page_outside:
        lines += _NETWORK
    if role.kind == "model":
        lines += _limits(settings, role)
    if role.kind == "capture":
        lines += _camera(settings.cameras[role.camera])
    sections = [f"[{name}]\n{_lines(found)}" for name, found in (("Unit", conditions), ("Service", lines)) if found]
    return _HEAD + "\n".join(sections) if sections else ""


def shared_drop_in(settings: Settings, roles: Sequence[RoleProcess]) -> str:
    """The same for the unit of those that share a process: each keeps its own password."""
    lines = _passwords(settings, roles)
    return f"{_HEAD}[Service]\n{_lines(lines)}" if lines else ""


def flock_drop_in(settings: Settings, roles: Sequence[RoleProcess]) -> str:
    """For the unit of a flock: its members' passwords, their folders, and their bounds together.

    Within them its parent ends a member that takes more than its own.
    """
    lines = _passwords(settings, roles)
    if settings.broker.host not in _LOOPBACK:
        lines += _NETWORK
    lines += [f"StateDirectory=roost/internal-state/{role.name}" for role in roles]
    models = [settings.tasks[role.task].models[role.model] for role in roles]
    lines += _bounds(sum(one.memory_mb for one in models), sum(one.cpu_percent for one in models), 64 * len(roles))
    return f"{_HEAD}[Service]\n{_lines(lines)}"


def _passwords(settings: Settings, roles: Sequence[RoleProcess]) -> list[str]:
    """Of roles of one unit."""
    folder = settings.broker.passwords
    return [f"LoadCredential=mqtt-{role.name}:{folder}/{role.name}" for role in roles] if folder else []


def _lines(found: list[str]) -> str:
    return "".join(f"{line}\n" for line in found)


def _conditions(settings: Settings, role: RoleProcess) -> list[str]:
    """A second slot that was never used need not even be looked at: on a small Pi each look costs a second."""
    if role.slot:
        first = role.name.removesuffix(f"-{role.slot}")
        return [f"ConditionPathExists=|{DATA}/slots/{first}", f"ConditionPathExists=|/run/roost/standby/{role.name}"]
    known = slot_of(settings, role)
    if known is not None and known[1] != "a":
        return [f"ConditionPathExists={DATA}/ota/lines/{known[0].task}/{known[0].model}.json"]
    return []


def _limits(settings: Settings, role: RoleProcess) -> list[str]:
    known = slot_of(settings, role)
    model = settings.tasks[role.task].models[known[0].model if known is not None else role.model]
    return _bounds(model.memory_mb, model.cpu_percent, 64)


def _bounds(memory_mb: int, cpu_percent: int, tasks: int) -> list[str]:
    # Swap on a card would turn a model that is too large into a device that is too slow.
    return [
        f"MemoryHigh={int(memory_mb * _HIGH)}M",
        f"MemoryMax={memory_mb}M",
        "MemorySwapMax=0",
        f"CPUQuota={cpu_percent}%",
        f"TasksMax={tasks}",
    ]


def _camera(camera: CameraSection) -> list[str]:
    """No device for a camera that has none, and the network for one that is there."""
    if camera.source == "opencv" and camera.url:
        return ["PrivateDevices=yes", *_NETWORK]
    if camera.source in ("opencv", "picamera"):
        return []
    return ["PrivateDevices=yes"]


def _system(units: UnitSettings) -> dict[str, str]:
    found: dict[str, str] = {}
    if units.hardware_watchdog_s:
        text = f"{_HEAD}[Manager]\nRuntimeWatchdogSec={units.hardware_watchdog_s}s\n"
        found["etc/systemd/system.conf.d/20-roost.conf"] = text
    if units.journal != "as-it-is":
        most = "RuntimeMaxUse" if units.journal == "volatile" else "SystemMaxUse"
        text = f"{_HEAD}[Journal]\nStorage={units.journal}\n{most}={units.journal_mb}M\n"
        found["etc/systemd/journald.conf.d/20-roost.conf"] = text
    return found


def _place(name: str) -> str:
    part = name.partition("/")[0]
    return f"etc/{name}" if part in ("sysusers.d", "tmpfiles.d") else f"{SYSTEM}/{name}"

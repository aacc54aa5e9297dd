"""What each role reads and writes, and nothing beside: the rights that a device's broker gives it. Pure.

The rules, where they are not plain from the catalogue:

* `schedule` is written by the operator, and by two roles that cannot do without: the rendezvous puts the settings'
  file on the topic when nobody has published one and puts a good schedule back when a bad one took its place; the OTA
  agent publishes the schedule that follows from the operator's and from which slot answers. Neither main session of
  the agent nor any other role can.
* A model is the least trusted: it reads requests and the schedule, and writes its own scores, its own state, traces,
  events and dead letters. A replica writes its own replica's state.
* A role that speaks in several sessions has a user for each, with the rights of that session alone (`sessions`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from roost_broker.access_rules import Grant, read, write
from roost_broker.errors import Misuse
from roost_broker.receipts import GATEWAY
from roost_broker.topics import NodeTopics, TaskTopics

PROXY_REQUESTER: Final = "proxy-http"
"""As the HTTP proxy signs its requests."""


@dataclass(frozen=True, slots=True)
class Household:
    """What a device has, as far as rights depend on it."""

    device: NodeTopics
    tasks: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    state_topics: tuple[tuple[str, str], ...] = ()
    """Task and topic of each value of external state that comes by MQTT."""
    carried: tuple[str, ...] = ()
    """Filters of the devices whose messages the gateway carries."""
    down: tuple[str, ...] = ()
    """Filters of what the centre may publish here, by way of the gateway."""

    @property
    def flows(self) -> tuple[TaskTopics, ...]:
        """Topics of all tasks."""
        return tuple(map(self.device.task, self.tasks))


@dataclass(frozen=True, slots=True)
class Role:
    """One role as rights know it. `name` is that of its user, its state and (systemd) its unit."""

    kind: str
    name: str
    task: str = ""
    """Of a camera: the task it asks."""
    model: str = ""
    replica: int = 0
    camera: str = ""
    other: str = ""
    """Name of the role in the other slot, where there are two."""


Sessions = dict[str, tuple[Grant, ...]]
"""Rights by session: "" for the role's own, else the name of a second one."""


def sessions(role: Role, household: Household) -> Sessions:
    """The rights of this role. Raises `Misuse` for a kind that is not known."""
    rule = _RULES.get(role.kind)
    if rule is None:
        raise Misuse(f"Nobody has said what a {role.kind!r} may do on the broker.", f"Known: {', '.join(_RULES)}.")
    return rule(role, household)


def session_user(role: str, session: str) -> str:
    """User name of a role's session; no role has a `.` in its name."""
    return f"{role}.{session}" if session else role


def operator(device: NodeTopics) -> tuple[Grant, ...]:
    """Everything of this broker's tree, and the broker's own figures."""
    return (Grant("readwrite", f"{device.base}/#"), *read("$SYS/#"))


def watcher(device: NodeTopics) -> tuple[Grant, ...]:
    """Looks, and changes nothing."""
    return read(f"{device.base}/#")


def _own(role: Role, device: NodeTopics) -> tuple[Grant, ...]:
    """Its state (and the will that says it is gone) and its events."""
    return write(device.role(role.name), device.event)


def _rendezvous(role: Role, household: Household) -> Sessions:
    device = household.device
    flow = device.task(role.task)
    return {
        "": (
            *_own(role, device),
            *read(flow.input, flow.all_model_states, flow.schedule, device.role(role.other)),
            # Results go where a request says, `server.addresses` says within which bounds; here it is this device.
            *write(f"{device.root}/+/results/+", f"{device.root}/+/response/+"),
            *write(flow.schedule, flow.traces, flow.deadletter),
        ),
        "scores": read(flow.all_scores),
    }


def _injector(role: Role, household: Household) -> Sessions:
    device = household.device
    flow = device.task(role.task)
    return {
        "": (*_own(role, device), *read(flow.raw), *write(flow.input, flow.state, flow.traces, flow.deadletter)),
        "state": read(*(topic for task, topic in household.state_topics if task == role.task)),
        "watch": read(flow.input, device.role(role.other)),
    }


def _model(role: Role, household: Household) -> Sessions:
    device = household.device
    flow = device.task(role.task)
    said = write(flow.scores(role.model), flow.model_state(role.model, role.replica))
    return {"": (*read(flow.input, flow.schedule), *said, *write(flow.traces, flow.deadletter, device.event))}


def _decoy(role: Role, household: Household) -> Sessions:
    device = household.device
    flow = device.task(role.task)
    return {
        "": (
            *_own(role, device),
            *read(flow.input, flow.all_scores, flow.all_results),
            *write(flow.receipts, flow.traces, flow.deadletter),
        )
    }


def _monitor(role: Role, household: Household) -> Sessions:
    found = _own(role, household.device)
    for flow in household.flows:
        found += read(flow.traces, flow.all_results, flow.all_scores) + write(flow.deadletter)
    return {"": found}


def _capture(role: Role, household: Household) -> Sessions:
    device = household.device
    flow = device.task(role.task)
    return {
        "": (
            *_own(role, device),
            *read(flow.results(role.camera), flow.receipts, device.role(GATEWAY)),
            *write(flow.raw, device.camera(role.camera).motion, flow.traces, flow.deadletter),
        )
    }


def _alerts(role: Role, household: Household) -> Sessions:
    device = household.device
    found = _own(role, device) + write(device.availability, device.info)
    for flow in household.flows:
        found += read(flow.all_results) + write(flow.deadletter)
    for camera in map(device.camera, household.cameras):
        found += write(camera.events, camera.snapshot)
    return {"": found}


def _proxy(role: Role, household: Household) -> Sessions:
    device = household.device
    found = _own(role, device) + read(device.all_roles)
    for flow in household.flows:
        found += read(flow.results(PROXY_REQUESTER), flow.schedule, flow.all_model_states)
        found += write(flow.raw, flow.deadletter)
    return {"": found}


def _gateway(role: Role, household: Household) -> Sessions:
    """Reads what it may carry, and writes what the settings let the centre say: its `down`, nothing else."""
    device = household.device
    carried = household.carried or (device.root,)
    said = [f"{root}/{one}" for root in carried for one in ("+/receipts", *household.down)]
    return {"": (*_own(role, device), *read(*(f"{root}/#" for root in carried)), *write(*said))}


def _ota(role: Role, household: Household) -> Sessions:
    device = household.device
    found = _own(role, device) + write(device.ota) + read(device.request("ota"))
    publishing = read(device.event)
    for flow in household.flows:
        found += read(flow.schedule, flow.all_model_states, flow.input, flow.all_scores, flow.all_results)
        publishing += read(flow.schedule, *(device.role(f"rendezvous-{flow.task}{slot}") for slot in ("", "-b")))
        publishing += write(flow.schedule)
    for camera in map(device.camera, household.cameras):
        found += read(camera.motion)
    return {"": found, "schedule": publishing}


def _desk(role: Role, household: Household) -> Sessions:
    """Answers for the device as a whole, and looks at all that is retained to do so."""
    device = household.device
    verbs = ("doctor", "info")
    asked = read(*map(device.request, verbs))
    return {
        "": (*_own(role, device), *asked, *write(*map(device.response, verbs), device.deadletter)),
        "doctor": (*read(f"{device.root}/#"), *write(device.request("probe"))),
    }


_RULES: Final[dict[str, Callable[[Role, Household], Sessions]]] = {
    "rendezvous": _rendezvous,
    "injector": _injector,
    "model": _model,
    "decoy": _decoy,
    "monitor": _monitor,
    "capture": _capture,
    "alerts": _alerts,
    "proxy": _proxy,
    "gateway": _gateway,
    "ota": _ota,
    "desk": _desk,
}

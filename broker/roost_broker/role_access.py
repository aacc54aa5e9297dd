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
    discovery: str = ""
    """Topic of Home Assistant's discovery document of this device; empty: it is not announced."""
    birth: str = ""
    """Where Home Assistant says that it has started."""

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


def home_assistant(household: Household) -> tuple[Grant, ...]:
    """What Home Assistant needs for the entities that discovery announces, and nothing beside. Raises `Misuse`."""
    device = household.device
    if not household.discovery:
        raise Misuse("Home Assistant is to have a user, and the device is not announced to it.", "Add [discovery].")
    found = read(device.availability, device.notices, device.ota, device.response("doctor"), household.discovery)
    # It says that it has started; and takes the document away when its user removes the device.
    found += write(household.birth, household.discovery, *map(device.request, ("doctor", "picture", "ota")))
    for camera in map(device.camera, household.cameras):
        found += read(camera.motion, camera.status, camera.events, camera.picture)
        for switch in ("alerts", "detection"):
            found += read(camera.switch_state(switch)) + write(camera.switch_set(switch))
    return found


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
    """Looks at all that passes and says what is strange. It changes nothing, and orders nobody."""
    device = household.device
    verbs = ("alarms", "acknowledge")
    found = _own(role, device) + write(device.alarms, device.alarm, device.deadletter, *map(device.response, verbs))
    found += read(device.event, device.all_roles, *map(device.request, verbs))
    for flow in household.flows:
        found += read(flow.traces, flow.input, flow.all_results, flow.all_scores, flow.all_model_states)
        found += write(flow.alarms, flow.alarm, flow.deadletter)
    return {"": found}


def _capture(role: Role, household: Household) -> Sessions:
    device = household.device
    flow = device.task(role.task)
    return {
        "": (
            *_own(role, device),
            *read(flow.results(role.camera), flow.receipts, device.role(GATEWAY)),
            *write(flow.raw, device.camera(role.camera).motion, flow.traces, flow.deadletter),
            # What people order of the camera, and what it answers.
            *read(device.request("picture"), device.camera(role.camera).switch_set("detection")),
            *write(device.response("picture"), device.camera(role.camera).switch_state("detection"), device.deadletter),
        )
    }


def _alerts(role: Role, household: Household) -> Sessions:
    device = household.device
    found = _own(role, device) + write(device.availability, device.info, device.notices, device.deadletter)
    found += read(*map(device.request, ("alerts", "notice"))) + write(*map(device.response, ("alerts", "notice")))
    if household.discovery:
        found += write(household.discovery) + read(household.birth)
    for flow in household.flows:
        found += read(flow.all_results) + write(flow.deadletter)
    for camera in map(device.camera, household.cameras):
        found += write(camera.events, camera.snapshot, camera.picture, camera.status, camera.switch_state("alerts"))
        found += read(camera.switch_set("alerts"), device.role(f"capture-{camera.camera}"))
    return {"": found}


def _notify(role: Role, household: Household) -> Sessions:
    """Reads notices. It holds people's addresses, and has nothing to say here but how it is."""
    device = household.device
    return {"": (*_own(role, device), *read(device.notices), *write(device.deadletter))}


def _feed(role: Role, household: Household) -> Sessions:
    """Reads results, and says what people answered; it orders nothing, for strangers speak through it."""
    found = _own(role, household.device)
    for flow in household.flows:
        found += read(flow.all_results) + write(flow.suggestions, flow.deadletter)
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
        found += read(flow.schedule, flow.all_model_states, flow.input, flow.all_scores, flow.all_results, flow.alarms)
        publishing += read(flow.schedule, *(device.role(f"rendezvous-{flow.task}{slot}") for slot in ("", "-b")))
        publishing += write(flow.schedule)
    for camera in map(device.camera, household.cameras):
        found += read(camera.motion)
    return {"": found, "schedule": publishing}


def _desk(role: Role, household: Household) -> Sessions:
    """Answers for the device as a whole, and looks at all that is retained to do so."""
    device = household.device
    verbs = ("doctor", "info", "picture")
    asked = read(*map(device.request, verbs))
    said = write(*map(device.response, verbs), device.store, device.deadletter)
    return {
        "": (*_own(role, device), *asked, *read(device.all_roles), *said),
        "doctor": (*read(f"{device.root}/#"), *write(device.request("probe"))),
    }


def _page(role: Role, household: Household) -> Sessions:
    """Looks at what it shows, asks for the doctor, a picture or the alarms, says what people hold of one. No more."""
    device = household.device
    verbs = ("doctor", "picture", "alarms", "acknowledge")
    found = _own(role, device) + write(*map(device.request, verbs))
    found += read(device.availability, device.all_roles, device.event, device.ota, device.deadletter, device.alarms)
    found += read(*map(device.response, ("doctor", "alarms", "acknowledge")))
    for flow in household.flows:
        found += read(flow.schedule, flow.all_model_states, flow.all_results, flow.deadletter, flow.alarms)
        found += write(flow.suggestions)
    for camera in map(device.camera, household.cameras):
        found += read(camera.motion, camera.events, camera.snapshot)
    return {"": found}


_RULES: Final[dict[str, Callable[[Role, Household], Sessions]]] = {
    "rendezvous": _rendezvous,
    "injector": _injector,
    "model": _model,
    "decoy": _decoy,
    "monitor": _monitor,
    "capture": _capture,
    "alerts": _alerts,
    "notify": _notify,
    "proxy": _proxy,
    "feed": _feed,
    "gateway": _gateway,
    "ota": _ota,
    "desk": _desk,
    "page": _page,
}

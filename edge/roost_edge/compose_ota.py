"""Composition of the OTA agent, and which bundle a model's process opens."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from roost_broker.errors import Malformed, Misuse
from roost_edge.ota.pointers import OtaFolder
from roost_edge.processes.model_slots import slot_of
from roost_edge.processes.plan import RoleProcess
from roost_edge.settings.device import ModelSettings, Settings

if TYPE_CHECKING:
    from roost_edge.roles import Place, Shell
    from roost_models.bundle.folder import Bundle


def bundle_of(settings: Settings, role: RoleProcess) -> "tuple[ModelSettings, Bundle]":
    """A model's settings and its bundle: for a model that is kept up to date, what its slot holds.

    Raises `Misuse`, `Malformed` (what lies in the slot's place is another bundle than the one that was verified).
    """
    from roost_models.bundle.opening import open_bundle

    models = settings.tasks[role.task].models
    known = slot_of(settings, role)
    if known is None:
        return models[role.model], open_bundle(Path(models[role.model].bundle), cache=settings.layout.bundles)
    line, slot = known
    section = models[line.model]
    folder = OtaFolder(settings.layout.ota)
    standing = folder.standing(line)
    content = standing.slots.get(slot) if standing is not None else None
    if content is None and slot == "b":
        raise Misuse(f"Nothing lies in the second slot of {line.key}.", "The OTA agent fills and starts it.")
    if content is None or content.delivered:
        return section, open_bundle(Path(section.bundle), cache=settings.layout.bundles)
    from roost_models.registry.store import BundleStore

    bundle = open_bundle(BundleStore(folder.root).folder(content.digest))
    if bundle.digest != content.digest:
        raise Malformed(
            f"In the place of {content.title} lies the bundle {bundle.digest[:12]}.",
            "Somebody changed the OTA agent's folder. Go back (`roost ota return`), then roll the bundle out anew.",
        )
    return section, bundle


@contextmanager
def compose_ota(place: "Place", _fault: str) -> "Iterator[Shell]":
    """The agent with everything it needs. Raises `Misuse` where a line has no usable bundle to begin with."""
    from roost_broker.worker import Worker
    from roost_edge.ota.device_key import DeviceKey
    from roost_edge.ota.line_shell import LineShell
    from roost_edge.ota.listening import TaskEar
    from roost_edge.ota.machine import LineMachine
    from roost_edge.ota.registry_desk import RegistryDesk
    from roost_edge.ota.role import OtaAgent
    from roost_edge.ota.slot_processes import SupervisedSlots
    from roost_edge.ota.standing import first
    from roost_edge.ota.task_schedules import TaskSchedules
    from roost_edge.ota.trial import TrialCounter
    from roost_edge.ota.trying import Workshop
    from roost_models.registry.store import BundleStore
    from roost_rendezvous import schedule

    settings, ota, lines = place.settings, place.settings.ota, place.settings.lines
    if ota is None:
        raise Misuse("The settings have no [ota].", "Add it, or do not run this role.")
    folder = OtaFolder(place.layout.ota)
    store, counts = BundleStore(folder.root), Counter[str]()
    given = {line: Path(settings.tasks[line.task].models[line.model].bundle) for line in lines}
    workshop = Workshop(store, place.layout.bundles, given, ota.trial)
    desk = RegistryDesk(ota, store=folder.root, cache=folder.registry)
    thread, slots = Worker("ota"), SupervisedSlots(settings)

    tasks = tuple(dict.fromkeys(line.task for line in lines))
    schedules = {
        task: TaskSchedules(
            settings.task_topics(task),
            tuple(line for line in lines if line.task == task),
            schedule.load(Path(settings.tasks[task].schedule)),
            folder,
            partial(place.side_bus, "schedule"),
            place.clock,
        )
        for task in tasks
    }
    shells: dict[object, LineShell] = {}
    ears = {
        task: TaskEar(
            {
                line: TrialCounter(line, ota.trial.canary if ota.trial.canary in settings.tasks[task].models else "")
                for line in lines
                if line.task == task
            },
            lambda line, event: shells[line].tell(event),
            place.clock,
        )
        for task in tasks
    }
    agent: OtaAgent
    for line in lines:
        delivered = workshop.delivered(line)
        shells[line] = LineShell(
            line,
            LineMachine(folder.standing(line) or first(delivered), delivered, ota.policy, random.random),
            folder=folder,
            fetcher=desk,
            workshop=workshop,
            slots=slots,
            schedules=schedules[line.task],
            thread=thread,
            clock=place.clock,
            counts=counts,
            on_change=lambda: agent.changed(),
            on_standing=lambda line, standing: ears[line.task].stands(line, standing),
            tidy=lambda: agent.tidy(),
            say=lambda kind, detail, data: agent.say(kind, detail, data),
        )
    agent = OtaAgent(
        place.bus(kept=False),
        place.device,
        settings=ota,
        shells={line: shells[line] for line in lines},
        ears=ears,
        schedules=schedules,
        cameras=tuple(settings.camera_topics(name) for name in settings.cameras),
        desk=desk,
        store=store,
        key=DeviceKey.at(folder.key),
        thread=thread,
        clock=place.clock,
        session=place.session,
        role=place.role.name,
        counts=counts,
        socket=folder.socket,
    )
    yield agent

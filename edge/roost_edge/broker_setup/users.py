"""The users of a device's broker with their rights, from its settings. Pure."""

from dataclasses import dataclass, replace

from roost_broker.access_rules import Grant, Rights
from roost_broker.credentials import OPERATOR, WATCHER
from roost_broker.errors import Misuse
from roost_broker.identities import identity
from roost_broker.mosquitto_device import outside_rights, program_rights
from roost_broker.role_access import Household, Role, home_assistant, operator, session_user, sessions
from roost_edge.discovery.document import config_topic
from roost_edge.processes.plan import RoleProcess, candidates, plan
from roost_edge.settings.device import Settings


@dataclass(frozen=True, slots=True)
class Users:
    """Everybody who may connect."""

    roles: Rights
    """By user name: roles, `watcher`, and other programs."""
    operators: Rights
    outside: Rights
    """Of those who come with a certificate."""
    secret_of: dict[str, str]
    """Whose secret a user with a password has: his own, or that of the role whose second session he is."""

    @property
    def rights(self) -> Rights:
        """Everybody's: no two listeners have users of one name."""
        return {**self.roles, **self.operators, **self.outside}

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of the secrets that are needed."""
        return tuple(dict.fromkeys(self.secret_of.values()))


def users(settings: Settings) -> Users:
    """Raises `Misuse` for settings in which two would have one name, or somebody would have too many rights."""
    home = household(settings)
    rights: dict[str, tuple[Grant, ...]] = {}
    secret_of: dict[str, str] = {}
    for role in every_role(settings):
        for session, grants in sessions(described(settings, role), home).items():
            rights[session_user(role.name, session)] = grants
            secret_of[session_user(role.name, session)] = role.name
    outside = settings.mosquitto.outside
    programs = {**program_rights(settings.mosquitto, settings.topics)}
    for name, program in settings.mosquitto.programs.items():
        if program.home_assistant:
            programs[name] = (*programs[name], *home_assistant(home))
    for name in (OPERATOR, WATCHER, *settings.mosquitto.programs):
        if name in secret_of:
            raise Misuse(f"Two users of the broker would be called {name!r}.", "Rename it in [mosquitto.programs].")
        secret_of[name] = name
    return Users(
        roles={**rights, **programs},
        operators={OPERATOR: operator(settings.topics)},
        outside={
            **outside_rights(outside, settings.topics),
            **{str(identity("watcher", one)): home_assistant(home) for one in outside.home_assistants},
        },
        secret_of=secret_of,
    )


def every_role(settings: Settings) -> tuple[RoleProcess, ...]:
    """All that may run here at some time: those planned, their successors, and second slots of models."""
    planned = plan(settings)
    return (*planned, *(replace(role, slot="b") for role in planned if role.has_slots), *candidates(settings))


def household(settings: Settings) -> Household:
    """What the device has."""
    gateway, discovery = settings.gateway, settings.discovery
    base = settings.broker.base
    return Household(
        device=settings.topics,
        tasks=tuple(settings.tasks),
        cameras=tuple(settings.cameras),
        state_topics=tuple(
            (task, value.topic) for task, part in settings.tasks.items() for value in part.state.values() if value.topic
        ),
        carried=tuple(f"{base}/{node}" for node in (gateway.nodes if gateway is not None else ())),
        down=gateway.down if gateway is not None else (),
        discovery="" if discovery is None else config_topic(settings.topics, discovery),
        birth="" if discovery is None else discovery.birth_topic,
    )


def described(settings: Settings, role: RoleProcess) -> Role:
    """A role as rights know it."""
    return Role(
        kind=role.kind,
        name=role.name,
        task=settings.cameras[role.camera].task if role.camera else role.task,
        model=role.model,
        replica=role.replica,
        camera=role.camera,
        other=replace(role, slot="" if role.slot else "b").name if role.has_slots else "",
    )

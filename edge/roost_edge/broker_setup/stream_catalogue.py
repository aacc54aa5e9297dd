"""The catalogue of a device's streams, from its settings and the rights they give. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from roost_broker.access_rules import Grant
from roost_broker.catalogue import topic_catalogue
from roost_broker.topics import overlap
from roost_edge.broker_setup.users import Users, every_role, users
from roost_edge.settings.device import Settings
from roost_rendezvous.analytics.features.streams import StreamReport, Subscription, Variable, report, streams
from roost_rendezvous.injector.settings import StateValue


def catalogue(settings: Settings, subscriptions: Iterable[Subscription] = ()) -> StreamReport:
    """Who says what to whom on this device. `subscriptions` are those that its broker's log shows."""
    everybody = users(settings)
    merged = _by_role(settings, everybody)
    found = streams(
        topic_catalogue(),
        settings.broker.base,
        _levels(settings),
        merged,
        lambda user: _looks_at_all(settings, merged[user]),
        _outside(settings),
    )
    return report(settings.node.name, found, everybody.rights, subscriptions, _variables(settings, merged))


def _by_role(settings: Settings, everybody: Users) -> dict[str, tuple[Grant, ...]]:
    """Rights by role: its sessions, its successor and its second slot speak for one."""
    names = {role.name: replace(role, slot="").name for role in every_role(settings)}
    names |= {f"model-{line.task}-{line.name('b')}": f"model-{line.task}-{line.model}" for line in settings.lines}
    found: dict[str, tuple[Grant, ...]] = {}
    for user, grants in everybody.rights.items():
        role = user.split(".", 1)[0] if user not in everybody.outside else user
        # A session that looks at everything says nothing of what its role depends on: it stands by itself.
        name = user if _looks_at_all(settings, grants) else names.get(role, role)
        found[name] = (*found.get(name, ()), *grants)
    return found


def _looks_at_all(settings: Settings, grants: Iterable[Grant]) -> bool:
    """Whether somebody may hear the whole device: operators, watchers, the gateway, the doctor's session."""
    whole = (f"{settings.topics.root}/#", f"{settings.broker.base}/#")
    return any("read" in grant.access and grant.topic in whole for grant in grants)


def _levels(settings: Settings) -> dict[str, tuple[str, ...]]:
    found = {"<node>": (settings.node.name,), "<task>": tuple(settings.tasks), "<camera>": tuple(settings.cameras)}
    for task, part in settings.tasks.items():
        found[f"<model>/{task}"] = tuple(part.models)
        found[f"<replica>/{task}"] = tuple(name for name, model in part.models.items() if model.replicas > 1)
    return found


def _outside(settings: Settings) -> dict[str, str]:
    """Topics that are none of Roost's, with a task that uses them."""
    tree = f"{settings.broker.base}/#"
    return {
        value.topic: task
        for task, part in settings.tasks.items()
        for value in part.state.values()
        if value.topic and not overlap(tree, value.topic)
    }


def _variables(settings: Settings, rights: dict[str, tuple[Grant, ...]]) -> list[Variable]:
    return [
        Variable(
            name=f"state.{name}",
            task=task,
            source=_source(value),
            producers=tuple(
                sorted(
                    user
                    for user, grants in rights.items()
                    if value.topic
                    and any("write" in access and overlap(topic, value.topic) for access, topic in grants)
                )
            ),
            readers=tuple(part.models),
        )
        for task, part in settings.tasks.items()
        for name, value in part.state.items()
    ]


def _source(value: StateValue) -> str:
    if value.topic:
        return f"topic {value.topic}" + (f" {value.pointer}" if value.pointer else "")
    if value.file:
        return f"file {value.file}"
    return f"command {value.command[0]}" if value.command else f"computed {value.computed}"

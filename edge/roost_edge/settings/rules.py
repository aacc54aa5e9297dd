"""Rules between the parts of the settings, which no part can check alone. Nothing is opened here."""

from collections.abc import Iterator
from typing import NamedTuple

from roost_broker.errors import Misuse
from roost_broker.topics import NodeTopics, is_name
from roost_edge.settings.device import Settings
from roost_rendezvous.injector.keeper import StateKeeper


class Disagreement(NamedTuple):
    """Two parts that do not go together. `where` is the path of the one to change."""

    where: tuple[str, ...]
    problem: str
    remedy: str


def disagreements(settings: Settings) -> Iterator[Disagreement]:
    """All of them; none for settings that can be used."""
    try:
        topics = NodeTopics(settings.node.name, settings.broker.base)
    except Misuse as error:
        yield Disagreement(("node", "name"), error.problem, error.remedy)
        return
    yield from _names(settings, topics)
    yield from _tasks(settings)
    yield from _cameras(settings)
    yield from _lines(settings)
    yield from _privacy(settings)
    yield from _people(settings)


def _names(settings: Settings, topics: NodeTopics) -> Iterator[Disagreement]:
    """Names are levels of topics; the topics themselves know which cannot be."""
    for task, part in settings.tasks.items():
        try:
            flow = topics.task(task)
        except Misuse as error:
            yield Disagreement(("tasks", task), error.problem, error.remedy)
            continue
        for model in part.models:
            try:
                flow.scores(model)
            except Misuse as error:
                yield Disagreement(("tasks", task, "models", model), error.problem, error.remedy)
        try:
            StateKeeper(part.state)
        except Misuse as error:
            yield Disagreement(("tasks", task, "state"), error.problem, error.remedy)
    for camera in settings.cameras:
        try:
            topics.camera(camera)
        except Misuse as error:
            yield Disagreement(("cameras", camera), error.problem, error.remedy)


def _tasks(settings: Settings) -> Iterator[Disagreement]:
    for task, part in settings.tasks.items():
        if part.rendezvous.qa and not settings.node.qa:
            yield Disagreement(
                ("tasks", task, "rendezvous", "qa"),
                "this is switched for the whole device.",
                "Set `qa = true` below [node] instead.",
            )


def _cameras(settings: Settings) -> Iterator[Disagreement]:
    for camera, section in settings.cameras.items():
        if camera in settings.tasks:
            yield Disagreement(
                ("cameras", camera),
                f"{camera!r} is also the name of a task, and both are a level of the topic tree.",
                "Give the camera another name.",
            )
        if section.faults and not settings.node.qa:
            yield Disagreement(
                ("cameras", camera, "faults"),
                "a camera misbehaves on purpose only where that is allowed.",
                "Set `qa = true` below [node], or leave the faults out.",
            )
        if section.task not in settings.tasks:
            yield Disagreement(
                ("cameras", camera, "task"),
                f"there is no task {section.task!r} (tasks here: {', '.join(settings.tasks) or 'none'}).",
                f"Add [tasks.{section.task}], or name one of them.",
            )


def _privacy(settings: Settings) -> Iterator[Disagreement]:
    """A task without the guard's model would never show a picture, and nobody would know why."""
    guard = settings.privacy
    for task, part in settings.tasks.items() if guard is not None else ():
        if guard is not None and guard.model not in part.models:
            yield Disagreement(
                ("privacy", "model"),
                f"the task {task} has no model {guard.model!r}, so none of its pictures could be shown.",
                f"Add [tasks.{task}.models.{guard.model}], or leave [privacy] out.",
            )


def _lines(settings: Settings) -> Iterator[Disagreement]:
    """Models that are kept up to date."""
    bundles: dict[tuple[str, str], str] = {}
    for line in settings.lines:
        where = ("tasks", line.task, "models", line.model, "ota")
        if settings.ota is None:
            yield Disagreement(where, "nobody would bring it.", "Add an [ota] table, or leave `ota` out here.")
        if not is_name(line.bundle):
            yield Disagreement(
                where,
                f"{line.bundle!r} cannot be the name of a bundle.",
                "Use letters, digits, '-' and '_', at most 64, beginning with a letter or digit.",
            )
        if line.name("b") in settings.tasks[line.task].models:
            yield Disagreement(
                ("tasks", line.task, "models", line.name("b")),
                f"this is the name of the second slot of {line.model}.",
                "Give this model another name.",
            )
        before = bundles.setdefault((line.task, line.bundle), line.model)
        if before != line.model:
            yield Disagreement(where, f"{before} follows the same bundle.", "Let one of the two follow it.")
    if settings.ota is not None and not settings.lines:
        yield Disagreement(
            ("ota",), "no model is kept up to date.", 'Write `ota = "<bundle>"` below a model, or leave [ota] out.'
        )


def _people(settings: Settings) -> Iterator[Disagreement]:
    """What people are told, and Home Assistant."""
    for name, rule in settings.alerts.rules.items():
        for kind, wanted, there in (("cameras", rule.cameras, settings.cameras), ("tasks", rule.tasks, settings.tasks)):
            for one in wanted:
                if one not in there:
                    where = ("alerts", "rules", name, kind)
                    yield Disagreement(where, f"there is no {one!r}.", f"Name some of: {', '.join(there) or 'none'}.")
    notify = settings.notify
    if notify is not None and not settings.alerts.rules:
        yield Disagreement(("notify",), "no rule would give out a notice.", "Add a table such as [alerts.rules.all].")
    for one in notify.rules if notify is not None else ():
        if one not in settings.alerts.rules:
            yield Disagreement(("notify", "rules"), f"there is no rule {one!r}.", "Name rules of [alerts.rules].")
    if settings.discovery is None:
        for name, program in settings.mosquitto.programs.items():
            if program.home_assistant:
                program_at = ("mosquitto", "programs", name, "home_assistant")
                yield Disagreement(program_at, "the device is not announced to it.", "Add an empty table [discovery].")
        if settings.mosquitto.outside.home_assistants:
            outside_at = ("mosquitto", "outside", "home_assistants")
            yield Disagreement(outside_at, "the device is not announced to them.", "Add an empty table [discovery].")

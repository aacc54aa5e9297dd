"""What the operator's commands share: settings, task, a bus of their own, and a bounded wait for the broker."""

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from roost_broker.errors import Misuse, PeerError
from roost_edge.logs import one_complaint

if TYPE_CHECKING:
    from roost_broker.mqtt import MqttBus
    from roost_edge.settings.device import Settings

T = TypeVar("T")
_WORK_S = 10.0
LOOK_S = 1.0
"""For a look at the retained topics."""

SettingsFile = Annotated[
    Path, typer.Option("--settings", "-s", envvar="ROOST_SETTINGS", help="The device's settings file.")
]
DEFAULT_SETTINGS = Path("roost.toml")
Task = Annotated[str, typer.Option(help="Which task, where the settings have several.")]
Author = Annotated[str, typer.Option(help="Who changes it; kept with it. Your user name if not given.")]


def only_task(settings: "Settings", file: Path, task: str) -> str:
    """The task meant. Raises `Misuse` when it is not there, or not the only one and not named."""
    names = ", ".join(settings.tasks) or "none"
    if not settings.tasks:
        raise Misuse(f"{file} has no tasks.", "Add a [tasks.NAME] table.")
    if task and task not in settings.tasks:
        raise Misuse(f"{file} has no task {task!r}; it has {names}.", "Name one of them: --task NAME.")
    if not task and len(settings.tasks) != 1:
        raise Misuse(f"{file} has several tasks: {names}.", "Name one: --task NAME.")
    return task or next(iter(settings.tasks))


def with_broker(settings: "Settings", work: Callable[["MqttBus"], Awaitable[T]], *, work_s: float = _WORK_S) -> T:
    """Run `work` with a bus that is not started yet. Raises `NoBroker` when none answers in time.

    `work_s` is how long the work may take once connected.
    """
    from msgspec import structs

    from roost_broker.credentials import as_operator
    from roost_broker.mqtt import MqttBus

    broker = structs.replace(as_operator(settings.broker), session_expiry_s=0)
    bus = MqttBus(broker, f"{settings.node.name}-operator-{os.getpid()}")

    async def bounded() -> T:
        async with asyncio.timeout(broker.connect_timeout_s + work_s):
            return await work(bus)

    try:
        with one_complaint():
            return asyncio.run(bounded())
    except TimeoutError as error:
        raise NoBroker(
            f"No broker answers at {broker.host}:{broker.port}.",
            "Start the device, or correct [broker] in the settings.",
        ) from error


class NoBroker(PeerError):
    """Nothing answers where the settings say that the broker is."""


def user() -> str:
    """Who runs this command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return f"uid {os.getuid()}"

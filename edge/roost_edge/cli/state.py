"""`roost state`: the external state that requests are given."""

import asyncio
import contextlib
import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from roost_broker.errors import Misuse, PeerError
from roost_edge.cli import output
from roost_edge.cli.output import EXIT_CODES, Json
from roost_edge.logs import one_complaint

app = typer.Typer(no_args_is_help=True, help="External state: what requests are given.")

_PATIENCE_S = 2.0
_OLD_MS = 30_000
"""The injector tells every few seconds; a summary older than this is not of a running one."""
_SILENT: dict[str, Any] = {"running": False, "role": None, "toldMsAgo": None, "values": {}}
"""For a task whose injector has told nothing."""


@app.callback()
def group() -> None:
    """External state: what requests are given."""


@app.command(epilog=EXIT_CODES)
def show(
    settings: Annotated[
        Path, typer.Option("--settings", "-s", envvar="ROOST_SETTINGS", help="The device's settings file.")
    ] = Path("roost.toml"),
    task: Annotated[str, typer.Option(help="Only this task; else all that have state.")] = "",
    as_json: Json = False,
) -> None:
    """Show each value with its age and source.

    And its condition: fresh, stale, missing, default (missing or stale, and its default is given), or unreadable (the
    value before it is given). Status 1 when no running injector tells.
    """
    from roost_broker.clock import MS, SystemClock
    from roost_edge.settings import loading

    device = loading.load(settings)
    if task and task not in device.tasks:
        raise Misuse(f"{settings} has no task {task!r}.", f"It has: {', '.join(device.tasks) or 'none'}.")
    tasks = [name for name, part in device.tasks.items() if part.state and task in ("", name)]
    if not tasks:
        raise Misuse(
            "No value of state is configured there.", f"Add [tasks.{task or '<task>'}.state.<name>] to {settings}."
        )
    with one_complaint():
        told = asyncio.run(_told(device, tasks))
    now_ms = SystemClock().wall_ns() // MS
    found = {name: _as_of(message, now_ms, device.tasks[name].state) for name, message in told.items()}
    if as_json:
        output.data({name: found.get(name, _SILENT) for name in tasks})
    else:
        for name, one in found.items():
            print(f"Task {name}, as {one['role']} said {_age(one['toldMsAgo'])} ago:")
            print(output.table(_rows(one["values"]), indent="  "))
    silent = [name for name in tasks if name not in found or found[name]["toldMsAgo"] > _OLD_MS]
    if silent:
        raise PeerError(
            f"The injector of {', '.join(silent)} does not run, or runs without these settings.",
            "Start it (`roost up` for all roles, `roost run injector` for it alone), or look at its log.",
        )


async def _told(device: Any, tasks: list[str]) -> dict[str, Any]:
    """The retained summaries, as far as they come within a moment. Raises `PeerError` without a broker."""
    from msgspec import structs

    from roost_broker.bus import Delivery
    from roost_broker.credentials import as_operator
    from roost_broker.errors import Malformed
    from roost_broker.messages import InjectedState, decode
    from roost_broker.mqtt import MqttBus

    broker = structs.replace(as_operator(device.broker), session_expiry_s=0)
    bus = MqttBus(broker, f"{device.node.name}-operator-{os.getpid()}")
    told: dict[str, Any] = {}
    complete = asyncio.Event()

    def heard(delivery: Delivery) -> None:
        delivery.ack()
        with contextlib.suppress(Malformed):
            message = decode(delivery.payload)
            if isinstance(message, InjectedState):
                told[message.task] = message
        if told.keys() >= set(tasks):
            complete.set()

    for name in tasks:
        bus.subscribe(device.task_topics(name).state, heard)
    try:
        async with asyncio.timeout(broker.connect_timeout_s + 1):
            await bus.start()
    except TimeoutError as error:
        await bus.stop()
        raise PeerError(
            f"No broker answers at {broker.host}:{broker.port}.",
            "Start the device, or correct [broker] in the settings.",
        ) from error
    with contextlib.suppress(TimeoutError):  # those that said nothing are named by the caller
        async with asyncio.timeout(_PATIENCE_S):
            await complete.wait()
    await bus.stop()
    return {name: told[name] for name in tasks if name in told}


def _as_of(message: Any, now_ms: int, rules: Any) -> dict[str, Any]:
    """A summary with its ages at this moment. `rules` are the values of the settings."""
    since = max(0, now_ms - message.timestamp)
    values = {
        name: {
            "value": value.value,
            "condition": _condition(value, rules.get(name)),
            "ageMs": None if value.age_ms is None else value.age_ms + since,
            "source": value.source,
            "problem": value.problem,
        }
        for name, value in message.values.items()
    }
    return {"running": since <= _OLD_MS, "role": message.role, "toldMsAgo": since, "values": values}


def _condition(value: Any, rule: Any) -> str:
    """In one word why a request would be given this."""
    if value.condition == "missing":
        return "missing" if value.value is None else "default"
    if value.condition == "stale" and rule is not None and rule.when_stale == "default":
        return "default"
    return "unreadable" if value.problem and value.condition == "fresh" else str(value.condition)


def _text(value: Any) -> str:
    """A value as JSON writes it, but texts without quotes."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _rows(values: dict[str, Any]) -> list[list[str]]:
    rows = [["name", "value", "age", "condition", "source"]]
    for name, one in values.items():
        problem = f" ({one['problem']})" if one["problem"] else ""
        rows.append([name, _text(one["value"])[:40], _age(one["ageMs"]), one["condition"], one["source"] + problem])
    return rows


def _age(ms: int | None) -> str:
    if ms is None:
        return "–"
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if ms >= 2 * size:
            return f"{ms // size} {unit}"
    return f"{ms / 1000:.1f} s"

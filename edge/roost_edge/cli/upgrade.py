"""`roost upgrade`: replace the running rendezvous server or state injector by a new process, without a gap."""

import asyncio
import dataclasses
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.output import Json

if TYPE_CHECKING:
    from roost_edge.processes.plan import RoleProcess
    from roost_edge.settings.device import Settings
    from roost_rendezvous.handover.conducting import Stage
    from roost_rendezvous.handover.conductor import Tell

_COMPONENTS = ("rendezvous", "injector")


def upgrade(
    component: Annotated[str, typer.Argument(help="rendezvous or injector.")],
    task: Annotated[str, typer.Option(help="Which task, where the settings have several.")] = "",
    settings: Annotated[
        Path, typer.Option("--settings", "-s", envvar="ROOST_SETTINGS", help="The settings file (TOML).")
    ] = Path("roost.toml"),
    python: Annotated[
        str, typer.Option(help="Python of the successor, such as that of a venv with a newer Roost.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Replace a running rendezvous server or injector.

    Requests flow meanwhile: nothing is lost or answered twice.

    A successor starts beside the running process and waits. A token in the stream of requests makes the running one
    write what it knows; a second token makes the successor take over behind it, while the old one finishes what it
    has begun, and ends. To go back, say the same again with the earlier --python. Until the second token anything that
    fails leaves the running process in charge. Status 1 when it failed; it then says who is in charge.
    """
    from roost_edge.processes.own_process import only_one
    from roost_edge.processes.plan import resolve
    from roost_edge.processes.slots import in_charge
    from roost_edge.settings import loading

    if component not in _COMPONENTS:
        raise Misuse(f"{component!r} cannot hand over.", f"Components: {', '.join(_COMPONENTS)}.")
    device = loading.load(settings)
    role = in_charge(device.layout, resolve(device, component, task=task))
    steps: list[dict[str, Any]] = []
    began = time.monotonic()

    def tell(step: "Tell") -> None:
        after_s = round(time.monotonic() - began, 3)
        steps.append({"phase": str(step.phase), "text": step.text, "after_s": after_s})
        if not as_json:
            output.say(f"{after_s:7.1f} s  {step.text}")

    python = str(Path(shutil.which(python) or python).absolute()) if python else ""
    with only_one(device.layout.session(f"upgrade-{role.kind}-{role.task}.lock"), "This hand-over"):
        ended, handover_id = asyncio.run(_hand_over(device, role, settings.absolute(), python, tell))
    if as_json:
        output.data({**dataclasses.asdict(ended), "handover_id": handover_id, "steps": steps})
    elif ended.done:
        print(f"{ended.in_charge} is in charge; {role.name} has ended.")
    else:
        output.say(f"roost: {ended.problem}")
        output.say(f"  → {ended.remedy}" if ended.remedy else "")
        print(f"{ended.in_charge} is in charge.")
    if not ended.done:
        raise typer.Exit(output.NO)


async def _hand_over(device: "Settings", role: "RoleProcess", path: Path, python: str, tell: Any) -> Any:
    from msgspec import structs

    from roost_broker.clock import MS, SECOND, SystemClock
    from roost_broker.credentials import as_operator
    from roost_broker.mqtt import MqttBus
    from roost_rendezvous.handover.conducting import HandOver
    from roost_rendezvous.handover.conductor import HandoverPolicy

    # Its own times, and a margin for a machine that is busy.
    own = device.tasks[role.task].rendezvous
    policy = HandoverPolicy(finish_ns=min((own.grace_ms + own.early_ms) * MS + 60 * SECOND, 3600 * SECOND))
    broker = structs.replace(as_operator(device.broker), session_expiry_s=0)
    handing_over = HandOver(
        MqttBus(broker, f"{device.node.name}-upgrade-{os.getpid()}"),
        device.task_topics(role.task),
        "rendezvous" if role.kind == "rendezvous" else "injector",
        role.slot,
        await _stage(device, role, path, python),
        folder=device.layout.handover(role.task),
        clock=SystemClock(),
        policy=policy,
        tell=tell,
        connect_s=device.broker.connect_timeout_s,
    )
    return await handing_over.run(), handing_over.id


async def _stage(device: "Settings", role: "RoleProcess", path: Path, python: str) -> "Stage":
    from roost_edge.processes import control
    from roost_edge.processes.stages import StageByHand, SupervisedStage

    if await control.ask(device.layout.control, {"do": "roles"}, timeout_s=5) is not None:
        return SupervisedStage(device, python)
    return StageByHand(device, role, path)

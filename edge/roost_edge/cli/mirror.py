"""`roost mirror`: production's requests on a developer's broker, without production noticing."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from msgspec import structs

from roost_broker.errors import Misuse, PeerError
from roost_broker.stopping import told_to_stop
from roost_edge.cli import output
from roost_edge.cli.output import Json
from roost_edge.plurals import counted

if TYPE_CHECKING:
    from roost_broker.mirror import Mirror, Stream
    from roost_broker.settings import BrokerSettings
    from roost_edge.settings.device import Settings

_SAY_EVERY_S = 10.0


def mirror(
    origin: Annotated[
        str, typer.Option("--from", metavar="PROD", help="Production: its settings file, or HOST:PORT of its broker.")
    ],
    streams: Annotated[
        str, typer.Option(help="raw, input or both: `input` to try models, `raw` to try another state injector.")
    ] = "input",
    settings: Annotated[
        Path,
        typer.Option(
            "--settings",
            "-s",
            envvar="ROOST_SETTINGS",
            help="Settings of the developer's own device: where the copy goes.",
        ),
    ] = Path("roost.toml"),
    tasks: Annotated[str, typer.Option(help="Tasks, separated by commas; all of the developer's device if not.")] = "",
    node: Annotated[str, typer.Option(help="Production's node name, where --from does not tell.")] = "",
    frames: Annotated[
        Path | None, typer.Option(help="Folder of production's frames, if it can be read from here.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0, help="Stop after so long; 0 = at Ctrl-C.")] = 0,
    as_json: Json = False,
) -> None:
    """Copy production's requests to your own broker.

    There other models may answer them.

    Production does not notice: nothing is queued for the mirror, nothing waits for it, and what the developer's broker
    cannot take is dropped and counted. A broker that listens on loopback only is reached through a tunnel:
    ssh -N -L 1884:127.0.0.1:1883 PI, then --from 127.0.0.1:1884 --node NAME.
    """
    from roost_edge.settings import loading

    here = loading.load(settings)
    there, source_node, folder = _origin(origin, node or here.node.name)
    if (there.host, there.port, there.base, source_node) == (*_address(here), here.node.name):
        raise Misuse(
            f"Production and the copy are the same device, {source_node} at {there.host}:{there.port}.",
            "Give the developer's device its own settings with another broker or another name.",
        )
    copying = _mirror(here, there, source_node, _tasks(tasks, here), _streams(streams), frames or folder)
    asyncio.run(_until_stopped(copying, there, seconds))
    if as_json:
        output.data({"from": f"{there.host}:{there.port}", "node": source_node, "counts": dict(copying.counts)})
    else:
        print(_sentence(copying))


def _address(device: "Settings") -> tuple[str, int, str]:
    return device.broker.host, device.broker.port, device.broker.base


def _origin(text: str, node: str) -> tuple["BrokerSettings", str, Path | None]:
    """Production's broker, node name and folder of frames, from a settings file or HOST:PORT."""
    from roost_broker.credentials import WATCHER, as_user
    from roost_broker.settings import BrokerSettings
    from roost_edge.settings import loading

    if Path(text).is_file():
        device = loading.load(Path(text))
        return as_user(device.broker, WATCHER), device.node.name, device.layout.frames
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise Misuse(f"{text!r} is neither a settings file nor HOST:PORT.", "For example --from 127.0.0.1:1884.")
    return BrokerSettings(host=host, port=int(port)), node, None


def _tasks(text: str, here: "Settings") -> list[str]:
    wanted = [word.strip() for word in text.split(",") if word.strip()] or list(here.tasks)
    if strangers := sorted(set(wanted) - set(here.tasks)):
        raise Misuse(
            f"The developer's device has no task {strangers[0]!r}.", f"It has: {', '.join(here.tasks) or 'none'}."
        )
    return wanted


def _streams(text: str) -> "list[Stream]":
    from roost_broker.mirror import STREAMS

    wanted = [word.strip() for word in text.split(",") if word.strip()]
    if not wanted or set(wanted) - set(STREAMS):
        raise Misuse(f"--streams {text!r} names no stream of requests.", "Use raw, input or raw,input.")
    return cast("list[Stream]", wanted)


def _mirror(
    here: "Settings",
    there: "BrokerSettings",
    node: str,
    tasks: list[str],
    streams: "list[Stream]",
    frames: Path | None,
) -> "Mirror":
    from roost_broker.credentials import as_operator
    from roost_broker.frames import FrameStore
    from roost_broker.mirror import Mirror, Shelves
    from roost_broker.mqtt import MqttBus
    from roost_broker.topics import NodeTopics

    if frames is not None and not frames.is_dir():
        output.say(f"{frames} cannot be read from here; models that need the picture will decline frame-missing.")
        frames = None
    name = f"mirror-{os.getpid()}"
    return Mirror(
        MqttBus(structs.replace(there, session_expiry_s=0), name),
        MqttBus(structs.replace(as_operator(here.broker), session_expiry_s=0), name),
        origin=NodeTopics(node, there.base),
        copy=here.topics,
        tasks=tasks,
        streams=streams,
        shelves=None if frames is None else Shelves(FrameStore(frames), FrameStore(here.layout.frames)),
    )


async def _until_stopped(copying: "Mirror", there: "BrokerSettings", seconds: float) -> None:
    stop = told_to_stop(seconds)
    output.say(f"Mirroring from {there.host}:{there.port}; Ctrl-C ends it.")
    telling = asyncio.ensure_future(_tell(copying))
    try:
        await copying.run(stop)
    except OSError as error:
        raise PeerError(f"The mirror stopped: {error}.", "Check both brokers, and start it again.") from error
    finally:
        telling.cancel()


async def _tell(copying: "Mirror") -> None:
    while True:
        await asyncio.sleep(_SAY_EVERY_S)
        output.say(_sentence(copying))


def _sentence(copying: "Mirror") -> str:
    counts = copying.counts
    sentence = f"{counted(counts['copied'], 'request')} copied, {counts['dropped']} dropped"
    if counts["frames"] or counts["frames-missing"]:
        sentence += f"; {counted(counts['frames'], 'frame')} copied, {counts['frames-missing']} not to be had"
    if counts["not-a-request"]:
        sentence += f"; {counts['not-a-request']} were no requests"
    return sentence + "."

"""`roost fleet simulate`: devices that are not there, over real sessions, obeying a real registry."""

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse
from roost_broker.stopping import told_to_stop
from roost_edge.cli import output
from roost_edge.cli.output import Json
from roost_edge.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roost_broker.settings import BrokerSettings
    from roost_edge.fleet_sim.running import Fetch
    from roost_models.bundle.folder import Bundle
    from roost_models.registry.reader import RegistryReader
    from roost_models.rollout.document import BundleRef


def simulate(
    devices: Annotated[int, typer.Option("--devices", "-n", min=1, max=100_000, help="How many.")],
    registry: Annotated[str, typer.Option(help="Address (http, https) or folder: what devices poll.")],
    root: Annotated[Path, typer.Option(help="The registry's first root metadata, which devices trust.")],
    bundle: Annotated[Path, typer.Option(help="What the devices came with: a folder or a .roost file.")],
    pictures: Annotated[Path, typer.Option(help="Folder of pictures on which bundles are really evaluated.")],
    broker: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where they connect.")] = "127.0.0.1:1883",
    canary: Annotated[Path | None, typer.Option(help="A bundle to compare with.")] = None,
    task: Annotated[str, typer.Option(help="The task; else the bundle's.")] = "",
    name: Annotated[str, typer.Option(help="The line in the registry; else the bundle's name.")] = "",
    model: Annotated[str, typer.Option(help="The model's name on the devices.")] = "champion",
    prefix: Annotated[str, typer.Option(help="Beginning of the devices' names.")] = "sim",
    tag: Annotated[
        list[str] | None, typer.Option(metavar="NAME=A,B,…", help="A tag, and the values that devices have in turn.")
    ] = None,
    requests_per_s: Annotated[float, typer.Option(min=1e-6, help="Requests of one device.")] = 1.0,
    poll: Annotated[float, typer.Option(min=0.1, help="Seconds between a device's looks, and reports.")] = 30.0,
    install: Annotated[float, typer.Option(min=0, help="Seconds for download, tests and warming.")] = 5.0,
    seed: Annotated[int, typer.Option(help="Of the chances.")] = 1,
    cache: Annotated[Path | None, typer.Option(help="Folder for what is fetched; else one that is removed.")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="End after so long; 0 = at Ctrl-C.")] = 0,
    as_json: Json = False,
) -> None:
    """Simulate devices that obey a real registry.

    Each has its own MQTT session, polls, and reports as an OTA agent does.
    What they say of a bundle was measured once, by evaluating it on the pictures beside the bundle before it and the
    canary; each device then draws its own counts from that. Their reports are unsigned and tagged `simulated`.
    """
    from roost_models.bundle.opening import open_bundle

    delivered = open_bundle(bundle)
    opened_canary = None if canary is None else open_bundle(canary)
    with tempfile.TemporaryDirectory(prefix="roost-fleet-") as temporary:
        reader = _reader(registry, cache or Path(temporary), root)
        reader.refresh()  # a registry that is not there, or not believed, is told before the first device connects
        counts = asyncio.run(
            _run(
                devices,
                delivered,
                opened_canary,
                pictures,
                _broker(broker),
                reader,
                cache or Path(temporary),
                {"task": task, "name": name, "model": model, "prefix": prefix},
                _tags(tag or []),
                (requests_per_s, poll, install),
                seed,
                seconds,
            )
        )
    if as_json:
        output.data({"devices": devices, "counts": counts})
    else:
        told = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
        print(f"{counted(devices, 'device')}: {told}.")


async def _run(
    devices: int,
    delivered: "Bundle",
    canary: "Bundle | None",
    pictures: Path,
    broker: "BrokerSettings",
    reader: "RegistryReader",
    folder: Path,
    names: dict[str, str],
    tags: "dict[str, Sequence[str]]",
    paces: tuple[float, float, float],
    seed: int,
    seconds: float,
) -> dict[str, int]:
    from roost_broker.clock import SECOND, SystemClock
    from roost_edge.fleet_sim.device import Habits
    from roost_edge.fleet_sim.measuring import Measuring, read_pictures
    from roost_edge.fleet_sim.running import Simulation, SimulationSettings

    requests_per_s, poll_s, install_s = paces
    third = int(install_s * SECOND / 3)
    settings = SimulationSettings(
        devices=devices,
        task=names["task"] or delivered.manifest.task,
        name=names["name"] or delivered.manifest.name,
        delivered=delivered,
        model=names["model"],
        prefix=names["prefix"],
        tags=tags,
        poll_s=poll_s,
        habits=Habits(
            requests_per_s=requests_per_s,
            download_ns=third,
            testing_ns=third,
            warming_ns=third,
            canary=canary is not None,
        ),
        seed=seed,
    )
    measuring = Measuring(read_pictures(pictures), canary)
    running = Simulation(settings, broker, reader, _fetch(reader, folder), measuring, SystemClock(), say=output.say)
    stop = told_to_stop(seconds)
    await running.run(stop)
    return dict(running.counts)


def _broker(text: str) -> "BrokerSettings":
    from roost_broker.settings import BrokerSettings

    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise Misuse(f"{text!r} is not HOST:PORT.", "For example --broker 127.0.0.1:1883.")
    return BrokerSettings(host=host, port=int(port))


def _reader(location: str, folder: Path, root: Path) -> "RegistryReader":
    from roost_models.registry.reader import RegistryReader

    try:
        trusted = root.read_bytes()
    except OSError as error:
        raise Misuse(
            f"The root metadata {root} cannot be read: {error.strerror}.",
            "Give the registry's first root: its public/metadata/1.root.json, which `roost registry init` wrote.",
        ) from error
    return RegistryReader(location, folder / "registry", trusted)


def _fetch(reader: "RegistryReader", folder: Path) -> "Fetch":
    from roost_models.registry.store import BundleStore

    store = BundleStore(folder / "bundles")

    def fetch(task: str, wanted: "BundleRef") -> "Bundle":
        return reader.fetch(task, wanted.name, wanted.version, store, digest=wanted.digest)

    return fetch


def _tags(texts: list[str]) -> "dict[str, Sequence[str]]":
    found: dict[str, Sequence[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not values:
            raise Misuse(f"{text!r} is not NAME=A,B.", "For example --tag camera=imx219,noir.")
        found[name] = values.split(",")
    return found

"""`roost fleet`: which devices there are, what runs on them, and of which nothing is heard."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from roost_broker.cancellation import cancel_and_wait
from roost_broker.printable import printable
from roost_edge.cli import fleet_simulate, output
from roost_edge.cli.centre_options import DEFAULT_CENTRE, CentreFolder, age, settings_of
from roost_edge.cli.output import EXIT_CODES, Json

if TYPE_CHECKING:
    from roost_broker.centre.fleet import DeviceView, Fleet
    from roost_models.central.settings import CentreSettings

app = typer.Typer(
    help="The fleet as the centre sees it.",
    no_args_is_help=True,
    epilog=EXIT_CODES,
)
app.command("simulate", epilog=EXIT_CODES)(fleet_simulate.simulate)
Silent = Annotated[
    float, typer.Option("--silent-after", min=0.1, help="Minutes without a word after which a device is silent.")
]
_REDRAW_S = 1.0


@app.command(epilog=EXIT_CODES)
def status(
    centre: CentreFolder = DEFAULT_CENTRE,
    node: Annotated[str, typer.Option(help="Only these devices, separated by commas.")] = "",
    silent_after: Silent = 15,
    check: Annotated[bool, typer.Option("--check", help="Status 1 when any device has a problem.")] = False,
    as_json: Json = False,
) -> None:
    """Show every device, what runs on it, what is wrong.

    `silent` is a device that says it is online and of which nothing was heard for long: its power, its link or its
    gateway is gone. `late` is how old its newest message was when it was sent.
    """
    settings = settings_of(centre)
    fleet = asyncio.run(_now(settings, silent_after))
    views = [view for view in fleet.view(_wall_ms()) if not node or view.node in _names(node)]
    if as_json:
        output.data({"devices": views})
    elif views:
        print(fleet_table(views))
        for view in views:
            for problem in view.problems:
                print(f"  {view.node}: {printable(problem)}")
    else:
        output.say("No device was heard of yet.")
    raise typer.Exit(output.NO if check and any(view.problems for view in views) else output.OK)


@app.command(epilog=EXIT_CODES)
def watch(
    centre: CentreFolder = DEFAULT_CENTRE,
    silent_after: Silent = 15,
    seconds: Annotated[float, typer.Option(min=0, help="Stop after so long; 0 = at Ctrl-C.")] = 0,
    as_json: Json = False,
) -> None:
    """Watch the fleet as it changes.

    A live table on a terminal; into a pipe a line for each change, with --json one object a line.
    """
    settings = settings_of(centre)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_watch(settings, silent_after, seconds, as_json=as_json))


def fleet_table(views: "Iterable[DeviceView]") -> str:
    """One device a line."""
    rows = [["device", "", "heard", "late", "version", "models", "bundles"]]
    for view in views:
        ready = sum(model.state == "ready" for model in view.models)
        models = f"{ready} of {len(view.models)} ready" if view.models else "-"
        late = f"{view.late_ms // 1000}s" if view.late_ms else "-"
        lines = ", ".join(f"{line.model} {line.active or '-'} ({line.phase})" for line in view.lines)
        rows.append(
            [view.node, view.condition, f"{age(view.age_ms)} ago", late, view.version or "-", models, lines or "-"]
        )
    return output.table(rows)


async def _now(settings: "CentreSettings", silent_after: float) -> "Fleet":
    from roost_broker.centre.client import open_centre

    fleet = _empty(settings, silent_after)
    async with await open_centre(settings.access, name="roost-fleet", base=settings.base) as client:
        for envelope in await client.latest("devices"):
            fleet.handle(envelope)
    return fleet


async def _watch(settings: "CentreSettings", silent_after: float, seconds: float, *, as_json: bool) -> None:
    from roost_broker.centre.client import open_centre

    fleet = _empty(settings, silent_after)
    async with await open_centre(settings.access, name="roost-fleet", base=settings.base) as client:

        async def take() -> None:
            async for envelope in client.follow("devices", start="latest"):
                fleet.handle(envelope)

        taking = asyncio.ensure_future(take())
        end = time.monotonic() + seconds if seconds else None
        live = sys.stdout.isatty() and not as_json
        try:
            with _Live() if live else _Lines(as_json=as_json) as shown:
                while (end is None or time.monotonic() < end) and not taking.done():
                    await asyncio.wait({taking}, timeout=_REDRAW_S if end is None else min(_REDRAW_S, seconds))
                    shown.show(fleet.view(_wall_ms()))
            if taking.done():
                taking.result()
        finally:
            await cancel_and_wait(taking)


class _Lines:
    """A line for each device that is not as it was."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._before: dict[str, object] = {}

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to put away."""

    def show(self, views: "Iterable[DeviceView]") -> None:
        """Print what changed since the last time."""
        for view in views:
            gist = (view.condition, view.version, view.models, view.lines, tuple(view.roles.items()), view.malformed)
            if self._before.get(view.node) == gist:
                continue
            self._before[view.node] = gist
            if self._as_json:
                print(msgspec.json.encode(view).decode(), flush=True)
            else:
                self._print(view)

    def _print(self, view: "DeviceView") -> None:
        ready = sum(model.state == "ready" for model in view.models)
        problem = printable("; ".join(view.problems))
        line = f"{view.node} is {view.condition}, {ready} of {len(view.models)} models ready"
        print(f"{line}: {problem}" if problem else line, flush=True)


class _Live:
    """The table, drawn again in its place."""

    def __enter__(self) -> "_Live":
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(), auto_refresh=False)
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, views: "Iterable[DeviceView]") -> None:
        """Draw it."""
        from rich.text import Text

        self._live.update(Text(fleet_table(views)), refresh=True)


def _empty(settings: "CentreSettings", silent_after: float) -> "Fleet":
    from roost_broker.centre.fleet import Fleet

    return Fleet(base=settings.base, silent_after_ms=int(silent_after * 60_000))


def _names(text: str) -> set[str]:
    return {name.strip() for name in text.split(",") if name.strip()}


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000

"""The root of the command line, and what happens to an error."""

import os
import sys
from typing import Annotated

import typer

from roost_edge.cli import (
    alarms,
    broker,
    bundle,
    centre,
    compare,
    completion,
    config,
    dataset,
    decide,
    demo,
    doctor,
    enrol,
    evaluate,
    features,
    feed,
    firstboot,
    fleet,
    label,
    lifecycle,
    mirror,
    model,
    motion,
    ota,
    output,
    page,
    registry,
    replay,
    report,
    rollout,
    run,
    schedule,
    state,
    streams,
    trace,
    train,
    tune,
    units,
    upgrade,
)
from roost_edge.cli.output import EXIT_CODES, Json

app = typer.Typer(
    name="roost",
    help="Roost: many models see every picture, a schedule picks the answer, and an answer is always there in time.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},  # groups and commands below inherit it
    add_completion=False,
    rich_markup_mode=None,  # plain help: rich alone would double the time `roost --help` takes
    pretty_exceptions_enable=False,  # `complain` prints cause and next step instead
)
app.add_typer(broker.app, name="broker")
app.add_typer(bundle.app, name="bundle")
app.add_typer(config.app, name="config")
app.add_typer(schedule.app, name="schedule")
app.add_typer(model.app, name="model")
app.add_typer(motion.app, name="motion")
app.add_typer(enrol.app, name="enrol")
app.add_typer(ota.app, name="ota")
app.add_typer(state.app, name="state")
app.add_typer(feed.app, name="feed")
app.add_typer(label.app, name="label")
app.add_typer(dataset.app, name="dataset")
app.add_typer(centre.app, name="centre")
app.add_typer(fleet.app, name="fleet")
app.add_typer(registry.app, name="registry")
app.add_typer(rollout.app, name="rollout")
app.add_typer(lifecycle.app, name="lifecycle")
app.add_typer(units.app, name="units")
app.add_typer(page.app, name="page")
app.add_typer(alarms.app, name="alarms")
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
app.command("decide", epilog=EXIT_CODES)(decide.decide)
app.command("doctor", epilog=EXIT_CODES)(doctor.doctor)
app.command("replay", epilog=EXIT_CODES)(replay.replay)
app.command("evaluate", epilog=EXIT_CODES)(evaluate.evaluate)
app.command("compare", epilog=EXIT_CODES)(compare.compare)
app.command("report", epilog=EXIT_CODES)(report.report)
app.command("trace", epilog=EXIT_CODES)(trace.trace)
app.command("streams", epilog=EXIT_CODES)(streams.streams)
app.command("features", epilog=EXIT_CODES)(features.features)
app.command("mirror", epilog=EXIT_CODES)(mirror.mirror)
app.command("demo", context_settings=_PASS_ON, add_help_option=False)(demo.demo)
app.command("firstboot", epilog=EXIT_CODES)(firstboot.firstboot)
app.command("up", epilog=EXIT_CODES)(run.up)
app.command("upgrade", epilog=EXIT_CODES)(upgrade.upgrade)
app.command("train", epilog=EXIT_CODES)(train.train)
app.command("tune", epilog=EXIT_CODES)(tune.tune)
app.command("complete", epilog=EXIT_CODES)(completion.completion)
app.command("run", context_settings=_PASS_ON, add_help_option=False)(run.run)


def _version(wanted: bool) -> None:
    if wanted:
        version(as_json=False)
        raise typer.Exit(output.OK)


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take what stands before a command."""


@app.command(epilog=EXIT_CODES)
def version(
    as_json: Json = False,
) -> None:
    """Print the versions of Roost and of Python."""
    from roost_broker.version import VERSION

    python = ".".join(map(str, sys.version_info[:3]))
    if as_json:
        output.data({"roost": VERSION, "python": python})
    else:
        print(f"roost {VERSION} (Python {python})")


def main() -> int:
    """The console script. Returns the exit status."""
    if completion.VARIABLE in os.environ:
        completion.answer_shells()
    try:
        app()
    except BrokenPipeError:  # `roost … | head`: the reader has seen enough
        sys.stderr.close()
        return output.OK
    except Exception as error:  # noqa: BLE001  # the one place where every error becomes a sentence and a status
        return output.complain(error)
    return output.OK

"""What the commands about roll-outs share: the centre's folder, where reports come from, which roll-out is meant."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse
from roost_edge.cli.operator import user

if TYPE_CHECKING:
    from roost_models.rollout.conducting import Conducting, Documents
    from roost_models.rollout.keeping import RolloutBook
    from roost_models.rollout.lifecycle_log import LifecycleLog
    from roost_models.rollout.policy import Policy
    from roost_models.rollout.progress import Progress
    from roost_models.rollout.sources import Source

Broker = Annotated[
    str, typer.Option(metavar="HOST:PORT", help="Read reports from this MQTT broker instead of the central streams.")
]
Author = Annotated[str, typer.Option(help="Who wants it; kept with it. Your user name if not given.")]
Why = Annotated[str, typer.Option(help="For the record.")]
RolloutId = Annotated[str, typer.Argument(metavar="[ROLLOUT]", help="Which; without it, the newest one.")]
PolicyFile = Annotated[Path | None, typer.Option("--policy", help="TOML with other values of a policy.")]


def book_of(centre: Path) -> "RolloutBook":
    """The centre's roll-outs."""
    from roost_broker.centre.layout import CentreLayout
    from roost_models.rollout.keeping import RolloutBook

    return RolloutBook(CentreLayout(centre).rollouts)


def lifecycle_of(centre: Path) -> "LifecycleLog":
    """The centre's life cycle."""
    from roost_broker.centre.layout import CentreLayout
    from roost_models.rollout.lifecycle_log import LifecycleLog

    return LifecycleLog(CentreLayout(centre).lifecycle)


def documents_of(centre: Path) -> "Documents":
    """The centre's registry, as far as roll-outs are concerned. Raises `Misuse` when there is none."""
    from roost_broker.centre.layout import CentreLayout
    from roost_models.rollout.documents import RegistryDocuments

    return RegistryDocuments(CentreLayout(centre).registry)


def load(book: "RolloutBook", rollout_id: str) -> "Progress":
    """The roll-out meant: by its id, or the one that was changed last."""
    if rollout_id:
        return book.load(rollout_id)
    known = book.ids()
    if not known:
        raise Misuse("There is no roll-out yet.", "Begin one: roost rollout start NAME VERSION.")
    return book.load(known[-1])


def load_begun(book: "RolloutBook", rollout_id: str) -> "Progress":
    """As `load`, but a roll-out whose start was interrupted before any device heard of it is refused."""
    progress = load(book, rollout_id)
    if not progress.began:
        ref, known = progress.order.bundle, progress.order.rollout_id
        end = f"End it (roost rollout abort {known}), and start" if progress.state == "planned" else "Start"
        raise Misuse(
            f"{known} never began: its start was interrupted, and no device has heard of it.",
            f"{end} another one: roost rollout start {ref.name} {ref.version}",
        )
    return progress


def conducting_of(centre: Path, progress: "Progress", say: Callable[[str], None]) -> "Conducting":
    """What goes on with a roll-out. Hold its lock."""
    from roost_broker.centre.layout import CentreLayout
    from roost_broker.clock import SystemClock
    from roost_models.rollout.conducting import Conducting
    from roost_models.rollout.device_keys import DeviceKeys

    keys = DeviceKeys(CentreLayout(centre).rollouts / "device-keys.json")
    return Conducting(
        progress,
        book_of(centre),
        documents_of(centre),
        lifecycle_of(centre),
        SystemClock(),
        verify=keys.check,
        say=say,
    )


def source_of(broker: str, centre: Path, *, models: bool = False) -> "Source":
    """Where reports come from; with `models` also what is said of schedules and models. Raises `Misuse`."""
    from roost_models.rollout.sources import BrokerSource, CentreSource

    if broker:
        from roost_broker.settings import BrokerSettings

        host, colon, port = broker.rpartition(":")
        if not colon or not port.isdigit():
            raise Misuse(f"{broker!r} is not HOST:PORT.", "For example --broker 127.0.0.1:1883.")
        return BrokerSource(BrokerSettings(host=host, port=int(port)), models=models)
    from roost_edge.cli.centre_options import settings_of

    settings = settings_of(centre)
    return CentreSource(settings.access, settings.base)


def policy_of(path: Path | None, **changes: float | None) -> "Policy":
    """The policy in a file, with what the command line says otherwise. Raises `Misuse`."""
    import tomllib

    import msgspec

    from roost_models.rollout.policy import Policy

    values: dict[str, object] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise Misuse(f"{path} cannot be read: {error}.", "Give a TOML file; docs/rollout.md shows one.") from error
    values |= {name: value for name, value in changes.items() if value is not None}
    try:
        return msgspec.convert(values, Policy, strict=False)
    except msgspec.ValidationError as error:
        raise Misuse(f"That is no policy: {error}.", "docs/rollout.md has all its values.") from error


def author_of(author: str) -> str:
    """Who wants it."""
    return author or user()

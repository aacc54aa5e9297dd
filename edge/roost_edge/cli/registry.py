"""`roost registry …`: signed bundles and roll-outs as static files (The Update Framework)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.centre_options import DEFAULT_CENTRE, CentreFolder
from roost_edge.cli.operator import user
from roost_edge.cli.output import EXIT_CODES, Json
from roost_edge.cli.registry_options import (
    Author,
    MoreKeys,
    PhraseFile,
    RootKeys,
    check_folders,
    home_of,
    passphrase_of,
    quorum_of,
    registry_of,
)
from roost_edge.plurals import counted

if TYPE_CHECKING:
    from roost_models.registry.rotation import Proposal

app = typer.Typer(
    no_args_is_help=True,
    help="The registry: signed bundles and roll-outs as static files. docs/registry.md walks through it.",
)


@app.callback()
def group() -> None:
    """Signed bundles and roll-outs as static files."""


@app.command(epilog=EXIT_CODES)
def init(
    root_keys: Annotated[
        Path,
        typer.Option("--root-keys", metavar="DIR", help="Where the offline keys are made: a stick, put away later."),
    ],
    task: Annotated[
        list[str] | None, typer.Option(help="A task whose bundles are published; as often as needed.")
    ] = None,
    centre: CentreFolder = DEFAULT_CENTRE,
    root: Annotated[str, typer.Option(metavar="N/M", help="N of M keys of root must sign.")] = "1/1",
    targets: Annotated[str, typer.Option(metavar="N/M", help="N of M keys must sign who signs which task.")] = "1/1",
    rollouts: Annotated[str, typer.Option(metavar="N/M", help="N of M online keys must sign a roll-out.")] = "1/1",
    targets_online: Annotated[
        bool, typer.Option("--targets-online", help="New tasks need no stick: their keys are signed here.")
    ] = False,
    tasks_offline: Annotated[
        bool, typer.Option("--tasks-offline", help="Every bundle is published with the stick.")
    ] = False,
    timestamp_days: Annotated[
        int, typer.Option(min=1, max=3650, help="So long at most can news be held back from a device.")
    ] = 7,
    passphrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Set up an empty registry, and the keys of every role.

    The keys of root (and targets) are made in --root-keys and are needed there only; put them away. Devices are given
    the root metadata that this prints the path of.
    """
    import hashlib

    import msgspec

    from roost_models.registry.setting_up import Plan
    from roost_models.registry.settings import RegistrySettings, Validity

    plan = Plan(
        root_keys=root_keys,
        root=quorum_of(root),
        targets=quorum_of(targets),
        rollouts=quorum_of(rollouts),
        targets_online=targets_online,
        tasks=task or [],
        tasks_offline=tasks_offline,
        settings=RegistrySettings(validity=msgspec.convert({"timestamp": timestamp_days}, Validity)),
    )
    registry = registry_of(centre, [root_keys], passphrase_file, must_exist=False)
    data = registry.init(plan)
    path = registry.public / "metadata" / "1.root.json"
    if as_json:
        output.data({"path": str(registry.root), "root": str(path), "sha256": hashlib.sha256(data).hexdigest()})
        return
    print(f"{registry.root} is a registry; {registry.public} is what a web server serves.")
    print(f"Devices trust it by this file: {path}")
    print(f"Now put {root_keys} away, and a copy of it elsewhere.")


@app.command(epilog=EXIT_CODES)
def publish(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle: a folder or a .roost file.")],
    centre: CentreFolder = DEFAULT_CENTRE,
    task: Annotated[str, typer.Option(help="The task that the bundle must be for.")] = "",
    report: Annotated[
        Path | None, typer.Option(help="The report of its evaluation; else the one of the centre.", exists=True)
    ] = None,
    without_evaluation: Annotated[str, typer.Option(metavar="WHY", help="Publish it unevaluated, and say why.")] = "",
    author: Author = "",
    why: Annotated[str, typer.Option(help="For the record.")] = "",
    root_keys: RootKeys = None,
    keys: MoreKeys = None,
    passphrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Put a bundle into the registry, signed.

    No device takes it before a roll-out says so. The gate's report must accept this very bundle. A version is
    published once: another content needs another version.
    """
    from roost_broker.centre.layout import CentreLayout
    from roost_models.bundle.opening import open_bundle
    from roost_models.registry import publishing
    from roost_models.rollout.lifecycle_log import LifecycleLog

    opened = open_bundle(bundle)
    if task and task != opened.manifest.task:
        raise Misuse(f"The bundle is for task {opened.manifest.task}, not {task}.", "Give the bundle of that task.")
    layout = CentreLayout(centre)
    registry = registry_of(centre, [*([root_keys] if root_keys else []), *(keys or [])], passphrase_file)
    known = layout.reports / f"{opened.digest}.json"
    if report is None and not without_evaluation and known.is_file():
        report = known
    published = publishing.publish(
        registry,
        LifecycleLog(layout.lifecycle),
        opened,
        report=report,
        without_evaluation=without_evaluation,
        author=author or user(),
        why=why,
    )
    if as_json:
        output.data(published)
        return
    title = f"{published.bundle.name} {published.bundle.version} of task {published.task}"
    if published.new:
        print(f"{title} is published: {counted(published.files, 'new file')}, {published.bytes} bytes.")
    else:
        print(f"{title} was published already, exactly so.")
    output.say(f"Bring it to devices: roost rollout start {published.bundle.name} {published.bundle.version}")


@app.command(epilog=EXIT_CODES)
def withdraw(
    name: Annotated[str, typer.Argument(help="The bundle's name.")],
    version: Annotated[str, typer.Argument(help="Its version; it can never be published again.")],
    why: Annotated[str, typer.Option(help="For the record.")],
    centre: CentreFolder = DEFAULT_CENTRE,
    task: Annotated[str, typer.Option(help="Where several tasks have a bundle of that name.")] = "",
    author: Author = "",
    root_keys: RootKeys = None,
    keys: MoreKeys = None,
    passphrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Take a bundle out for good.

    No device can fetch it any more, and its version never comes again. Refused while it is in production, or a
    roll-out brings devices to it. A device that has it installed keeps it until its roll-out says otherwise.
    """
    from roost_broker.centre.layout import CentreLayout
    from roost_models.registry import publishing
    from roost_models.rollout.lifecycle_log import LifecycleLog
    from roost_models.rollout.lifecycle_lookup import find

    registry = registry_of(centre, [*([root_keys] if root_keys else []), *(keys or [])], passphrase_file)
    log = LifecycleLog(CentreLayout(centre).lifecycle)
    found_task, bundle = find(log.entries(), name, version, task)
    done = publishing.withdraw(registry, log, found_task, bundle, author=author or user(), why=why)
    if as_json:
        output.data({"task": found_task, "bundle": bundle, "new": done})
    else:
        print(f"{name} {version} of task {found_task} {'is' if done else 'was already'} withdrawn.")


@app.command(epilog=EXIT_CODES)
def rotate(
    role: Annotated[str, typer.Argument(help="root, targets, snapshot, timestamp, rollouts, or task-NAME.")],
    centre: CentreFolder = DEFAULT_CENTRE,
    key: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only this key goes (the beginning of its id will do).")
    ] = None,
    quorum: Annotated[str, typer.Option(metavar="N/M", help="N of M keys must sign from now on.")] = "",
    new_keys: Annotated[
        Path | None,
        typer.Option("--new-keys", metavar="DIR", help="Where the new keys are made; else where such belong."),
    ] = None,
    unsigned: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Only write the proposal, to be signed on another machine.")
    ] = None,
    root_keys: RootKeys = None,
    keys: MoreKeys = None,
    passphrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Give a role new keys; the old ones count no more.

    A new root is signed by the old keys and the new ones, so --root-keys is needed, or --unsigned and then
    `roost registry sign` where the keys are, and `roost registry accept` here.
    """
    from roost_broker.durable import write_durably
    from roost_models.registry import rotation

    registry = registry_of(centre, [*([root_keys] if root_keys else []), *(keys or [])], passphrase_file)
    folder = new_keys or home_of(registry, role, root_keys)
    wanted = quorum_of(quorum) if quorum else None
    if unsigned is not None:
        with registry.locked():
            proposal = rotation.propose(registry, role, folder=folder, quorum=wanted, replace=key)
        write_durably(unsigned, rotation.render_proposal(proposal))
        output.say(f"{unsigned} is to be signed: roost registry sign {unsigned} --root-keys DIR, then accept it here.")
    else:
        proposal = rotation.rotate(registry, role, folder=folder, quorum=wanted, replace=key)
    _told(proposal, as_json)


@app.command(epilog=EXIT_CODES)
def sign(
    proposal: Annotated[Path, typer.Argument(metavar="FILE", help="The proposal; its signatures are added to it.")],
    root_keys: Annotated[Path, typer.Option("--root-keys", metavar="DIR", help="The folder with the keys.")],
    passphrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Sign a proposal with the keys that are here. Needs no registry and no network.

    Read what it says first: your signature makes it so.
    """
    from roost_broker.durable import write_durably
    from roost_models.registry import rotation
    from roost_models.registry.keys import KeyRing

    check_folders([root_keys])
    found, used = rotation.sign(
        rotation.read_proposal(proposal.read_bytes()), KeyRing([root_keys], passphrase_of(passphrase_file))
    )
    if not used:
        raise Misuse(f"No key in {root_keys} may sign this.", "It names its keys: roost registry status at the centre.")
    write_durably(proposal, rotation.render_proposal(found))
    output.say(f"Signed with {', '.join(keyid[:12] + '…' for keyid in used)}.")
    _told(found, as_json)


@app.command(epilog=EXIT_CODES)
def accept(
    proposal: Annotated[Path, typer.Argument(metavar="FILE", help="The signed proposal.")],
    centre: CentreFolder = DEFAULT_CENTRE,
    keys: MoreKeys = None,
    passphrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Put a signed proposal in force."""
    from roost_models.registry import rotation

    registry = registry_of(centre, keys or [], passphrase_file)
    found = rotation.read_proposal(proposal.read_bytes())
    with registry.locked():
        rotation.accept(registry, found)
    _told(found, as_json)


@app.command(epilog=EXIT_CODES)
def refresh(
    centre: CentreFolder = DEFAULT_CENTRE,
    force: Annotated[bool, typer.Option("--force", help="Also what has long to go.")] = False,
    root_keys: RootKeys = None,
    keys: MoreKeys = None,
    passphrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Sign again what has less than half its time left.

    It is what a timer runs every day. With --root-keys also root and targets. What cannot be signed here is
    left alone; status says when it is due.
    """
    from roost_models.registry.refreshing import refresh as sign_again

    done = sign_again(
        registry_of(centre, [*([root_keys] if root_keys else []), *(keys or [])], passphrase_file), force=force
    )
    if as_json:
        output.data({"signed": done})
    else:
        print(f"Signed again: {', '.join(done)}." if done else "Nothing is due.")


@app.command(epilog=EXIT_CODES)
def status(centre: CentreFolder = DEFAULT_CENTRE, root_keys: RootKeys = None, as_json: Json = False) -> None:
    """Say what is in the registry, who signs it, and until when. Status 1 when somebody must see to it."""
    from roost_edge.cli.registry_view import print_status
    from roost_models.registry.status import status_of

    found = status_of(registry_of(centre, [root_keys] if root_keys else [], None))
    if as_json:
        output.data(found)
    else:
        print_status(found)
    raise typer.Exit(output.NO if found.problems else output.OK)


@app.command(epilog=EXIT_CODES)
def serve(
    centre: CentreFolder = DEFAULT_CENTRE,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any free one.", min=0, max=65535)] = 8088,
) -> None:
    """Serve the registry over HTTP until interrupted: for a desk. Any web server that serves a folder does as well."""
    import asyncio

    from roost_models.registry.serving import serve as serve_files

    registry = registry_of(centre, [], None)  # a sentence instead of an empty server
    asyncio.run(serve_files(registry.public, host, port, lambda address: print(address, flush=True)))


@app.command(epilog=EXIT_CODES)
def export(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="A folder on a stick, or a mirror's.")],
    centre: CentreFolder = DEFAULT_CENTRE,
    task: Annotated[list[str] | None, typer.Option(help="Only bundles of this task; as often as needed.")] = None,
    as_json: Json = False,
) -> None:
    """Copy what is in force to a stick or a mirror.

    Run again, it brings the copy up to date. The copy is accepted until its timestamp ends (status shows it).
    It may be pulled out at any moment.
    """
    from roost_edge.cli.reporter import reporting
    from roost_models.registry.exporting import export as export_to

    with reporting("Copying") as reporter:
        done = export_to(registry_of(centre, [], None), target, tasks=task, progress=reporter.progress)
    if as_json:
        output.data(done)
    else:
        copied, kept = counted(done.copied, "file"), counted(done.kept, "was", "were")
        print(f"{target}: {copied} copied ({done.bytes} bytes), {kept} there.")
        print(f"Devices accept it until {done.expires}.")


def _told(proposal: "Proposal", as_json: bool) -> None:
    if as_json:
        output.data({"what": proposal.what, "signatures": len(proposal.metadata.get("signatures", []))})
    else:
        for line in proposal.what:
            print(line)

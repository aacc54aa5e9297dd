"""`roost feed keys` and `roost feed practise`: what one needs before the first post."""

import getpass
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.output import Json


def keys(
    file: Annotated[Path, typer.Argument(help="Where to; nobody else will be able to read it.")],
    practise: Annotated[bool, typer.Option("--practise", help="The keys of `roost feed practise`.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Write the file with the account's keys.

    Asks for the four keys and does not show them. In a pipe it reads the same four as lines of TOML. They are on the
    service's developer page, below "Keys and tokens"; the application needs the right to read and write.
    """
    from roost_edge.feed import keys as feed_keys
    from roost_edge.feed.practise.world import PRACTISE_KEYS

    if file.exists() and not force:
        raise Misuse(f"{file} is there already.", "Give it another name, or --force to replace it.")
    values: dict[str, Any]
    if practise:
        values = {name: getattr(PRACTISE_KEYS, name) for name in feed_keys.NAMES}
    elif sys.stdin.isatty():
        values = {name: getpass.getpass(f"{name}: ").strip() for name in feed_keys.NAMES}
    else:
        values = _read(sys.stdin.read(10_000))
    try:
        found = feed_keys.of(values)
    except ValueError as error:
        raise Misuse(f"These are no keys: {error}.", f"There are four: {', '.join(feed_keys.NAMES)}.") from None
    feed_keys.save(file, found)
    output.say(f'{file} is written, for its owner alone. In the settings: [feed] keys = "{file}"')
    if as_json:
        output.data({"file": str(file.absolute())})


def practise(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where it listens here; 0: anywhere.")] = 8_090,
    per_day: Annotated[int, typer.Option(min=1, max=10_000, help="Posts that it takes in 24 hours.")] = 100,
    as_json: Json = False,
) -> None:
    """Run a social network of your own, to practise with.

    It has the service's endpoints, signatures, limits and errors, and a page that shows what was posted, with a box to
    answer in. It listens on this machine alone and forgets everything at its end (Ctrl-C).
    """
    import signal
    import threading

    from roost_edge.feed.practise.server import served
    from roost_edge.feed.practise.world import World

    over = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: over.set())
    with served(port, World(per_day=per_day)) as server:
        output.say(f"Look at it: {server.url}/")
        output.say("In the settings of a device on this machine:")
        if as_json:
            output.data({"url": server.url})
        else:
            print(f'[feed]\nbase_url = "{server.url}"\nkeys = "practise-keys.toml"\n', flush=True)
        sys.stdout.flush()
        output.say("Its keys: roost feed keys --practise practise-keys.toml. To end: Ctrl-C.")
        over.wait()


def _read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise Misuse("What came in is no TOML.", 'Write four lines such as: consumer_key = "…"') from None

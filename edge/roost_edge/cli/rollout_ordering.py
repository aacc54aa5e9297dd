"""`roost rollout pause|resume|abort`: done here when nobody watches; else by the one that watches."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.rollout_options import author_of, book_of, conducting_of, load, load_begun

if TYPE_CHECKING:
    from roost_models.rollout.actions import Do
    from roost_models.rollout.keeping import RolloutBook
    from roost_models.rollout.progress import Progress, State

_TAKEN_S = 15.0
_AFTER: "dict[Do, State]" = {"start": "running", "pause": "paused", "resume": "running", "abort": "aborted"}


def order(rollout: str, do: "Do", author: str, why: str, centre: Path, as_json: bool) -> None:
    """Do it here when nobody watches; else let the one that watches do it."""
    from roost_models.rollout.actions import Command
    from roost_models.rollout.keeping import Busy

    book = book_of(centre)
    if do == "abort" and not (never := load(book, rollout)).began:
        progress = end_unbegun(book, never.order.rollout_id, author_of(author), why)
        _tell(progress, as_json)
        return
    progress = load_begun(book, rollout)
    command = Command(do, author_of(author), why)
    try:
        with book.locked(progress.order.rollout_id):
            conducting = conducting_of(centre, book.load(progress.order.rollout_id), output.say)
            conducting.resume()
            conducting.order(command)
            if conducting.undone:
                raise Misuse("It could not be published.", "Mend what the line above says, and try again.")
            progress = conducting.controller.progress
    except Busy:
        path = book.ask(progress.order.rollout_id, command, time.time_ns())
        end = time.monotonic() + _TAKEN_S
        while path.exists() and time.monotonic() < end:
            time.sleep(0.1)
        if path.exists():
            path.unlink(missing_ok=True)
            raise Misuse("The one that watches does not answer.", "See what roost rollout watch says.") from None
        progress = book.load(progress.order.rollout_id)
        if progress.state != _AFTER[do]:
            raise Misuse(
                f"{progress.order.rollout_id} is {progress.state}.", f"It could not {do} from there."
            ) from None
    _tell(progress, as_json)


def end_unbegun(book: "RolloutBook", rollout_id: str, author: str, why: str) -> "Progress":
    """End one whose start was cut short. Nothing is published: no device has heard of it. Raises `Misuse`."""
    from msgspec import structs

    with book.locked(rollout_id):
        progress = book.load(rollout_id)
        if progress.state != "planned":
            raise Misuse(f"{rollout_id} is {progress.state}; it cannot abort.", "See what goes on: roost rollout list.")
        reason = f"never began; aborted by {author}: {why}".rstrip(": ")
        at_ms = time.time_ns() // 1_000_000
        progress = structs.replace(progress, state="aborted", reason=reason, author=author, why=why, at_ms=at_ms)
        book.save(progress)
    return progress


def _tell(progress: "Progress", as_json: bool) -> None:
    from roost_edge.cli.rollout_view import facts

    if as_json:
        output.data(facts(progress))
    else:
        output.say(f"{progress.order.rollout_id} is {progress.state}.")

"""The program that talks to the registry: `python -m roost_edge.ota.registry_child`, a wish on stdin, words on stdout.

A process of its own, for as long as it takes: what signatures and connections need in memory is given back, and a
registry that hangs, drips or grows without end costs this process alone.
"""

import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from roost_broker.clock import MS
from roost_broker.errors import Misuse, RoostError
from roost_edge.ota.registry_words import Brought, Failed, FetchBundle, Look, Moved, Seen, Where, Wish, Word
from roost_models.registry.errors import NoRoom, RegistryRefused, RegistryUnreachable
from roost_models.registry.reader import RegistryReader
from roost_models.registry.store import BundleStore

_MEMORY_BYTES = 256 << 20
_TELL_EVERY_NS = 500 * MS
_NICE = 10


def main() -> int:
    """Exit status 0 with an answer, whatever the answer is."""
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
    os.nice(_NICE)
    words = os.dup(1)
    os.dup2(2, 1)  # what a library prints must not spoil the answer

    def say(word: Word) -> None:
        os.write(words, msgspec.json.encode(word) + b"\n")

    wish: Wish = msgspec.json.decode(sys.stdin.buffer.read(), type=Wish)
    try:
        answer: Word = look(wish) if isinstance(wish, Look) else fetch(wish, say)
    except (RoostError, OSError) as error:
        answer = failed(error)
    except MemoryError:
        answer = Failed(reason="endless", problem="The registry took more memory than it is granted.")
    say(answer)
    return 0


def look(wish: Look) -> Word:
    """The documents of the newest place that is believed."""
    place, reader, errors = _newest(wish.where)
    if reader is None:
        return none_of(errors)
    found, problems = [], []
    for task, bundle in wish.lines:
        try:
            document = reader.rollout(task, bundle)
        except RegistryRefused as error:
            problems.append(f"{task}/{bundle}: {error}")
            continue
        if document is not None:
            found.append((task, bundle, document))
    return Seen(place=place, documents=tuple(found), problems=tuple(problems))


def fetch(wish: FetchBundle, say: Callable[[Word], None]) -> Word:
    """From the first place that has it."""
    told = 0

    def progress(so_far: object) -> None:
        nonlocal told
        done, total = getattr(so_far, "done", 0), getattr(so_far, "total", 0)
        if time.monotonic_ns() - told > _TELL_EVERY_NS or done == total:
            told = time.monotonic_ns()
            say(Moved(done=done, total=total))

    def have(sha256: str) -> Path | None:
        return Path(wish.held[sha256]) if sha256 in wish.held else None

    first: Failed | None = None
    for place in _there(wish.where.places):
        try:
            reader = _reader(wish.where, place)
            reader.refresh()
            reader.fetch(
                wish.task,
                wish.name,
                wish.version,
                BundleStore(Path(wish.store)),
                digest=wish.digest,
                have=have,
                progress=progress,
                bytes_per_s=wish.bytes_per_s or None,
            )
        except (RoostError, OSError) as error:
            first = first or failed(error)
        else:
            return Brought()
    return first or Failed(reason="unreachable", problem="There is no registry to ask.")


def failed(error: Exception) -> Failed:
    """An error as a word."""
    if isinstance(error, RegistryRefused):
        return Failed(reason=error.reason, problem=str(error))
    if isinstance(error, RegistryUnreachable):
        return Failed(reason="unreachable", problem=str(error))
    return Failed(reason="no-room" if isinstance(error, NoRoom) else "broken", problem=str(error))


def none_of(errors: list[Exception]) -> Failed:
    """No place is believed: all their sentences, and the reason of one that answers, if there is one."""
    words = [failed(error) for error in errors]
    first = next((word for word in words if word.reason != "unreachable"), words[0])
    return Failed(reason=first.reason, problem=" ".join(word.problem for word in words))


def _newest(where: Where) -> tuple[str, RegistryReader | None, list[Exception]]:
    """Each place is held against all that was seen before, so the last one that is believed is the newest."""
    chosen, reader, errors = "", None, list[Exception]()
    for place in _there(where.places):
        one = _reader(where, place)
        try:
            one.refresh()
        except (RoostError, OSError) as error:
            errors.append(error)
            continue
        if reader is None or one.versions["timestamp"] > reader.versions["timestamp"]:
            chosen, reader = place, one
    return chosen, reader, errors or [RegistryUnreachable("There is no registry to ask.")]


def _there(places: tuple[str, ...]) -> list[str]:
    """The registry, and those sticks that are plugged in: the folder itself, or `public` in it."""
    sticks = []
    for stick in places[1:]:
        folder = next((one for one in (Path(stick), Path(stick, "public")) if (one / "metadata").is_dir()), None)
        sticks += [str(folder)] if folder is not None else []
    return [*places[:1], *sticks]


def _reader(where: Where, place: str) -> RegistryReader:
    ca_file = Path(where.ca_file) if where.ca_file else None
    try:
        root = Path(where.root).read_bytes()
    except OSError as error:
        raise Misuse(
            f"The registry's root metadata {where.root} cannot be read: {error.strerror}.",
            "Bring it from the registry: its public/metadata/1.root.json ([ota] root names where it lies here).",
        ) from error
    return RegistryReader(place, Path(where.cache), root, limits=where.limits, ca_file=ca_file)


if __name__ == "__main__":
    sys.exit(main())

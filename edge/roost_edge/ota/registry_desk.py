"""The agent's side of its registry process: one at a time, started for each wish, ended when it says nothing."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from roost_broker.errors import PeerError
from roost_broker.printable import printable_lines
from roost_edge.ota.lines import Line
from roost_edge.ota.registry_words import Brought, Failed, FetchBundle, Look, Moved, Seen, Where, Wish, Word
from roost_edge.ota.settings import OtaSettings
from roost_edge.ota.standing import Content

_decoder: msgspec.json.Decoder[Word] = msgspec.json.Decoder(Word)
_log = logging.getLogger(__name__)
_LONGEST_LINE = 4_000_000
_KEPT_BYTES, _KEPT_LINES = 8_000, 20
"""Of what the process says on stderr."""


async def _last_words(process: asyncio.subprocess.Process) -> str:
    """What it says on stderr, until it ends: the last lines, however much it says."""
    assert process.stderr is not None  # noqa: S101  # PIPE was asked for
    kept = b""
    while data := await process.stderr.read(_KEPT_BYTES):
        kept = (kept + data)[-_KEPT_BYTES:]
    return "\n".join(kept.decode(errors="replace").splitlines()[-_KEPT_LINES:])


class RegistryFailed(PeerError):
    """The registry gave nothing; `reason` says how, in one word."""

    def __init__(self, reason: str, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason


class RegistryDesk:
    """See the module. `store` is where bundles go, `cache` where the registry's metadata are kept."""

    def __init__(self, settings: OtaSettings, *, store: Path, cache: Path) -> None:
        self._settings = settings
        self._store = store
        self._cache = cache
        self._one = asyncio.Lock()  # one reader at a time uses the cache
        # Longer than the reader itself waits for anything: this is for a process that hangs.
        self._patience_s = 2 * settings.limits.patience_s + settings.limits.stall_s + 60

    async def look(self, lines: tuple[Line, ...]) -> Seen:
        """What is wanted of the lines. Raises `RegistryFailed`."""
        wish = Look(where=self._where(), lines=tuple((line.task, line.bundle) for line in lines))
        word = await self._ask(wish, lambda _done, _total: None)
        if isinstance(word, Seen):
            return word
        raise RegistryFailed("broken", "The registry process said something else than was asked.")

    async def fetch(
        self, line: Line, content: Content, held: dict[str, str], progress: Callable[[int, int], None]
    ) -> None:
        """Bring a bundle into the store. Raises `RegistryFailed`; cancelling ends it and keeps what came so far."""
        wish = FetchBundle(
            where=self._where(),
            task=line.task,
            name=content.name,
            version=content.version,
            digest=content.digest,
            store=str(self._store),
            held=held,
            bytes_per_s=self._settings.bytes_per_s,
        )
        if not isinstance(await self._ask(wish, progress), Brought):
            raise RegistryFailed("broken", "The registry process said something else than was asked.")

    async def _ask(self, wish: Wish, progress: Callable[[int, int], None]) -> Word:
        async with self._one:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "roost_edge.ota.registry_child"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=_LONGEST_LINE,
            )
            hearing = asyncio.create_task(_last_words(process), name="registry-stderr")
            failed = False
            try:
                return await self._listen(process, wish, progress)
            except RegistryFailed:
                failed = True
                raise
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
                said = await hearing
                if failed and said:
                    _log.warning("the registry process said last: %s", printable_lines(said))

    async def _listen(
        self, process: asyncio.subprocess.Process, wish: Wish, progress: Callable[[int, int], None]
    ) -> Word:
        assert process.stdin is not None  # noqa: S101  # PIPE was asked for
        assert process.stdout is not None  # noqa: S101  # PIPE was asked for
        try:
            process.stdin.write(msgspec.json.encode(wish))
            process.stdin.write_eof()
            while True:
                async with asyncio.timeout(self._patience_s):
                    line = await process.stdout.readline()
                word = _decoder.decode(line)
                if isinstance(word, Failed):
                    raise RegistryFailed(word.reason, f"{word.problem} ({word.reason})")
                if not isinstance(word, Moved):
                    return word
                progress(word.done, word.total)
        except TimeoutError:
            raise RegistryFailed("slow", f"The registry said nothing for {self._patience_s:g} s.") from None
        except (msgspec.DecodeError, ValueError, OSError) as error:
            raise RegistryFailed("broken", "The registry process ended without an answer.") from error

    def _where(self) -> Where:
        settings = self._settings
        return Where(
            places=(settings.registry, *settings.sticks),
            root=settings.root,
            cache=str(self._cache),
            ca_file=settings.ca_file,
            limits=settings.limits,
        )

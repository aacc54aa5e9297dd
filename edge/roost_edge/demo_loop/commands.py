"""Runs the very commands that a person would type, shows them, and keeps servers in the background.

Everything runs in the demo's folder, so that the commands are as short on the screen as they are to type.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from roost_broker.errors import PeerError

T = TypeVar("T")
Say = Callable[[str], None]

_ROOST = (sys.executable, "-c", "from roost_edge.cli import main; raise SystemExit(main())")
_SHOWN_LINES = 14
_LOOK_S = 0.25
_PATIENCE_S = 600.0
"""A bound for a command that hangs, far above what any of them takes."""


class Server:
    """A command that goes on in the background. What it says goes into its log."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        folder: Path,
        log: Path,
        environment: dict[str, str],
        program: Sequence[str] = _ROOST,
    ) -> None:
        self.words = words
        self.log = log
        tether = (sys.executable, "-m", "roost_edge.demo_loop.tethered", str(os.getpid()))
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [*tether, *program, *words],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the demo, which stops its servers in order
            )

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def last_words(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
        return "\n".join(f"    {line}" for line in lines) or "    (nothing)"

    def stop(self, patience_s: float = 20.0) -> None:
        """End it in order, or else by force."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=patience_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()


class Commands:
    """Runs commands in `folder`. `say` gets what a person should see of them. `program` is what `roost` stands for."""

    def __init__(
        self,
        folder: Path,
        say: Say,
        environment: dict[str, str] | None = None,
        program: Sequence[str] = _ROOST,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._patience_s = patience_s
        self._program = program
        self._folder = folder
        self._say = say
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "110", **(environment or {})}
        self._servers: list[Server] = []
        self.count = 0
        (folder / "logs").mkdir(parents=True, exist_ok=True)

    def run(self, *words: str | Path, expect: Sequence[int] = (0,), show: bool = True) -> str:
        """One command to its end; its standard output. Raises `PeerError` with its own words when it fails."""
        texts = [str(word) for word in words]
        if show:
            self._say(f"$ roost {shlex.join(texts)}")
        self.count += 1
        try:
            done = subprocess.run(
                [*self._program, *texts],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=self._patience_s,
            )
        except subprocess.TimeoutExpired as hung:
            said = (hung.stdout or b"")[-2000:].decode(errors="replace")
            raise PeerError(f"`roost {shlex.join(texts)}` has not ended after {hung.timeout:g} s:\n{said}") from None
        if done.returncode not in expect:
            said = "\n".join((done.stdout + done.stderr).splitlines()[:40])
            raise PeerError(f"`roost {shlex.join(texts)}` ended with {done.returncode}:\n{said}")
        if show:
            lines = [line for line in (done.stdout or done.stderr).splitlines() if line.strip()]
            for line in lines[:_SHOWN_LINES]:
                self._say(f"  {line}")
            if len(lines) > _SHOWN_LINES:
                self._say(f"  … {len(lines) - _SHOWN_LINES} more lines")
        return done.stdout

    def data(self, *words: str | Path, expect: Sequence[int] = (0,)) -> Any:
        """What a command says with `--json`; the command itself is not shown."""
        return msgspec.json.decode(self.run(*words, "--json", expect=expect, show=False))

    def serve(self, name: str, *words: str | Path) -> Server:
        """Start a command that goes on until it is stopped."""
        texts = [str(word) for word in words]
        self._say(f"$ roost {shlex.join(texts)} &")
        server = Server(
            texts,
            folder=self._folder,
            log=self._folder / "logs" / f"{name}.log",
            environment=self._environment,
            program=self._program,
        )
        self._servers.append(server)
        return server

    def until(self, found: Callable[[], T], *, what: str, timeout_s: float = 60.0, server: Server | None = None) -> T:
        """Look again and again until `found` gives something. Raises `PeerError` saying `what` was waited for."""
        end = time.monotonic() + timeout_s
        while not (value := found()):
            if server is not None and not server.running:
                raise PeerError(f"`roost {shlex.join(server.words)}` ended. It said last:\n{server.last_words()}")
            if time.monotonic() > end:
                said = f" It said last:\n{server.last_words()}" if server is not None else ""
                raise PeerError(f"Waited {timeout_s:g} s in vain for {what}.{said}")
            time.sleep(_LOOK_S)
        return value

    def stop(self) -> None:
        """Stop what was started last first."""
        while self._servers:
            self._servers.pop().stop()

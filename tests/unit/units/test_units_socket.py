"""The supervisor's socket where systemd made it: it is served, and outlives whoever serves."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roost_edge.processes.control import Control, ask

Run = Callable[..., Any]


def test_a_socket_that_was_given_is_served_and_stays_for_the_next_one(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "supervisor.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    async def answer(request: dict[str, Any]) -> dict[str, Any]:
        return {"heard": request["do"]}

    async def main() -> None:
        for _ in range(2):  # systemd keeps the socket; each process has a copy
            control = Control(path, answer)
            assert await control.open(listener.dup())
            assert await ask(path, {"do": "roles"}, timeout_s=60) == {"ok": True, "heard": "roles"}
            await control.close()
            await asyncio.sleep(0)
            assert path.is_socket()

    run(main())
    listener.close()

"""The control: one process, one thread for each model, aiohttp in front. `PORT`; says `ready` on stdout.

What is left when nothing is isolated from anything: the least that any contestant can cost. A model cannot be stopped
here without stopping all, so the stalled champion is an event its thread waits for (SIGUSR1 sets it, SIGUSR2 clears).
"""

import asyncio
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import web

from peer_apps import rule

_LINE = 8
"""Calls that may wait for a model; more are refused, as the peers' servers refuse them."""


class Served:
    """One model in its thread."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._model = rule.load(name)
        self._waiting = 0
        self.go_on = threading.Event()
        self.go_on.set()

    async def classify(self, jpeg: bytes) -> dict[str, Any]:
        """Raises when too many wait."""
        if self._waiting >= _LINE:
            raise RuntimeError("too many wait")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._compute, jpeg)
        finally:
            self._waiting -= 1

    def _compute(self, jpeg: bytes) -> dict[str, Any]:
        self.go_on.wait()
        return self._model(jpeg)


async def main(port: int) -> None:
    """Until SIGTERM."""
    champion, fast, shadow = (Served(name) for name in rule.BUNDLES)

    async def handle(request: web.Request) -> web.Response:
        jpeg = await request.read()
        body = await rule.answer(champion.classify(jpeg), fast.classify(jpeg), shadow.classify(jpeg))
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_post("/classify", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, champion.go_on.clear)
    loop.add_signal_handler(signal.SIGUSR2, champion.go_on.set)
    print("ready", flush=True)
    await stop.wait()
    champion.go_on.set()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

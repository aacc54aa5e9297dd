"""A small web server for a registry: for a desk and for tests. Any web server that serves a folder does as well.

Only `public` is served, only plain files, only for reading, with ranges, so that devices can resume. It needs neither
TLS nor authentication to be safe to believe: everything is signed. It listens on this machine only, unless told to do
otherwise.
"""

import os
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from roost_broker.errors import PeerError
from roost_broker.stopping import told_to_stop


def application(public: Path) -> web.Application:
    """The server as an application of aiohttp."""
    root = public.resolve()

    async def answer(request: web.Request) -> web.StreamResponse:
        asked = request.match_info["path"]
        try:
            path = (root / asked).resolve()
            hidden = any(part.startswith(".") for part in asked.split("/"))
            found = not hidden and path.is_relative_to(root) and path.is_file()
        except (OSError, ValueError):  # what cannot be the name of a file: too long, or with a NUL
            found = False
        if not found:
            raise web.HTTPNotFound
        # Names hold a version or a digest, so what they name never changes; but for these two.
        changes = path.name in ("timestamp.json", "root.json")
        lasting = "no-cache" if changes else "public, max-age=31536000, immutable"
        return web.FileResponse(path, headers={"Cache-Control": lasting, "X-Content-Type-Options": "nosniff"})

    app = web.Application()
    app.router.add_get("/{path:.+}", answer)
    return app


def _why(error: OSError) -> str:
    """In few words; asyncio's own sentence says the address twice. Names that cannot be found have negative numbers."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror)


async def serve(public: Path, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until the process is told to end; `ready(address)` is called when it answers. Raises `PeerError`: taken."""
    stop = told_to_stop()
    runner = web.AppRunner(application(public), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise PeerError(
                f"Nothing can listen on {host}:{port}: {_why(error)}.",
                "Choose another port with --port; 0 takes any free one.",
            ) from error
        found = runner.addresses[0]
        ready(f"http://{f'[{found[0]}]' if ':' in found[0] else found[0]}:{found[1]}")
        await stop.wait()
    finally:
        await runner.cleanup()

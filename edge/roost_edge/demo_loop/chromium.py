"""A real browser without a window, told what to do by its remote debugging protocol (Chrome DevTools Protocol)."""

import asyncio
import base64
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from roost_broker.errors import Misuse, PeerError

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

_CODES = {"Enter": 13, "ArrowLeft": 37, "ArrowRight": 39, "ArrowDown": 40, "Escape": 27}


class Page:
    """One tab. `broken` has what the page's console was told of errors."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.broken: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)

    async def do(self, method: str, **params: Any) -> Any:
        """One command of the protocol, and its result. Raises `PeerError`."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            said = await self._socket.receive_json()
            if said.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.broken.append(json.dumps(said["params"]))
            if said.get("id") == number:
                if "error" in said:
                    raise PeerError(f"The browser refused {method}: {said['error']}.")
                return said["result"]

    async def value(self, script: str) -> Any:
        """What a script gives; a promise is awaited. Raises `PeerError` when the script fails."""
        said = await self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in said:
            raise PeerError(f"A script failed in the page: {said['exceptionDetails']}.")
        return said["result"].get("value")

    async def until(self, script: str) -> Any:
        """Look again and again until a script gives something; that."""
        while not (found := await self.value(script)):
            pass
        return found

    async def press(self, *keys: str) -> None:
        """Keys one after the other, as the keyboard sends them: `a`, `1`, `ArrowRight`, `Enter` …"""
        for key in keys:
            text = key if len(key) == 1 else "\r" if key == "Enter" else ""
            code = _CODES.get(key, 0)
            await self.do("Input.dispatchKeyEvent", type="keyDown", key=key, text=text, windowsVirtualKeyCode=code)
            await self.do("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    async def type(self, text: str) -> None:
        """A word, letter by letter."""
        await self.press(*text)

    async def choose(self, selector: str, file: Path) -> None:
        """Put a file into a form, as a person would."""
        root = (await self.do("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.do("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        await self.do("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    async def picture(self, scheme: str) -> bytes:
        """The page as PNG, in `light` or `dark`."""
        await self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        said = await self.do("Page.captureScreenshot", captureBeyondViewport=False)
        return base64.b64decode(said["data"])


@asynccontextmanager
async def page(folder: Path, url: str, *, width: int = 1000, height: int = 900) -> AsyncIterator[Page]:
    """A browser with one tab on `url`; ended at the end of the block. Raises `Misuse` where there is none."""
    if BROWSER is None:
        raise Misuse("There is no Chromium here.", "Install it (apt-get install chromium), or do without the browser.")
    process = await asyncio.create_subprocess_exec(
        BROWSER,
        *("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--remote-debugging-port=0", f"--window-size={width},{height}", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None  # noqa: S101 - asked for just above
    try:
        line = b""
        while not line.startswith(b"DevTools listening on "):
            line = await process.stderr.readline()
            if not line:
                raise PeerError("The browser ended at once.", "Start `chromium --headless` by hand to see why.")
        port = line.split(b"/")[2].rpartition(b":")[2].decode()
        draining = asyncio.ensure_future(process.stderr.read())  # else it would wait for room to talk
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/json") as response:
                (tab,) = [one for one in await response.json() if one["type"] == "page"]
            async with http.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                opened = Page(socket)
                for domain in ("Page", "Runtime", "Log", "DOM"):
                    await opened.do(f"{domain}.enable")
                await opened.do("Page.navigate", url=url)
                yield opened
        draining.cancel()
    finally:
        process.kill()
        await process.wait()

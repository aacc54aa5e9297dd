"""A TCP proxy in user space: the link between a device and the centre, which a test may cut, hold and mend."""

import asyncio
from contextlib import suppress


class TcpProxy:
    """Listens on a free loopback port and passes bytes to `target` (a port of this machine) and back."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.bytes_up = 0
        self.bytes_down = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._answering = asyncio.Event()
        self._answering.set()
        self.refusing = False

    async def start(self) -> "TcpProxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    def cut(self) -> None:
        """End every connection at once, bytes under way are lost; refuse new ones until `mend`."""
        self.refusing = True
        for writer in list(self._writers):
            writer.transport.abort()

    def hold(self) -> None:
        """Pass nothing on, without anybody being told: a link that went silent."""
        self._passing.clear()

    def hold_answers(self) -> None:
        """Pass on what goes up and nothing of what comes down: acknowledgements stay under way."""
        self._answering.clear()

    def mend(self) -> None:
        self.refusing = False
        self._passing.set()
        self._answering.set()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            if self.refusing:
                return
            far_reader, far = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers.add(far)
            await asyncio.gather(self._pass(reader, far, up=True), self._pass(far_reader, writer, up=False))
        except OSError:
            pass
        finally:
            for one in (writer, far):
                if one is not None:
                    self._writers.discard(one)
                    one.transport.abort()
                    with suppress(OSError):
                        await one.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        while data := await reader.read(65_536):
            await self._passing.wait()
            if not up:
                await self._answering.wait()
            if up:
                self.bytes_up += len(data)
            else:
                self.bytes_down += len(data)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError  # one end is gone: so is the other

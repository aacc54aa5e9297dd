"""Many questions on one connection: a line each way, answers in the order in which they come.

Back-pressure: while `stream_in_flight` questions of a stream are open no more of it is read, and while as many
callers wait as may, its questions wait for one of them to be served. A line that is no good gets its answer like any
other and ends nothing; one that is too long ends the stream, after what is open was answered.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from functools import partial

from aiohttp import web

from roost_rendezvous.proxy import questions
from roost_rendezvous.proxy.bodies import Memory, check_encoding, crowded, lines
from roost_rendezvous.proxy.desk import Desk
from roost_rendezvous.proxy.questions import Limits
from roost_rendezvous.proxy.refused import Refused
from roost_rendezvous.proxy.replies import Reply
from roost_rendezvous.proxy.settings import ProxySettings

NDJSON = "application/x-ndjson"


class Stream:
    """One stream, from its first line to its end."""

    def __init__(
        self,
        desk: Desk,
        task: str,
        *,
        settings: ProxySettings,
        limits: Limits,
        memory: Memory,
        parent: str | None,
        refusing: Callable[[Refused], Reply],
    ) -> None:
        self._desk = desk
        self._task = task
        self._settings = settings
        self._limits = limits
        self._memory = memory
        self._parent = parent
        self._refusing = refusing
        self._response = web.StreamResponse(headers={"Content-Type": NDJSON, "Cache-Control": "no-store"})
        self._writing = asyncio.Lock()

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Answer every line. Cancelled (the client is gone) it takes its open questions back."""
        check_encoding(request)
        response = self._response
        response.force_close()  # told at the start, because an end before the body's cannot be told later
        await response.prepare(request)
        number = 0
        try:
            async with asyncio.TaskGroup() as group:
                open_: set[asyncio.Task[None]] = set()
                try:
                    room = partial(self._until_room, open_)
                    async with aclosing(lines(request.content, self._settings, self._memory, room)) as asked:
                        async for line in asked:
                            number += 1
                            while len(open_) >= self._settings.stream_in_flight:
                                await asyncio.wait(open_, return_when=asyncio.FIRST_COMPLETED)
                            await room(len(line))
                            task = group.create_task(self._answer(number, line))
                            open_.add(task)
                            task.add_done_callback(open_.discard)
                            # Not in the task itself: one that is cancelled at once never begins.
                            task.add_done_callback(partial(self._forget, len(line)))
                except Refused as refused:
                    await self._write(self._refusing(refused).line(number + 1, None))
            await response.write_eof()
        except* (ConnectionError, TimeoutError):  # the client does not take its answers
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _until_room(self, open_: "set[asyncio.Task[None]]", size: int) -> None:
        while not self._memory.take(size):
            if not open_:  # others have it, and may wait for us
                raise crowded()
            await asyncio.wait(open_, return_when=asyncio.FIRST_COMPLETED)

    async def _answer(self, number: int, line: bytes) -> None:
        ref: str | None = None
        try:
            question = questions.read_line(line, self._limits)
            ref = question.ref
            reply = await self._desk.ask(self._task, question, parent=self._parent, patient=True)
        except Refused as refused:
            ref = ref or questions.ref_of(line)
            reply = self._refusing(refused)
        await self._write(reply.line(number, ref))

    def _forget(self, size: int, _: "asyncio.Task[None]") -> None:
        self._memory.give_back(size)

    async def _write(self, line: bytes) -> None:
        async with self._writing, asyncio.timeout(self._settings.body_timeout_ms / 1000):
            await self._response.write(line)

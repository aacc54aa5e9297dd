"""Pages that are open are told when something has changed (server-sent events); what, they fetch themselves.

Bounded in number, in rate and, by a word every fifteen seconds, in how long a lost one is kept.
"""

import asyncio
from functools import partial

from aiohttp import web

from roost_edge.page.house import House
from roost_edge.page.listening import Listening
from roost_edge.page.visits import FORM, PASSWORD
from roost_rendezvous.proxy.refused import Refused

_WORD_S = 15.0
_TAKE_S = 10.0


class Live:
    """See the module."""

    def __init__(self, house: House, listening: Listening) -> None:
        self._house = house
        self._listening = listening
        self._open: set[asyncio.Task[object]] = set()

    async def tell(self, request: web.Request) -> web.StreamResponse:
        """Until the page is left, the session ends, or this process does."""
        if len(self._open) >= self._house.own.max_live:
            raise Refused(503, "Enough pages are told of changes already.", "This one looks for itself.")
        current = asyncio.current_task()
        assert current is not None  # noqa: S101 — a handler is a task
        self._open.add(current)
        try:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
            await response.prepare(request)
            await self._talk(request, response)
        except (ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._open.discard(current)
        return response

    async def stop(self) -> None:
        """End them all."""
        for task in tuple(self._open):
            task.cancel()

    async def _talk(self, request: web.Request, response: web.StreamResponse) -> None:
        said = self._house.view.changes
        say = partial(self._say, response)
        # At once: something may have changed since the page was written.
        await say(b"retry: 5000\nevent: changed\ndata: %d\n\n" % said)
        while self._still(request):
            if self._house.view.changes != said:
                await asyncio.sleep(self._house.own.live_every_ms / 1000)
                said = self._house.view.changes
                await say(b"event: changed\ndata: %d\n\n" % said)
                continue
            try:
                async with asyncio.timeout(_WORD_S):
                    await self._listening.changed()
            except TimeoutError:
                await say(b": there\n\n")

    @staticmethod
    async def _say(response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(_TAKE_S):
            await response.write(data)

    def _still(self, request: web.Request) -> bool:
        """Whether whoever asked may still look: another password ends this, too."""
        known = self._house.password()
        return (known is not None) == request[PASSWORD] and (known is None or bool(request[FORM]))

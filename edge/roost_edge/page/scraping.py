"""`/metrics`: OpenMetrics for a scraper, with native histograms where it asks for the protobuf form.

Who may read it: everybody on this machine while there is no password; with one, who has logged in, and a program with
the token of `roost page token` (`Authorization: Bearer …`, see `visits`). Beyond loopback there is TLS, or no page.
"""

from aiohttp import web

from roost_broker.version import VERSION
from roost_edge.page.house import House
from roost_rendezvous.analytics.faces import openmetrics, protobuf


class Scraping:
    """See the module."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[web.AbstractRouteDef]:
        """Addresses, and who answers."""
        return [web.get("/metrics", self.metrics)]

    async def metrics(self, request: web.Request) -> web.Response:
        """All families, in the form that is asked for; a browser gets text."""
        families = self._house.measured.families(self._house.view, VERSION)
        accept = ",".join(request.headers.getall("Accept", []))
        if protobuf.asked(accept):
            return _answer(protobuf.render(families), protobuf.TYPE)
        old = "application/openmetrics-text" not in accept.lower()
        kind = openmetrics.OLD_TYPE if old else openmetrics.TYPE
        return _answer(openmetrics.render(families, old=old).encode(), kind)


def _answer(body: bytes, kind: str) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": kind})

"""Alarms and drift: what the monitor finds strange, what it watches, and the word that an alarm is known.

The open alarms are retained topics, so they are there at once; everything that is watched is asked for, and kept for
some seconds, because a page that follows what happens asks often.
"""

import re

from aiohttp import web

from roost_broker.clock import SECOND
from roost_broker.errors import PeerError
from roost_edge import feature_reports
from roost_edge.alarm_desk import Answer
from roost_edge.feature_reports import FeatureReports
from roost_edge.page.forms import form_of
from roost_edge.page.house import House
from roost_edge.page.listening import Listening
from roost_edge.page.looking import with_traces
from roost_edge.page.views import alarms, drift, now
from roost_edge.page.views.frame import still
from roost_edge.page.views.markup import breakable, cut, el
from roost_edge.page.visits import FORM, PASSWORD, answer, check_form
from roost_rendezvous.proxy.bodies import Memory
from roost_rendezvous.proxy.refused import Refused
from roost_rendezvous.proxy.settings import ProxySettings
from roost_rendezvous.traces.store import RanOnTotal, TraceReader

_FRESH_NS = 10 * SECOND
_ID = re.compile(r"[0-9a-f]{1,32}\Z")


class Drifting:
    """See the module."""

    def __init__(self, house: House, listening: Listening, limits: ProxySettings) -> None:
        self._house = house
        self._listening = listening
        self._limits = limits
        self._memory = Memory(limits.body_memory_bytes)
        self._answer: Answer | None = None
        self._problem = ""
        self._asked_at = -_FRESH_NS

    def routes(self) -> list[web.AbstractRouteDef]:
        """Addresses, and who answers."""
        return [web.get("/alarms", self.alarms), web.post("/alarms", self.acknowledge)]

    async def alarms(self, request: web.Request) -> web.Response:
        """Alarms, drift, events, waste, dead letters."""
        house = self._house
        waste = await house.worker.call(self._waste)
        at, zone = house.now_ms, house.zone
        inputs = await house.worker.call(feature_reports.lines, FeatureReports(house.settings.layout.features), at)
        said, problem = await self._stands()
        stands = "still" in request.query
        frame = house.frame("", request[FORM], password=request[PASSWORD])
        return answer(
            request,
            house,
            "Alarms",
            now.wellness(house.concerns(), house.view.alarms),
            drift.alarms(frame, house.view.alarms, said, at, zone),
            el("h2", "Events"),
            alarms.events(list(house.view.events), at, zone),
            el("h2", "Everything that is watched"),
            still() if not stands else None,
            drift.watched(said, problem, zone),
            el("h2", "Which inputs the models use"),
            el("ul", (el("li", breakable(cut(line, 400))) for line in inputs)),
            el("h2", "Work after the answer"),
            alarms.waste(waste),
            el("h2", "Messages that could not be read"),
            alarms.letters(list(house.view.letters), at, zone),
            place="/alarms",
            live=not stands,
        )

    async def acknowledge(self, request: web.Request) -> web.Response:
        """Somebody knows of an alarm."""
        fields = await form_of(request, self._limits, self._memory)
        check_form(request, fields)
        alarm = fields.get("alarm", "")
        if not _ID.match(alarm):
            raise Refused(400, "That names no alarm.", "Use the button beside it: /alarms")
        await self._listening.acknowledge(alarm)
        self._asked_at = -_FRESH_NS
        raise web.HTTPSeeOther("/alarms")

    async def _stands(self) -> tuple[Answer | None, str]:
        """What the monitor said within the last seconds, or says now; or why it does not."""
        at = self._house.clock.monotonic_ns()
        if at - self._asked_at >= _FRESH_NS:
            self._asked_at = at  # before it is asked: one page at a time does
            try:
                self._answer, self._problem = await self._listening.stands(), ""
            except PeerError as error:
                self._answer, self._problem = None, f"{error.problem} {error.remedy}"
        return self._answer, self._problem

    def _waste(self) -> list[RanOnTotal]:
        return with_traces(self._house, TraceReader.ran_on, [])

"""What is shown: the handlers that only look. Files are read in the worker, one look after the other."""

from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import web

from roost_broker.errors import Misuse, PeerError
from roost_edge.page.archive import Found, Seen, Wanted
from roost_edge.page.forms import is_hex, searched, wanted
from roost_edge.page.house import House
from roost_edge.page.views import doctor, gallery, models, now, requests
from roost_edge.page.views.markup import Html, el, joined, moment
from roost_edge.page.visits import FORM, PASSWORD, answer
from roost_rendezvous import schedule as schedules
from roost_rendezvous.proxy.refused import Refused
from roost_rendezvous.schedule import Schedule
from roost_rendezvous.traces.knit import Knit, knit
from roost_rendezvous.traces.store import TraceReader

T = TypeVar("T")
_RACES = 40
_NEWEST = 6


class Looking:
    """See the module. `examining` says whether the doctor is at work."""

    def __init__(self, house: House, examining: Callable[[], bool]) -> None:
        self._house = house
        self._examining = examining

    def routes(self) -> list[web.AbstractRouteDef]:
        """Addresses, and who answers."""
        return [
            web.get("/", self.now),
            web.get("/requests", self.requests),
            web.get("/requests/{request}", self.request),
            web.get("/models", self.models),
            web.get("/gallery", self.gallery),
            web.get("/gallery/{task}/{request}", self.one),
            web.get("/doctor", self.doctor),
        ]

    # -- pages -------------------------------------------------------------------------------------------------------

    async def now(self, request: web.Request) -> web.Response:
        """What is to be seen, and whether all is well."""
        house, at, zone = self._house, self._house.now_ms, self._house.zone
        newest = await house.worker.call(self._newest)
        frame = house.frame("", request[FORM], password=request[PASSWORD])
        shown, captions = dict[str, str](), dict[str, Html | None]()
        for camera in house.view.cameras:
            shown[camera], captions[camera] = self._camera(camera, newest)
        tasks = [
            joined(el("h2", f"Last pictures of {task}"), now.newest(task, found, at, zone))
            for task, (found, _) in newest.items()
        ]
        return answer(
            request,
            house,
            "Now",
            now.wellness(house.concerns(), house.view.alarms),
            el(
                "div",
                now.cameras(frame, house.view.cameras, shown, house.view.motions, captions),
                el("div", el("h2", "Sightings"), now.sightings(list(house.view.alerts.values()), at, zone)),
                class_="now",
            ),
            *tasks,
            place="/",
            live=True,
        )

    def _newest(self) -> dict[str, tuple[tuple[Seen, ...], dict[str, Seen]]]:
        """In the worker: by task the newest requests, and the newest with a picture of each camera."""
        found = {}
        for task, window in self._house.windows.items():
            cameras = [name for name, section in self._house.settings.cameras.items() if section.task == task]
            try:
                last = {name: one for name in cameras if (one := window.newest_of(name)) is not None}
                found[task] = (window.search(Wanted(), _NEWEST).seen, last)
            except PeerError:
                found[task] = ((), {})
        return found

    def _camera(self, camera: str, newest: dict[str, Any]) -> tuple[str, Html | None]:
        """Address and words of its newest picture: the archive's, or the retained one where that is newer."""
        house = self._house
        task = house.settings.cameras[camera].task
        seen: Seen | None = newest[task][1].get(camera)
        snapshot = house.view.snapshots.get(camera)
        if snapshot is not None and (seen is None or snapshot.timestamp > seen.at_ms + 10_000):
            said = joined(snapshot.label, " · ", moment(snapshot.timestamp, house.now_ms, house.zone))
            return f"/snapshot/{camera}.jpg?{snapshot.message_id}", said
        if seen is None:
            return "", None
        said = joined(seen.label or "no answer yet", " · ", moment(seen.at_ms, house.now_ms, house.zone))
        return f"/picture/{task}/{seen.frame}.jpg?large", said

    async def requests(self, request: web.Request) -> web.Response:
        """The newest races."""
        found = await self._house.worker.call(self._races)
        note = el(
            "p",
            "Each request is a race: every model sees it, and the schedule takes the best answer in time.",
            class_="note",
        )
        shown = requests.listing(found, self._house.now_ms, self._house.zone)
        return answer(request, self._house, "Requests", note, shown, place="/requests", live=True)

    def _races(self) -> list[tuple[str, Knit]]:
        return with_traces(
            self._house,
            lambda reader: [(one.task, knit(one.request_id, one.messages)) for one in reader.newest(_RACES)],
            [],
        )

    async def request(self, request: web.Request) -> web.Response:
        """One race."""
        name = request.match_info["request"]
        if not is_hex(name, 32):
            raise Refused(404, "There is no such request.", "Choose one of the list: /requests")
        house = self._house
        found = await house.worker.call(self._race, name)
        if found is None:
            raise Refused(404, "Nothing is kept of this request.", "Older ones are deleted: [traces] in the settings.")
        shown = requests.one(*found, house.now_ms, house.zone)
        return answer(request, house, "One request", shown, place="/requests")

    def _race(self, name: str) -> tuple[str, Knit] | None:
        def look(reader: TraceReader) -> tuple[str, Knit] | None:
            one = reader.find(name)
            return one.task, knit(one.request_id, one.messages)

        try:
            found = with_traces(self._house, look, None)
        except Misuse:
            found = None
        if found is not None:
            return found
        for task, window in self._house.windows.items():  # not traced, but archived: its outcome is known
            whole = window.whole(name) if window.there() else None
            if whole is not None and whole.result is not None:
                return task, knit(name, [whole.result])
        return None

    async def models(self, request: web.Request) -> web.Response:
        """Schedules, models, phases, roles."""
        house, view = self._house, self._house.view
        sections = [
            models.task_section(task, self._agreed(task), view.schedules.get(task), view, house.now_ms, house.zone)
            for task in view.tasks
        ]
        return answer(
            request,
            house,
            "Schedule and models",
            *sections,
            el("h2", "Bundles on their way"),
            models.phases(view.ota),
            el("h2", "Roles"),
            models.roles(view),
            place="/models",
            live=True,
        )

    def _agreed(self, task: str) -> Schedule | None:
        said = self._house.view.schedules.get(task)
        try:
            return schedules.parse(said.schedule) if said is not None else None
        except Misuse:
            return None  # the rendezvous refuses it too, and stays with the one before

    async def gallery(self, request: web.Request) -> web.Response:
        """A search of the archive."""
        house = self._house
        asked = searched(request.query)
        task = asked["task"] or next(iter(house.windows), "")
        if task not in house.windows:
            raise Refused(404, f"There is no task {task[:80]!r}.", "Begin at /gallery.")
        found, labels, corrected = await house.worker.call(self._search, task, wanted(asked, house.zone))
        form = gallery.search_form(tuple(house.windows), task, labels, asked)
        shown = gallery.results(task, found, corrected, asked, house.now_ms, house.zone)
        return answer(request, house, "Gallery", form, shown, place="/gallery")

    def _search(self, task: str, what: Wanted) -> tuple[Found, list[str], dict[str, Any]]:
        window = self._house.windows[task]
        if not window.there():
            return Found((), None, complete=False), [], {}
        found = window.search(what, gallery.PAGE)
        return found, window.labels(), self._house.corrections.of([one.request_id for one in found.seen])

    async def one(self, request: web.Request) -> web.Response:
        """One picture, and what everybody said."""
        house = self._house
        task, name = request.match_info["task"], request.match_info["request"]
        window = house.windows.get(task)
        whole = await house.worker.call(window.whole, name) if window is not None and is_hex(name, 32) else None
        if window is None or whole is None:
            raise Refused(404, "This request is not in the archive.", "Search for it: /gallery")
        labels = await house.worker.call(window.labels)
        corrected = await house.worker.call(house.corrections.of, [name])
        frame = house.frame("", request[FORM], password=request[PASSWORD])
        shown = gallery.one(frame, task, whole, corrected.get(name), labels, house.now_ms, house.zone)
        return answer(request, house, "Picture", shown, place="/gallery")

    async def doctor(self, request: web.Request) -> web.Response:
        """The newest report."""
        house = self._house
        frame = house.frame("", request[FORM], password=request[PASSWORD])
        busy = self._examining()
        return answer(
            request,
            house,
            "Doctor",
            doctor.asking(frame, busy=busy),
            doctor.report(house.report, house.report_problem, house.now_ms, house.zone),
            el("h2", "Support bundle"),
            doctor.bundle(frame),
            place="/doctor",
            live=busy,
        )


def with_traces(house: House, look: Callable[[TraceReader], T], otherwise: T) -> T:
    """What `look` finds in the traces of this device; `otherwise` where none were ever kept."""
    if not house.settings.layout.traces.is_file():
        return otherwise
    reader = TraceReader(house.settings.layout.traces)
    try:
        return look(reader)
    finally:
        reader.close()

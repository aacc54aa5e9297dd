"""Cases out of the lanes: each input with what was said of it, joined by request id, one day at a time.

What belongs to the inputs of a day is looked for on that day and its neighbours, which are put into a scratch
database, so that memory does not grow with the fleet. Order is the device's: node, outbox, number.
"""

from collections.abc import Iterator, Sequence

from roost_broker.centre.envelope import Envelope
from roost_broker.errors import Malformed
from roost_broker.messages import Declined, Request, Result, Score, decode
from roost_models.archive.cases import Case
from roost_models.central.partitions import DAY_MS, Partition
from roost_models.central.sorting import Scratch
from roost_models.central.view import Choice, View

PAGE = 200
_ALWAYS = 2**62


def cases(view: View, *, task: str, from_ms: int | None, until_ms: int | None, nodes: frozenset[str]) -> Iterator[Case]:
    """Every request of the period once, in device order; see `CaseSource`."""
    begin, end = from_ms or 0, _ALWAYS if until_ms is None else until_ms
    # The gateway received it after it was asked; a day more on either side costs little and forgives clocks.
    inputs = Choice(from_ms=begin - DAY_MS, until_ms=end + DAY_MS, task=task, nodes=nodes)
    days = view.days
    with _Said() as said:
        for number, day in enumerate(days):
            partition = Partition(day, task, "inputs")
            if partition not in view.partitions:
                continue
            near = days[max(0, number - 1) : number + 2]
            said.forget_before(near[0])
            for one in near:
                said.load(view, one, task, nodes)
            page: list[tuple[Envelope, Request]] = []
            for row in view.of_partition(partition, inputs):
                request = _request(row.payload)
                if request is None or not begin <= request.timestamp < end or not said.first_time(day, request):
                    continue
                page.append((row, request))
                if len(page) == PAGE:
                    yield from said.joined(page, task)
                    page = []
            yield from said.joined(page, task)


class _Said(Scratch):
    """Scores, refusals and results of three days, by request."""

    def __init__(self) -> None:
        super().__init__()
        self._loaded: set[str] = set()
        self.db.execute("CREATE TABLE said (request_id TEXT, day TEXT, payload BLOB)")
        self.db.execute("CREATE INDEX said_of_request ON said (request_id)")
        self.db.execute("CREATE TABLE asked (request_id TEXT PRIMARY KEY, day TEXT)")
        self.db.execute("BEGIN")

    def load(self, view: View, day: str, task: str, nodes: frozenset[str]) -> None:
        """Take in what was said on a day."""
        if day in self._loaded:
            return
        self._loaded.add(day)
        choice = Choice(task=task, nodes=nodes)
        for lane in ("scores", "results"):
            partition = Partition(day, task, lane)
            if partition not in view.partitions:
                continue
            for row in view.of_partition(partition, choice):
                message = _reply(row.payload)
                if message is not None:
                    self.db.execute("INSERT INTO said VALUES (?, ?, ?)", (message.request_id, day, row.payload))

    def forget_before(self, day: str) -> None:
        """Let go of what was said and asked on earlier days."""
        for table in ("said", "asked"):
            self.db.execute(f"DELETE FROM {table} WHERE day < ?", (day,))  # noqa: S608  # our own two names

    def first_time(self, day: str, request: Request) -> bool:
        """Whether this request comes for the first time; it is published again while it is open."""
        done = self.db.execute("INSERT OR IGNORE INTO asked VALUES (?, ?)", (request.request_id, day))
        return bool(done.rowcount)

    def joined(self, page: Sequence[tuple[Envelope, Request]], task: str) -> Iterator[Case]:
        """The cases of one page."""
        for row, request in page:
            replies: dict[tuple[str, str], Score | Declined] = {}
            result: Result | None = None
            found = self.db.execute("SELECT payload FROM said WHERE request_id = ?", (request.request_id,))
            for (payload,) in found.fetchall():
                message = _reply(payload)
                if isinstance(message, Result):
                    result = result or message
                elif message is not None:
                    _take(replies, message)
            yield Case(
                node=row.node,
                task=task,
                at_ms=request.timestamp,
                payload=row.payload,
                request=request,
                replies=tuple(replies[name] for name in sorted(replies)),
                result=result,
            )


def _take(replies: dict[tuple[str, str], Score | Declined], message: Score | Declined) -> None:
    """The first word of a model version counts; but one that declined and then answered has answered."""
    name = (message.model, message.version)
    before = replies.get(name)
    if before is None or (isinstance(before, Declined) and isinstance(message, Score)):
        replies[name] = message


def _request(payload: bytes) -> Request | None:
    try:
        message = decode(payload)
    except Malformed:
        return None  # archived as it came, but no case
    return message if isinstance(message, Request) else None


def _reply(payload: bytes) -> Score | Declined | Result | None:
    try:
        message = decode(payload)
    except Malformed:
        return None
    return message if isinstance(message, Score | Declined | Result) else None

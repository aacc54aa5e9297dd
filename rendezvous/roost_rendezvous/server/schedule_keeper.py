"""Which schedule is in force: the one given at the start, or the one on the retained topic.

A schedule published by a person stays in force over restarts. The one given at the start (from a file) is published
when nobody has, or only an earlier start: edit the file, restart, and it counts. A
schedule that cannot be used never replaces a good one; where it took a good one's place on the topic, the good one
is put back, so that the next start finds it.

A broker that was killed may return with an older schedule than it had. The history knows better: what was replaced
once is not taken over again from the retained topic, and the one in force is put back; so is a person's that the
broker has forgotten. What somebody publishes while the server listens always counts, however old
(docs/decisions/0009).

Each change leaves a marker: a line in the history and an event, both with the totals of requests and answers by then.
"""

import asyncio
import logging
from collections.abc import Callable

from roost_broker.announce import Announcer
from roost_broker.bus import Bus, Delivery
from roost_broker.clock import MS, Clock
from roost_broker.errors import PeerError, QueueFull
from roost_broker.headers import new_header
from roost_broker.messages import JsonObject, ScheduleSet, encode
from roost_broker.topics import TaskTopics
from roost_rendezvous.schedule import Schedule, to_object
from roost_rendezvous.server import reading
from roost_rendezvous.server.attainment import Attainment, never_in_time
from roost_rendezvous.server.schedule_history import Entry, ScheduleHistory

_log = logging.getLogger(__name__)

SETTLE_S = 0.5
"""How long a retained schedule may take to arrive behind a connection."""
FROM_FILE = "settings file"
"""Author of what a server published from the file it was given."""


class ScheduleKeeper:
    """Decides about schedules; the server tells the core. While `silent()`, it only follows: another one speaks."""

    def __init__(
        self,
        bus: Bus,
        topics: TaskTopics,
        given: Schedule | None,
        announcer: Announcer,
        clock: Clock,
        component: str,
        *,
        history: ScheduleHistory,
        attainment: Attainment,
        silent: Callable[[], bool] = lambda: False,
    ) -> None:
        self._bus = bus
        self._topics = topics
        self._given = given
        self._announcer = announcer
        self._clock = clock
        self._component = component
        self._history = history
        self._attainment = attainment
        self._silent = silent
        self._timer: asyncio.TimerHandle | None = None
        bus.on_connection(self._connection)
        self._on_topic = False
        self._in_force = b""  # the message that carried it, as it stands on the topic
        self._version = given.version if given is not None else ""

    def arrived(self, delivery: Delivery) -> tuple[str, Schedule] | None:
        """A message on the schedule topic: the message id and the schedule to take over, if one is.

        Raises `PeerError` for what is no usable schedule of this task.
        """
        if not delivery.payload:
            return None  # the topic was cleared: what is in force stays in force
        try:
            message, schedule = reading.read_schedule(delivery, self._topics.task)
        except PeerError as error:
            self._say("schedule-refused", str(error), {"task": self._topics.task})
            if self._in_force:
                self._put(self._in_force)
            raise
        self._on_topic = True
        if delivery.retained and self._history.older(message.message_id):
            return self._stale(message, schedule)
        if schedule.version == self._version:
            self._in_force = delivery.payload
            self._record(message, schedule, before=self._version)
            return None
        if delivery.retained and message.author == FROM_FILE and self._given is not None:
            self._on_topic = False
            self.publish_given()
            return None
        return self._take(message, schedule, delivery.payload)

    def publish_given(self) -> None:
        """Put the given schedule on the retained topic, unless it carries one already."""
        if self._given is None:
            return
        if self._version == self._given.version:
            self._warn(self._given)
        if self._on_topic:
            return
        if self._in_force:  # since this start: the connection broke before the topic could say it
            self._on_topic = self._put(self._in_force)
            return
        if self._persons_put_back():
            return
        head = new_header(self._clock, self._topics.device.node, self._component)
        message = ScheduleSet(
            timestamp=head.timestamp,
            message_id=head.message_id,
            provenance=head.provenance,
            task=self._topics.task,
            version=self._given.version,
            schedule=to_object(self._given),
            author=FROM_FILE,
        )
        self._in_force = encode(message)
        self._on_topic = self._put(self._in_force)
        last = self._history.last
        if self._on_topic and (last is None or last.version != self._given.version):
            self._record(message, self._given, before="" if last is None else last.version)

    def _persons_put_back(self) -> bool:
        """The topic is empty, but the newest schedule was a person's: it is put back, and counts when it is read."""
        last = self._history.last
        if last is None or last.author == FROM_FILE or last.version == self._version:
            return False
        try:
            reading.parse_for(self._topics.task, last.schedule)
        except PeerError as error:
            _log.warning("The newest schedule of the history cannot be used any more: %s", error)
            return False
        self._on_topic = self._put(self._message_of(last))
        self._say_forgotten(last.version)
        return True

    def _connection(self, up: bool) -> None:
        """A broker that returns without the schedule gets it again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._on_topic = self._on_topic and up
        if up and self._in_force:
            self._timer = asyncio.get_running_loop().call_later(SETTLE_S, self._again_if_forgotten)

    def _again_if_forgotten(self) -> None:
        self._timer = None
        if not self._on_topic and self._bus.connected:
            self._on_topic = self._put(self._in_force)
            self._say_forgotten(self._version)

    def _say_forgotten(self, version: str) -> None:
        self._say(
            "schedule-put-back",
            f"The broker has forgotten the schedule {version} of {self._topics.task}: it stays in force.",
            {"task": self._topics.task, "version": version, "returned": ""},
        )

    def _take(self, message: ScheduleSet, schedule: Schedule, payload: bytes) -> tuple[str, Schedule]:
        before, self._version, self._in_force = self._version, schedule.version, payload
        warnings = self._warn(schedule)
        if self._record(message, schedule, before=before):  # else it was in force before this start already
            self._say(
                "schedule-applied",
                f"The schedule {schedule.version} of {self._topics.task} counts for the next request.",
                {
                    "task": self._topics.task,
                    "version": schedule.version,
                    "before": before,
                    "author": message.author,
                    "why": message.why,
                    "messageId": message.message_id,
                    "totals": self._attainment.totals,
                    "warnings": warnings,
                },
            )
        return message.message_id, schedule

    def _stale(self, stale: ScheduleSet, schedule: Schedule) -> tuple[str, Schedule] | None:
        """The broker came back with a schedule that was replaced since: put back the one that replaced it."""
        last = self._history.last
        if self._in_force and self._version != stale.version:
            self._put_back(stale, self._in_force)
            return None
        if last is None or (last.author == FROM_FILE and self._given is not None):
            self._on_topic = False
            self.publish_given()
            return None
        try:
            newer = reading.parse_for(self._topics.task, last.schedule)
        except PeerError as error:  # written by another version of Roost: better the older schedule than none
            _log.warning("The newest schedule of the history cannot be used any more: %s", error)
            return None if schedule.version == self._version else (stale.message_id, schedule)
        payload = self._message_of(last)
        self._put_back(stale, payload)
        self._in_force = payload
        if newer.version == self._version:
            return None
        self._version = newer.version
        self._warn(newer)
        return last.message_id, newer

    def _put_back(self, stale: ScheduleSet, payload: bytes) -> None:
        last = self._history.last
        version = last.version if last is not None else self._version
        self._say(
            "schedule-put-back",
            f"The broker returned with the schedule {stale.version} of {self._topics.task}, which {version} had "
            "replaced: the newer one stays in force.",
            {"task": self._topics.task, "version": version, "returned": stale.version, "messageId": stale.message_id},
        )
        self._put(payload)

    def _record(self, message: ScheduleSet, schedule: Schedule, *, before: str) -> bool:
        """The marker in the history; False when this message's marker is there already."""
        return self._history.add(
            Entry(
                at=self._clock.wall_ns() // MS,
                version=schedule.version,
                schedule=to_object(schedule),
                author=message.author,
                why=message.why,
                before=before,
                message_id=message.message_id,
                totals=self._attainment.totals,
            )
        )

    def _warn(self, schedule: Schedule) -> list[str]:
        """Say what can be known to go wrong with it."""
        warnings = never_in_time(schedule, self._attainment.models)
        for sentence in warnings:
            _log.warning("schedule %s: %s", schedule.version, sentence)
            data = {"task": self._topics.task, "version": schedule.version}
            self._say("schedule-warning", sentence, data)
        return warnings

    def _say(self, kind: str, detail: str, data: JsonObject) -> None:
        if not self._silent():
            self._announcer.say(kind, detail, data)

    def _put(self, payload: bytes) -> bool:
        """Put a schedule on the topic; whether the bus took it. If not, the next start says it."""
        if self._silent():
            return False
        try:
            self._bus.publish(self._topics.schedule, payload, retain=True)
        except QueueFull:
            return False
        return True

    def _message_of(self, entry: Entry) -> bytes:
        """The message of an entry again, under its own id, so that its marker is not made twice."""
        return encode(
            ScheduleSet(
                timestamp=entry.at,
                message_id=entry.message_id,
                provenance=new_header(self._clock, self._topics.device.node, self._component).provenance,
                task=self._topics.task,
                version=entry.version,
                schedule=entry.schedule,
                author=entry.author,
                why=entry.why,
            )
        )

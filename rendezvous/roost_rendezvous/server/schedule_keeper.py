"""Which schedule is in force: the one given at the start, or the one on the retained topic.

A schedule published by a person stays in force over restarts. The one given at the start (from a file) is published
when the topic has none, or only one that an earlier start published: edit the file, restart, and it counts. A
schedule that cannot be used never replaces a good one; where it took a good one's place on the topic, the good one
is put back, so that the next start finds it.
"""

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import Clock
from roost_broker.errors import PeerError, QueueFull
from roost_broker.headers import new_header
from roost_broker.messages import ScheduleSet, encode
from roost_broker.topics import TaskTopics
from roost_rendezvous.schedule import Schedule, to_object
from roost_rendezvous.server import reading
from roost_rendezvous.server.announce import Announcer

FROM_FILE = "settings file"
"""Author of what a server published from the file it was given."""


class ScheduleKeeper:
    """Decides about schedules; the server tells the core."""

    def __init__(
        self, bus: Bus, topics: TaskTopics, given: Schedule | None, announcer: Announcer, clock: Clock, component: str
    ) -> None:
        self._bus = bus
        self._topics = topics
        self._given = given
        self._announcer = announcer
        self._clock = clock
        self._component = component
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
            self._announcer.say("schedule-refused", str(error), {"task": self._topics.task})
            if self._in_force:
                self._put(self._in_force)
            raise
        self._on_topic = True
        if schedule.version == self._version:
            self._in_force = delivery.payload
            return None
        if delivery.retained and message.author == FROM_FILE and self._given is not None:
            self._on_topic = False
            self.publish_given()
            return None
        before, self._version, self._in_force = self._version, schedule.version, delivery.payload
        self._announcer.say(
            "schedule-applied",
            f"The schedule {schedule.version} of {self._topics.task} counts for the next request.",
            {
                "task": self._topics.task,
                "version": schedule.version,
                "before": before,
                "author": message.author,
                "why": message.why,
                "messageId": message.message_id,
            },
        )
        return message.message_id, schedule

    def publish_given(self) -> None:
        """Put the given schedule on the retained topic, unless it carries one already."""
        if self._given is None or self._on_topic:
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

    def _put(self, payload: bytes) -> bool:
        """Put a schedule on the topic; whether the bus took it. If not, the next start says it."""
        try:
            self._bus.publish(self._topics.schedule, payload, retain=True)
        except QueueFull:
            return False
        return True

"""What the alerts role tells people: notices, when a rule says so or when somebody tries whether they arrive."""

from collections import Counter, deque
from collections.abc import Collection
from datetime import tzinfo
from typing import Final

from roost_broker.clock import Clock
from roost_broker.errors import RoostError
from roost_broker.headers import new_header
from roost_broker.topics import NodeTopics
from roost_edge.alerts.outbox import Changes
from roost_edge.alerts.rules import Fired, Held, Keep, RuleAction, RuleMemory, Rules
from roost_edge.alerts.saying import write_notice, write_test
from roost_edge.alerts.settings import AlertSettings
from roost_edge.alerts.sightings import ResultSeen
from roost_edge.desk.questions import Question
from roost_edge.desk.replying import Replies

_TESTS: Final = 16


class NoticeDesk:
    """Carries out what the rules say: into the outbox's changes, and into counts that tell why one was held back."""

    def __init__(
        self,
        topics: NodeTopics,
        settings: AlertSettings,
        zone: tzinfo,
        cameras: Collection[str],
        *,
        replies: Replies,
        clock: Clock,
        counts: Counter[str],
    ) -> None:
        self._topics = topics
        self._settings = settings
        self._zone = zone
        self._replies = replies
        self._clock = clock
        self._counts = counts
        self._tests: deque[Question] = deque()
        self._core = Rules(
            *(settings.rules, zone),
            cameras=cameras,
            quiet=settings.quiet_labels,
            stale_after_s=settings.stale_after_s,
        )

    @property
    def memory(self) -> tuple[RuleMemory, ...]:
        """What each rule knows of the past."""
        return self._core.memory

    def restore(self, saved: Collection[RuleMemory], *, same_boot: bool) -> None:
        """Take back what was kept."""
        self._core.restore(saved, same_boot=same_boot)

    def due_in(self) -> int | None:
        """Nanoseconds until an absence is to be judged."""
        return self._core.due_in(self._clock.wall_ns())

    def result(self, seen: ResultSeen, now: int, changes: Changes, *, muted: Collection[str]) -> None:
        """One result."""
        self._follow(self._core.handle(seen, now, self._clock.wall_ns(), muted=muted), changes)

    def expire(self, changes: Changes, *, muted: Collection[str]) -> None:
        """What should have been seen by now, and the tests that somebody asked for."""
        self._follow(self._core.expire(self._clock.wall_ns(), muted=muted), changes)
        while self._tests:
            head = new_header(self._clock, self._topics.node, "alerts")
            changes.letters.append(write_test(self._topics, head))
            self._counts["notice-test"] += 1
            answer = {"messageId": head.message_id, "topic": self._topics.notices}
            self._replies.answer(self._tests.popleft(), answer)

    def test(self, asked: Question) -> bool:
        """Somebody tries it. Returns whether it is to be done, by `expire`; else he has been told why not."""
        if len(self._tests) >= _TESTS:
            self._replies.refuse(asked, RoostError("Many notices are being tried already.", "Ask again in a second."))
            return False
        self._tests.append(asked)
        return True

    def _follow(self, actions: tuple[RuleAction, ...], changes: Changes) -> None:
        for action in actions:
            match action:
                case Fired(name, kind, _, _, _):
                    header = new_header(self._clock, self._topics.node, "alerts")
                    rule = self._settings.rules[name]
                    changes.letters.append(write_notice(action, rule, self._zone, self._topics, header))
                    self._counts[f"notice-{kind}"] += 1
                case Keep(memory, _):
                    changes.rules[memory.rule] = memory
                case Held(name, why, _):
                    self._counts[f"rule-{name}-{why}"] += 1

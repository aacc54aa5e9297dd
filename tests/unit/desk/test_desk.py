import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from roost_broker.bus import Delivery
from roost_broker.clock import SystemClock
from roost_broker.errors import PeerError
from roost_broker.headers import new_header
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import Ask, DeadLetter, Message, Reply, RoleState, decode, encode
from roost_broker.topics import NodeTopics
from roost_edge.desk.role import Desk
from roost_edge.desk.settings import DeskSettings

DEVICE = NodeTopics("coop-1")
CLOCK = SystemClock()
REPORT = {"ok": True, "checks": []}


class Clinic:
    """A desk on a broker in memory, somebody who asks, and an examination that lasts until it is told to end."""

    def __init__(self, *, max_waiting: int = 16) -> None:
        self.broker = MemoryBroker()
        self.asker = MemoryBus(self.broker, "asker")
        self.heard: list[Message] = []
        self.rim: list[Delivery] = []
        self.examined: list[Sequence[str]] = []
        self.begun = asyncio.Semaphore(0)
        self.end = asyncio.Event()
        self.problem: Exception | None = None
        self.desk = Desk(
            MemoryBus(self.broker, "desk"),
            DEVICE,
            examine=self.examine,
            about=lambda: {"node": "coop-1"},
            clock=CLOCK,
            session=1,
            settings=DeskSettings(max_waiting=max_waiting),
            cameras=("nest", "door"),
        )

    async def examine(self, only: Sequence[str]) -> dict[str, Any]:
        self.examined.append(only)
        self.begun.release()
        await self.end.wait()
        if self.problem is not None:
            raise self.problem
        return REPORT

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Clinic"]:
        news = asyncio.Event()
        self.news = news

        def heard(delivery: Delivery) -> None:
            delivery.ack()
            self.heard.append(decode(delivery.payload))
            news.set()

        def at_the_rim(delivery: Delivery) -> None:
            delivery.ack()
            self.rim.append(delivery)
            news.set()

        self.asker.subscribe(f"{DEVICE.root}/response/+", heard)
        self.asker.subscribe(DEVICE.deadletter, heard)
        self.asker.subscribe(DEVICE.all_roles, heard)
        self.asker.subscribe("answers/#", at_the_rim)
        await self.asker.start()
        stop = asyncio.Event()
        running = asyncio.create_task(self.desk.run(stop))
        await self.until(lambda: "ready" in [one.state for one in self.of(RoleState)])
        try:
            yield self
        finally:
            stop.set()
            await running
            await self.asker.stop()

    def of(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.heard if isinstance(message, kind)]

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.news.clear()
            await self.news.wait()

    async def ask(self, verb: str, transaction: str, **rim: Any) -> None:
        only = rim.pop("only", None)
        question = Ask(
            **new_header(CLOCK, "coop-1", "asker")._asdict(),
            verb=verb,
            transaction=transaction,
            data={"only": only} if only else {},
        )
        await self.asker.publish(DEVICE.request(verb), encode(question), **rim)

    async def replies(self, count: int) -> list[Reply]:
        await self.until(lambda: len(self.of(Reply)) >= count)
        return self.of(Reply)


def test_info_is_answered_at_once_even_while_an_examination_goes_on(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with Clinic().open() as clinic:
            await clinic.ask("doctor", "slow")
            await clinic.begun.acquire()
            await clinic.ask("info", "quick")
            (reply,) = await clinic.replies(1)
            assert (reply.verb, reply.transaction, reply.status) == ("info", "quick", "ok")
            assert reply.data == {"node": "coop-1"}
            clinic.end.set()
            assert [one.transaction for one in await clinic.replies(2)] == ["quick", "slow"]

    run(main())


def test_who_asks_the_same_meanwhile_shares_the_report_and_who_asks_otherwise_is_told_to_wait(
    run: Callable[..., Any],
) -> None:
    async def main() -> None:
        async with Clinic(max_waiting=2).open() as clinic:
            await clinic.ask("doctor", "1")
            await clinic.ask("doctor", "2")
            await clinic.ask("doctor", "3")  # one too many
            await clinic.ask("doctor", "4", only=["storage"])
            refused = await clinic.replies(2)
            assert [(one.transaction, one.status) for one in refused] == [("3", "error"), ("4", "error")]
            assert "busy" in refused[0].problem
            assert "Ask again" in refused[0].remedy
            clinic.end.set()
            assert [(one.transaction, one.data) for one in (await clinic.replies(4))[2:]] == [
                ("1", REPORT),
                ("2", REPORT),
            ]
            await clinic.ask("doctor", "5", only=["storage"])
            await clinic.replies(5)
            assert clinic.examined == [(), ("storage",)]
            assert clinic.desk.counts["busy"] == 2

    run(main())


def test_a_picture_by_a_camera_that_is_not_there_is_refused_with_the_names_of_those_that_are(
    run: Callable[..., Any],
) -> None:
    async def main() -> None:
        async with Clinic().open() as clinic:
            picture = DEVICE.request("picture")
            clinic.asker.publish(picture, b'{"camera": "nest", "transaction": "there"}')
            clinic.asker.publish(picture, b"")
            clinic.asker.publish(picture, b'{"camera": "attic", "transaction": "gone"}')
            (reply,) = await clinic.replies(1)
            assert (reply.verb, reply.transaction, reply.status) == ("picture", "gone", "error")
            assert "attic" in reply.problem
            assert reply.remedy == "There are: door, nest."
            assert clinic.desk.counts["asked-picture"] == 3

    run(main())


def test_an_examination_that_fails_is_told_to_all_who_wait(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with Clinic().open() as clinic:
            clinic.problem = PeerError("The examination gave no report.", "Run `roost doctor` on the device.")
            clinic.end.set()
            await clinic.ask("doctor", "1")
            await clinic.ask("doctor", "2")
            replies = await clinic.replies(2)
            assert {(one.status, one.problem) for one in replies} == {("error", "The examination gave no report.")}
            assert "roost doctor" in replies[0].remedy

    run(main())


def test_a_response_topic_gets_the_answer_with_its_correlation_data_as_well(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with Clinic().open() as clinic:
            await clinic.ask("info", "7", response_topic="answers/mine", correlation_data=b"\x01\xff")
            (reply,) = await clinic.replies(1)
            await clinic.until(lambda: bool(clinic.rim))
            assert (clinic.rim[0].topic, clinic.rim[0].correlation_data) == ("answers/mine", b"\x01\xff")
            assert decode(clinic.rim[0].payload) == reply
            await clinic.ask("info", "8", response_topic="roost/coop-1/nest/schedule", correlation_data=b"2")
            assert (await clinic.replies(2))[1].transaction == "8"
            assert len(clinic.rim) == 1

    run(main())


def test_rubbish_is_answered_with_the_reason_and_becomes_a_dead_letter_of_the_device(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with Clinic().open() as clinic:
            await clinic.asker.publish(DEVICE.request("doctor"), b"\xff{", response_topic="answers/rubbish")
            (reply,) = await clinic.replies(1)
            assert (reply.status, reply.transaction) == ("error", "")
            assert "Not a Roost message" in reply.problem
            await clinic.until(lambda: bool(clinic.of(DeadLetter)))
            (letter,) = clinic.of(DeadLetter)
            assert (letter.topic, letter.reader, letter.size) == (DEVICE.request("doctor"), "desk", 2)
            assert letter.provenance.path[0].node == "coop-1"
            assert clinic.rim[0].topic == "answers/rubbish"
            assert clinic.examined == []

    run(main())


def test_a_flood_of_rubbish_and_questions_is_bounded_and_the_desk_answers_on(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with Clinic().open() as clinic:
            for number in range(300):
                await clinic.asker.publish(DEVICE.request("info"), b"{" if number % 2 else b"")
            counts = clinic.desk.counts
            assert counts["question-too-many"] > 100
            assert counts["question-too-many"] + counts["asked-info"] + counts["question-malformed"] == 300
            assert len(clinic.of(Reply)) < 200

    run(main())


def test_a_retained_question_is_not_asked_anew_at_every_start(run: Callable[..., Any]) -> None:
    async def main() -> None:
        clinic = Clinic()
        other = MemoryBus(clinic.broker, "other")
        await other.start()
        await other.publish(DEVICE.request("doctor"), b"", retain=True)
        question = Ask(**new_header(CLOCK, "coop-1", "x")._asdict(), verb="doctor")
        await other.publish(DEVICE.request("doctor"), encode(question), retain=True)
        await other.stop()
        async with clinic.open():
            await clinic.ask("info", "1")
            await clinic.replies(1)
            assert clinic.desk.counts["question-retained"] == 1
            assert clinic.examined == []

    run(main())


def test_a_desk_that_is_told_to_stop_does_not_wait_for_its_examination(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with Clinic().open() as clinic:
            await clinic.ask("doctor", "1")
            await clinic.begun.acquire()
        assert [state.state for state in clinic.of(RoleState)][-1] == "stopped"

    run(main())

"""Messages as a device would send them, for what watches a device."""

import pytest

from roost_broker.clock import MS, SECOND
from roost_broker.ids import new_id
from roost_broker.messages import (
    Alert,
    Answer,
    Declined,
    DefaultAnswer,
    FrameRef,
    Input,
    ModelOutcome,
    ModelState,
    Output,
    Receipt,
    Request,
    Result,
    RoleState,
    ScheduleSet,
    Score,
    encode,
)
from roost_broker.topics import NodeTopics
from roost_edge.demo.view_model import ViewModel

NODE = NodeTopics("coop-1")
TASK = NODE.task("henhouse")
CAMERA = NODE.camera("nest")
WALL = 1_800_000_000 * SECOND
FRAME = FrameRef(sha256="a" * 64, bytes=10, path="aa/a.jpg", width=640, height=480)
SCHEDULE = {
    "task": "henhouse",
    "sla_ms": 2000,
    "ignore": ["canary"],
    "step": [
        {"after_ms": 0, "accept": ["champion"]},
        {"after_ms": 600, "accept": ["champion", "fast"]},
        {"after_ms": 1200, "accept": ["*"]},
    ],
    "default": {"after_ms": 1900, "label": "unknown"},
}


class Device:
    """Speaks to a view model as a device speaks on its topics."""

    def __init__(self):
        self.view = ViewModel(TASK, CAMERA)
        self._now = WALL

    def head(self):
        self._now += MS
        return {"timestamp": self._now // MS, "message_id": new_id(self._now)}

    def wait(self, *, ms):
        self._now += ms * MS

    def say(self, topic, message):
        self.view.take(topic, encode(message))
        return message

    def request(self):
        return self.say(
            TASK.input,
            Request(
                **self.head(),
                request_id=new_id(self._now),
                return_address=TASK.results("nest"),
                deadline_ms=2000,
                tags={"camera": "nest"},
                input=Input(frame=FRAME),
            ),
        )

    def score(self, request, model, label="egg"):
        return self.say(
            TASK.scores(model),
            Score(
                **self.head(),
                request_id=request.request_id,
                model=model,
                version="1.0",
                outputs=[Output(label=label, score=0.9)],
            ),
        )

    def declined(self, request, model):
        return self.say(
            TASK.scores(model),
            Declined(**self.head(), request_id=request.request_id, model=model, version="1.0", reason="behind"),
        )

    def result(self, request, *, cause="preferred", model="champion", elapsed_ms=35.0, outcomes=None, label="blue_jay"):
        outputs = [
            Output(label=label, score=0.9),
            Output(label="egg", score=0.07),
            Output(label="open_door", score=0.02),
        ]
        answer = Answer(model=model, version="1.0", label=label, score=0.9, outputs=outputs)
        default = DefaultAnswer(label="unknown", reason="nobody answered")
        return self.say(
            TASK.results("nest"),
            Result(
                **self.head(),
                request_id=request.request_id,
                cause=cause,
                answer=None if cause == "default" else answer,
                default=default if cause == "default" else None,
                elapsed_ms=elapsed_ms,
                sla_ms=2000,
                models=outcomes if outcomes is not None else self.outcomes(),
                tags={"camera": "nest"},
                input=request.input,
            ),
        )

    @staticmethod
    def outcomes(champion="answered"):
        took = {"answered": 34.0}.get(champion)
        return [
            ModelOutcome(model="canary", status="answered", elapsed_ms=9.0, label="egg", score=0.4, ignored=True),
            ModelOutcome(model="champion", status=champion, elapsed_ms=took, label="blue_jay", score=0.9),
            ModelOutcome(model="fast", status="answered", elapsed_ms=8.0, label="blue_jay", score=0.7),
            ModelOutcome(model="rules", status="declined", elapsed_ms=5.0, reason="behind"),
        ]

    def receipt(self, request):
        return self.say(TASK.receipts, Receipt(**self.head(), request_id=request.request_id, saw="b" * 64))

    def model_state(self, model, state, session=1):
        return self.say(
            TASK.model_state(model), ModelState(**self.head(), model=model, version="1.0", state=state, session=session)
        )

    def role_state(self, role, session=1, **counts):
        return self.say(
            NODE.role(role), RoleState(**self.head(), role=role, state="ready", session=session, counts=counts)
        )

    def schedule(self, schedule=None):
        return self.say(
            TASK.schedule, ScheduleSet(**self.head(), task="henhouse", version="1", schedule=schedule or SCHEDULE)
        )

    def alert(self, kind="new", label="blue_jay", requests=1):
        return self.say(
            CAMERA.events,
            Alert(
                **self.head(),
                type=kind,
                alert_id="c" * 32,
                camera="nest",
                task="henhouse",
                label=label,
                score=0.9,
                requests=requests,
                started_at=1,
                last_at=1,
            ),
        )


@pytest.fixture
def device():
    return Device()

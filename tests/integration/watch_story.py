"""Days of a henhouse as messages with their own times, learnt or published in seconds; seeded."""

import random
from collections.abc import Iterator
from typing import Any

from roost_broker.ids import new_id
from roost_broker.messages import Answer, FrameRef, Input, Message, ModelOutcome, Output, Request, Result, Score
from roost_broker.topics import TaskTopics

MINUTE_MS = 60_000
LABELS = ("hen", "empty_nest")
MODELS = ("champion", "canary")


class WatchStory:
    """One request every ten minutes from `begin_ms` on; `relabelled` champions call a hen an empty nest."""

    def __init__(self, flow: TaskTopics, begin_ms: int) -> None:
        self.flow = flow
        self.now_ms = begin_ms
        self.relabelled = False
        self.requests: list[str] = []
        self._random = random.Random(7)

    def until(self, end_ms: int) -> Iterator[tuple[str, Message]]:
        """Topics with messages, in the order in which they were sent."""
        while self.now_ms < end_ms:
            self.now_ms += round(10 * MINUTE_MS * self._random.uniform(0.5, 1.5))
            yield from self._request()

    def _request(self) -> Iterator[tuple[str, Message]]:
        request_id = new_id(self.now_ms * 1_000_000)
        self.requests.append(request_id)
        seen = self._random.choice(LABELS)
        size = round(self._random.gauss(48_000, 2_000))
        frame = FrameRef(sha256="a" * 64, bytes=size, path="x", width=640, height=480)
        yield (
            self.flow.input,
            Request(
                **self._head(0),
                request_id=request_id,
                return_address=self.flow.results("nest"),
                deadline_ms=2_000,
                tags={"camera": "nest"},
                input=Input(frame=frame),
            ),
        )
        told: list[ModelOutcome] = []
        for place, model in enumerate(MODELS):
            says = "empty_nest" if self.relabelled and model == "champion" else seen
            score = self._random.betavariate(9, 2)
            outputs = [Output(label=label, score=score if label == says else 1 - score) for label in LABELS]
            took = self._random.lognormvariate(3.0, 0.15)
            yield (
                self.flow.scores(model),
                Score(
                    **self._head(30 + place),
                    request_id=request_id,
                    model=model,
                    version="2" if self.relabelled and model == "champion" else "1",
                    outputs=outputs,
                    compute_ms=took,
                ),
            )
            told.append(ModelOutcome(model=model, version="1", status="answered", elapsed_ms=took, ignored=bool(place)))
        yield (
            self.flow.results("nest"),
            Result(
                **self._head(60),
                request_id=request_id,
                cause="preferred",
                answer=Answer(model="champion", version="1", label=seen, score=0.8),
                elapsed_ms=60.0,
                sla_ms=2_000,
                models=told,
                tags={"camera": "nest"},
            ),
        )

    def _head(self, after_ms: int) -> dict[str, Any]:
        at = self.now_ms + after_ms
        return {"timestamp": at, "message_id": new_id(at * 1_000_000)}

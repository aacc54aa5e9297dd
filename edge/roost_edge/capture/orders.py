"""What people order of one camera: motion detection on or off, and a picture now (`request/picture`).

1. The switch is this role's: while it is off no motion begins an event. A picture that somebody asks for is taken.
2. A question names a camera (`{"camera": "nest"}`) or none; then every camera takes one. Another camera's is not ours.
3. Whoever asks is answered with the request that was opened. When no frame comes in time, or there are too many, he is
   told so.
"""

import asyncio
from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

from roost_broker.bus import Bus
from roost_broker.clock import Clock
from roost_broker.deadletter import DeadLetters
from roost_broker.errors import RoostError
from roost_broker.topics import CameraTopics
from roost_edge.desk.questions import Question
from roost_edge.desk.replying import Replies
from roost_edge.switches.switch import DETECTION, Switch

if TYPE_CHECKING:
    from roost_edge.capture.asking import Asked

PICTURE: Final = "picture"
_MOST = 8
_PATIENCE_S: Final = 15.0


class Orders:
    """Construct before the bus starts; `take` at each frame, then `done` with what came of it.

    `switches` is the folder of the switches' files.
    """

    def __init__(
        self,
        bus: Bus,
        camera: CameraTopics,
        switches: Path,
        *,
        role: str,
        clock: Clock,
        counts: Counter[str],
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._patience_s = patience_s
        self._camera = camera.camera
        letters = DeadLetters(bus, camera.device.deadletter, role, clock, node=camera.device.node)
        file = switches / f"{camera.camera}.{DETECTION}.json"
        self._switch = Switch(bus, camera, DETECTION, file, role=role, clock=clock, letters=letters)
        self._replies = Replies(bus, camera.device, role, clock, counts)
        self._counts = counts
        self._waiting: deque[tuple[Question, asyncio.TimerHandle]] = deque()
        self._switch.listen()
        self._replies.listen(PICTURE, self._asked)

    @property
    def detecting(self) -> bool:
        """Whether motion is looked at."""
        return self._switch.on

    def take(self) -> tuple[Question, ...]:
        """Who wants the frame that is here now."""
        for _, timer in self._waiting:
            timer.cancel()
        asked = tuple(question for question, _ in self._waiting)
        self._waiting.clear()
        return asked

    def done(self, asked: tuple[Question, ...], request: "Asked | None") -> None:
        """Their picture is on its way to the models; None: there was no room for it."""
        for question in asked:
            if request is None:
                self._refuse(question, f"{self._camera} has no room for pictures.")
                continue
            self._counts["pictures-asked"] += 1
            self._replies.answer(question, {"camera": self._camera, "requestId": request.request_id})

    def _asked(self, question: Question) -> None:
        camera = question.data.get("camera", self._camera)
        if camera != self._camera:
            return
        if len(self._waiting) >= _MOST:
            self._refuse(question, f"{_MOST} pictures of {self._camera} are waited for already.")
            return
        timer = asyncio.get_running_loop().call_later(self._patience_s, self._late, question)
        self._waiting.append((question, timer))

    def _late(self, question: Question) -> None:
        kept = [(one, timer) for one, timer in self._waiting if one is not question]
        if len(kept) < len(self._waiting):
            self._waiting = deque(kept)
            self._refuse(question, f"The camera {self._camera} has delivered nothing for {self._patience_s:g} s.")

    def _refuse(self, question: Question, why: str) -> None:
        self._counts["pictures-refused"] += 1
        self._replies.refuse(question, RoostError(why, "See the camera's topic `status`, and ask again."))

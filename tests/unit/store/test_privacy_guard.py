"""A picture that shows somebody, or that nobody has looked at for people, does not leave the device."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.clock import SystemClock
from roost_broker.errors import FrameUnavailable
from roost_broker.frames import FrameStore
from roost_broker.headers import new_header
from roost_broker.messages import FrameRef, Input, Output, Request, Score, decode, encode
from roost_edge.privacy.guarded_frames import GuardedFrames
from roost_edge.privacy.judging import judge
from roost_edge.privacy.settings import PrivacySettings
from roost_models.archive.writing import Archive, Item

CLOCK = SystemClock()
GUARD = PrivacySettings(model="people", clear_score=0.6, wait_s=0)


def outputs(label: str, score: float) -> list[Output]:
    return [Output(label=label, score=score), Output(label="other", score=1 - score)]


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([], "unanswered"),
        ([outputs("no person", 0.9)], "clear"),
        ([outputs("no person", 0.59)], "withheld"),
        ([outputs("person", 0.51)], "withheld"),
        ([[]], "withheld"),
        ([outputs("no person", 0.9), outputs("person", 0.9)], "withheld"),
    ],
)
def test_only_a_sure_no_of_everybody_asked_lets_a_picture_pass(answers: list[list[Output]], verdict: str) -> None:
    assert judge(answers, GUARD) == verdict


@given(st.lists(st.tuples(st.sampled_from(["person", "no person"]), st.floats(0, 1)), max_size=4))
def test_a_person_is_never_clear(answers: list[tuple[str, float]]) -> None:
    found = judge([outputs(*one) for one in answers], GUARD)
    if not answers or any(label == "person" for label, _ in answers):
        assert found != "clear"


class Coop:
    """An archive with one picture, and the stores of those who would show it."""

    def __init__(self, folder: Path) -> None:
        self.frames = FrameStore(folder / "frames")
        self.archive_folder = folder / "archive"
        self.ref: FrameRef = self.frames.put(b"a picture", width=8, height=8)
        head = new_header(CLOCK, "coop", "t")._asdict()
        self.request_id = head["message_id"]
        self.request = Request(
            **head,
            request_id=self.request_id,
            return_address="roost/coop/nest/results/cam",
            deadline_ms=9,
            input=Input(frame=self.ref),
        )
        self.archive = Archive(self.archive_folder)
        self.write(self.request)

    def write(self, message: Request | Score) -> None:
        payload = encode(message)
        again = decode(payload)
        assert isinstance(again, Request | Score)
        self.archive.write([Item(payload, again, "nest", CLOCK.wall_ns())], self.frames)

    def score(self, label: str, model: str = "people") -> None:
        head = new_header(CLOCK, "coop", "t")._asdict()
        found = outputs(label, 0.9)
        self.write(Score(**head, request_id=self.request_id, model=model, version="1", outputs=found, runtime="t"))

    def shown(self, *archives: Path, root: Path | None = None) -> GuardedFrames:
        return GuardedFrames(root or self.frames.root, archives or (self.archive_folder,), GUARD, CLOCK)


@pytest.fixture
def coop(tmp_path: Path) -> Iterator[Coop]:
    found = Coop(tmp_path)
    yield found
    found.archive.close()


def withheld(store: GuardedFrames, ref: FrameRef) -> bool:
    with pytest.raises(FrameUnavailable, match="stays on the device") as caught:
        store.read(ref)
    with pytest.raises(PermissionError, match="stays on the device"):
        store.bytes_of(ref.sha256)
    return caught.value.reason == "withheld"


def test_a_picture_leaves_after_the_guard_has_answered_and_not_before(coop: Coop) -> None:
    store = coop.shown()
    assert withheld(store, coop.ref)
    coop.score("no person", model="champion")  # somebody else's word does not count
    assert withheld(store, coop.ref)
    coop.score("no person")
    assert store.read(coop.ref) == store.bytes_of(coop.ref.sha256) == b"a picture"


def test_a_picture_of_a_person_stays_and_is_archived_all_the_same(coop: Coop) -> None:
    coop.score("person")
    assert withheld(coop.shown(), coop.ref)
    assert withheld(coop.shown(root=coop.archive.frames.root), coop.ref)
    assert coop.archive.frames.read(coop.ref) == b"a picture"


def test_the_archive_of_another_task_may_know_and_none_or_a_damaged_one_lets_nothing_pass(
    coop: Coop, tmp_path: Path
) -> None:
    coop.score("no person")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "archive.db").write_bytes(b"no database at all")
    assert coop.shown(tmp_path / "none", damaged, coop.archive_folder).verdict(coop.ref.sha256) == "clear"
    assert withheld(coop.shown(tmp_path / "none", damaged), coop.ref)

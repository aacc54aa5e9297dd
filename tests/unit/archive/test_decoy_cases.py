"""A decoy's archive as cases."""

from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_broker.frames import FrameStore
from roost_broker.messages import (
    Answer,
    Declined,
    Hop,
    Input,
    Issued,
    Output,
    Provenance,
    Request,
    Result,
    Score,
    encode,
)
from roost_models.archive.cases import open_cases
from roost_models.archive.decoy_cases import PAGE
from roost_models.archive.writing import Archive

BOOT, LATER = "a" * 32, "b" * 32


def request(number: int, *, seq: int, boot: str = BOOT, node: str = "coop", path: bool = False) -> Request:
    return Request(
        timestamp=1_000 + number,
        message_id=f"{number:032x}",
        request_id=f"{number:032x}",
        return_address=f"roost/{node}/nest/results/cam",
        deadline_ms=1000,
        issued=Issued(boot=boot, seq=seq, monotonic_ns=1),
        provenance=Provenance(path=[Hop(node=node, component="camera")] if path else []),
        input=Input(values={"n": number}),
    )


def score(number: int, model: str) -> Score:
    return Score(
        timestamp=2_000,
        message_id=f"{model[0]}{number:030x}1".replace("m", "c"),
        request_id=f"{number:032x}",
        model=model,
        version="1",
        outputs=[Output(label="egg", score=0.1 + 0.2), Output(label="hen", score=1e-300)],
        compute_ms=1.25,
        batch=2,
        bundle="c" * 64,
        runtime="some runtime",
        saw="d" * 64,
    )


def declined(number: int, model: str) -> Declined:
    return Declined(
        timestamp=2_000,
        message_id=f"e{number:030x}2",
        request_id=f"{number:032x}",
        model=model,
        version="1",
        reason="behind",
        detail="so it is",
        saw="d" * 64,
    )


def fill(root: Path, *messages: Request | Score | Declined | Result) -> None:
    with Archive(root) as archive:
        for message in messages:
            archive.put(encode(message), task="nest", received_ns=1)


def test_a_case_has_the_exact_bytes_and_everything_that_was_said_as_it_was_said(tmp_path: Path) -> None:
    said = [score(1, "beta"), declined(1, "alpha")]
    result = Result(
        timestamp=3,
        message_id="f" * 32,
        request_id=f"{1:032x}",
        cause="preferred",
        answer=Answer(model="beta", version="1", label="egg", score=0.3),
        elapsed_ms=2.0,
        sla_ms=100,
    )
    asked = request(1, seq=1)
    fill(tmp_path, asked, *said, result)
    source = open_cases(tmp_path)
    (case,) = source.cases(task="nest")
    source.close()
    assert case.payload == encode(asked)
    assert (case.node, case.task, case.at_ms, case.request) == ("coop", "nest", 1_001, asked)
    assert case.replies == (said[1], said[0])  # in order of model
    assert case.result == result


def test_a_model_that_declined_and_then_answered_has_answered(tmp_path: Path) -> None:
    fill(tmp_path, request(1, seq=1), declined(1, "beta"), score(1, "beta"))
    source = open_cases(tmp_path)
    (case,) = source.cases(task="nest")
    source.close()
    assert [type(reply) for reply in case.replies] == [Score]


def test_cases_come_in_the_order_in_which_the_device_asked_page_by_page(tmp_path: Path) -> None:
    count = PAGE + 7
    numbers = [*range(count)]
    asked = [request(number, seq=count - number) for number in numbers]  # archived the other way round
    fill(tmp_path, *asked, request(count, seq=0, boot=LATER))
    source = open_cases(tmp_path)
    found = [int(case.request_id, 16) for case in source.cases(task="nest")]
    source.close()
    assert found == [*reversed(numbers), count]


def test_only_the_period_the_task_and_the_devices_asked_for(tmp_path: Path) -> None:
    fill(tmp_path, *(request(n, seq=n, node="north" if n % 2 else "south", path=n % 3 == 0) for n in range(10)))
    source = open_cases(tmp_path)
    period = [int(case.request_id, 16) for case in source.cases(task="nest", from_ms=1_003, until_ms=1_006)]
    north = [int(case.request_id, 16) for case in source.cases(task="nest", nodes=frozenset({"north"}))]
    assert list(source.cases(task="door")) == []
    source.close()
    assert (period, north) == ([3, 4, 5], [1, 3, 5, 7, 9])


def test_what_is_archived_meanwhile_is_not_part_of_it(tmp_path: Path) -> None:
    fill(tmp_path, *(request(n, seq=n) for n in range(3)))
    source = open_cases(tmp_path)
    cases = source.cases(task="nest")
    next(cases)
    fill(tmp_path, request(9, seq=9))
    assert [int(case.request_id, 16) for case in cases] == [1, 2]
    source.close()


def test_a_folder_without_an_archive_is_misuse(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="no archive"):
        open_cases(tmp_path)


def test_frames_are_read_from_the_archives_own_folder(tmp_path: Path) -> None:
    fill(tmp_path, request(1, seq=1))
    source = open_cases(tmp_path)
    assert isinstance(source.frames, FrameStore)
    assert source.frames.root == tmp_path / "frames"
    source.close()

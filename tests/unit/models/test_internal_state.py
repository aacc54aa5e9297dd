"""A model that is killed and started again goes on as its twin that never stopped (promises V10, D4)."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roost_broker.clock import SystemClock
from roost_broker.errors import Malformed
from roost_broker.frames import FrameStore
from roost_broker.messages import Input, Issued, Request, Score, encode
from roost_henhouse.recipe import BUNDLES
from roost_models.archive.writing import Archive, Item
from roost_models.bundle.checking import check_bundle
from roost_models.bundle.folder import Bundle
from roost_models.bundle.goldens import ramps
from roost_models.bundle.opening import open_bundle
from roost_models.bundle.writing import seal, write_bundle
from roost_models.decide import decide
from roost_models.inference.evaluation import Evaluator
from roost_models.inference.images import encode_png
from roost_models.inference.predictor import Predictor, PythonPredictor, Unusable, load_predictor
from roost_models.inference.warming import ModelFailed, warm_up
from roost_models.internal_state.keeper import InternalState, PastUnknown
from roost_models.internal_state.rebuild import StatePlace
from roost_models.internal_state.remembering import Remembering
from roost_models.replay import replay
from roost_models.scaffold.partition import Partition

MINUTE_MS = 60_000


def request(number: int, at_ms: int, camera: str = "nest") -> Request:
    return Request(
        timestamp=at_ms,
        message_id=f"{number + 10**9:032x}",
        request_id=f"{number:032x}",
        return_address="roost/coop/nest/results/nest",
        deadline_ms=1000,
        issued=Issued(boot="b" * 32, seq=number, monotonic_ns=number),
        tags={"camera": camera},
        input=Input(values={"number": number}),
    )


class Twin:
    """A model with internal state as a scaffold runs it, without the broker."""

    def __init__(self, bundle: Bundle, place: StatePlace, partition: Partition = Partition()) -> None:  # noqa: B008 — frozen
        self.bundle, self.place, self.partition = bundle, place, partition
        self.begin()

    def begin(self) -> None:
        predictor = load_predictor(self.bundle)
        self.remembering = Remembering(self.bundle, predictor, self.place, self.partition.takes, self.partition.part)
        self.restored = self.remembering.restore()
        self.evaluator = Evaluator(
            predictor,
            FrameStore(self.place.archive),
            SystemClock().monotonic_ns,
            threading.Event(),
            self.remembering.past,
        )

    def killed(self) -> None:
        """Nothing is saved; what is on disk is all that is left."""
        self.remembering._files.close()
        self.begin()

    def stopped(self) -> None:
        self.remembering.close()
        self.begin()

    def answers(self, asked: Sequence[Request]) -> list[Any]:
        for one in asked:
            self.remembering.observe(one)
        return [(outcome.outputs, outcome.failure) for outcome in self.evaluator.evaluate(asked, [None] * len(asked))]


@pytest.fixture
def visits() -> Bundle:
    return open_bundle(BUNDLES / "visits")


def with_contract(folder: Path, **contract: Any) -> Bundle:
    fields: dict[str, Any] = {
        **{"name": "visits", "version": "1", "task": "nest", "engine": "python", "entry": "model.py"},
        **{"labels": ["quiet", "usual", "busy"], "licence": "Apache-2.0", "pure": False, "internal_state": contract},
    }
    return write_bundle(folder, fields, {"model.py": (BUNDLES / "visits" / "model.py").read_bytes()})


def archive(folder: Path, asked: Sequence[Request]) -> None:
    with Archive(folder) as writer:
        writer.write([Item(encode(one), one, "nest", 1) for one in asked])


def story(gap_ms: Callable[[int], int]) -> list[Request]:
    at, asked = 0, []
    for number in range(1, 400):
        at += gap_ms(number)
        asked.append(request(number, at, "nest" if number % 3 else "door"))
    return asked


STORY = story(lambda number: (number % 9) * 40_000)
CLOCK_SET_BACK = story(lambda number: (number % 9) * 40_000 - (number % 17 == 0) * 30 * MINUTE_MS)


@pytest.mark.parametrize(
    ("contract", "told"),
    [
        ({"restore": "snapshot", "snapshot_every": 25}, STORY),
        ({"restore": "snapshot", "snapshot_every": 25}, CLOCK_SET_BACK),
        ({"restore": "window", "window_s": 3720}, STORY),
    ],
    ids=["snapshot", "snapshot, clock set back", "window"],
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ends=st.lists(st.tuples(st.integers(1, 120), st.booleans()), min_size=1, max_size=5))
def test_a_model_restarted_anywhere_answers_as_its_twin_that_never_stopped(
    tmp_path_factory: pytest.TempPathFactory,
    contract: dict[str, Any],
    told: list[Request],
    ends: list[tuple[int, bool]],
) -> None:
    folder = tmp_path_factory.mktemp("twins")
    bundle = with_contract(folder / "bundle", **contract)
    steady = Twin(bundle, StatePlace(folder / "steady", folder / "archive"))
    shaken = Twin(bundle, StatePlace(folder / "shaken", folder / "archive"))
    at = 0
    for length, killed in ends:
        asked = told[at : at + length]
        archive(folder / "archive", asked)
        assert shaken.answers(asked) == steady.answers(asked)
        at += length
        if killed:
            shaken.killed()
        else:
            shaken.stopped()
        assert not shaken.restored.behind


def test_requests_that_came_while_it_was_away_and_those_delivered_again_count_once(
    visits: Bundle, tmp_path: Path
) -> None:
    steady = Twin(visits, StatePlace(tmp_path / "steady", tmp_path / "archive"))
    shaken = Twin(visits, StatePlace(tmp_path / "shaken", tmp_path / "archive"))
    first, while_away, after = STORY[:50], STORY[50:80], STORY[80:120]
    archive(tmp_path / "archive", first)
    assert shaken.answers(first) == steady.answers(first)
    archive(tmp_path / "archive", while_away)
    shaken.killed()  # rolls forward over `while_away` from the archive
    expected = steady.answers(while_away)
    # The broker delivers them all the same, the last of `first` too: it had not been acknowledged.
    assert shaken.answers([first[-1], *while_away])[1:] == expected
    assert shaken.answers(after) == steady.answers(after)


def test_a_model_new_to_the_device_begins_with_what_the_archive_knows(visits: Bundle, tmp_path: Path) -> None:
    old = Twin(visits, StatePlace(tmp_path / "old", tmp_path / "archive"))
    archive(tmp_path / "archive", STORY[:200])
    old.answers(STORY[:200])
    new = Twin(visits, StatePlace(tmp_path / "new", tmp_path / "archive"))
    assert new.restored.rolled_forward == 200
    assert new.answers(STORY[200:260]) == old.answers(STORY[200:260])


def test_a_decoy_that_is_behind_is_said_and_reading_on_mends_it(visits: Bundle, tmp_path: Path) -> None:
    twin = Twin(visits, StatePlace(tmp_path / "state", tmp_path / "archive"))
    steady = Twin(visits, StatePlace(tmp_path / "steady", tmp_path / "archive"))
    asked = STORY[:30]
    twin.answers(asked)
    steady.answers(asked)
    twin.killed()
    assert twin.restored.behind  # there is no archive at all
    archive(tmp_path / "archive", asked[:20])
    assert twin.remembering.restore().behind
    archive(tmp_path / "archive", asked[20:])
    assert not twin.remembering.restore().behind
    assert twin.answers(STORY[30:60]) == steady.answers(STORY[30:60])


def test_an_archive_that_lacks_the_snapshots_newest_request_makes_nothing_count_twice(
    visits: Bundle, tmp_path: Path
) -> None:
    """1. More requests than pasts are kept. 2. Stopped in order. 3. Started before the decoy has archived the last."""
    asked = [request(number, number * 1000) for number in range(1, 2102)]
    twin = Twin(visits, StatePlace(tmp_path / "state", tmp_path / "archive"))
    archive(tmp_path / "archive", asked[:-1])
    twin.answers(asked)
    twin.stopped()
    assert (twin.restored.behind, twin.restored.rolled_forward) == (True, 0)
    archive(tmp_path / "archive", asked[-1:])
    found = twin.remembering.restore()
    assert (found.behind, found.rolled_forward) == (False, 0)


def test_a_snapshot_of_another_number_of_replicas_is_rebuilt_from_the_archive(visits: Bundle, tmp_path: Path) -> None:
    """1. Three replicas. 2. Two: each takes keys over of which its snapshot knows nothing."""
    place = StatePlace(tmp_path / "state", tmp_path / "archive")
    asked = [request(number, number, f"camera-{number % 20}") for number in range(1, 101)]
    archive(tmp_path / "archive", asked)
    of_three, of_two = Partition(1, 3, "camera"), Partition(1, 2, "camera")
    Twin(visits, place, of_three).remembering.close()
    again = Twin(visits, place, of_three)
    again.remembering.save()
    assert Twin(visits, place, of_three).restored.from_snapshot
    found = Twin(visits, place, of_two).restored
    assert not found.from_snapshot
    assert found.rolled_forward == sum(of_two.takes(one) for one in asked)


def test_a_damaged_snapshot_and_that_of_another_version_are_rebuilt_from_the_archive(
    visits: Bundle, tmp_path: Path
) -> None:
    place = StatePlace(tmp_path / "state", tmp_path / "archive")
    steady = Twin(visits, StatePlace(tmp_path / "steady", tmp_path / "archive"))
    archive(tmp_path / "archive", STORY[:150])
    twin = Twin(visits, place)
    twin.answers(STORY[:150])
    steady.answers(STORY[:150])
    twin.remembering.close()
    for damaged in (b"", b"{", b'{"schema":"roost.internal-state/1"}'):
        (place.folder / "snapshot.json").write_bytes(damaged)
        twin = Twin(visits, place)
        assert not twin.restored.from_snapshot
        assert twin.restored.rolled_forward == 150
    other = Twin(with_contract(tmp_path / "other"), place)
    assert not other.restored.from_snapshot
    assert twin.answers(STORY[150:200]) == steady.answers(STORY[150:200])


def test_the_order_of_the_stream_decides_and_not_when_a_request_is_evaluated(visits: Bundle, tmp_path: Path) -> None:
    prompt = Twin(visits, StatePlace(tmp_path / "prompt", tmp_path / "archive"))
    late = Twin(visits, StatePlace(tmp_path / "late", tmp_path / "archive"))
    expected = [prompt.answers([one])[0] for one in STORY[:60]]
    assert late.answers(STORY[:60]) == expected
    backwards = late.evaluator.evaluate(STORY[59::-1], [None] * 60)
    assert [(outcome.outputs, outcome.failure) for outcome in backwards] == expected[::-1]


def state_of(make_bundle: Callable[..., Bundle], source: str) -> InternalState:
    bundle = make_bundle(
        files={"model.py": source.encode()}, pure=False, internal_state={"restore": "snapshot"}, input=None
    )
    predictor: Predictor = load_predictor(bundle)
    assert isinstance(predictor, PythonPredictor)
    return InternalState(predictor.model, bundle.digest, remember=3)


PREDICT = "\ndef predict(image, context):\n    return {'egg': 1.0}\n"


def test_an_observe_that_raises_costs_that_request_and_no_other(make_bundle: Callable[..., Bundle]) -> None:
    state = state_of(
        make_bundle,
        "def observe(memory, context):\n    memory['n'] = memory.get('n', 0) + 1\n"
        "    if context.values['number'] == 2:\n        raise SystemExit('no')\n    return memory['n']\n" + PREDICT,
    )
    for number in (1, 2, 3):
        assert state.observe(request(number, number))
    assert (state.past(request(1, 1).request_id), state.past(request(3, 3).request_id)) == (1, 3)
    with pytest.raises(PastUnknown, match="SystemExit: no"):
        state.past(request(2, 2).request_id)


def test_what_observe_returned_does_not_change_with_the_state_it_came_from(make_bundle: Callable[..., Bundle]) -> None:
    source = (
        "def observe(memory, context):\n    seen = memory.setdefault('seen', [])\n"
        "    seen.append(context.values['number'])\n    return seen\n"
    )
    state = state_of(make_bundle, source + PREDICT)
    for number in (1, 2):
        state.observe(request(number, number))
    assert state.past(request(1, 1).request_id) == [1]


def test_a_model_without_an_empty_state_is_refused_with_its_own_words(make_bundle: Callable[..., Bundle]) -> None:
    source = "def fresh():\n    raise KeyError('hen')\n\ndef observe(memory, context):\n    return 1\n"
    with pytest.raises(Malformed, match=r"fresh\(\) raised KeyError: 'hen'"):
        state_of(make_bundle, source + PREDICT)


def test_no_more_pasts_are_kept_than_agreed(make_bundle: Callable[..., Bundle]) -> None:
    state = state_of(make_bundle, "def observe(memory, context):\n    return 1\n" + PREDICT)
    for number in range(1, 6):
        state.observe(request(number, number))
    assert state.past(request(5, 5).request_id) == 1
    with pytest.raises(PastUnknown, match="forgotten"):
        state.past(request(1, 1).request_id)


@pytest.mark.parametrize("value", ["(1, 2)", "{1: 2}", "{1, 2}", "object()", "float('nan')"])
def test_a_state_that_json_would_change_is_refused_when_it_is_saved(
    make_bundle: Callable[..., Bundle], value: str
) -> None:
    state = state_of(make_bundle, f"def observe(memory, context):\n    memory['x'] = {value}\n" + PREDICT)
    state.observe(request(1, 1))
    with pytest.raises(Malformed, match="internal state"):
        state.snapshot()


def test_a_model_that_announces_state_and_does_not_observe_is_refused(make_bundle: Callable[..., Bundle]) -> None:
    with pytest.raises(Malformed, match="no function 'observe'"):
        state_of(make_bundle, PREDICT)


def test_cameras_that_fell_silent_are_forgotten_whatever_names_were_asked_about(visits: Bundle, tmp_path: Path) -> None:
    twin = Twin(visits, StatePlace(tmp_path / "state", tmp_path / "archive"))
    twin.answers([request(number, number * MINUTE_MS, f"camera-{number}") for number in range(1, 500)])
    twin.remembering.save()
    assert (tmp_path / "state" / "snapshot.json").read_bytes().count(b'"camera-') < 70


def test_replay_observes_the_whole_archive_and_reproduces_every_score_to_the_bit(
    visits: Bundle, tmp_path: Path
) -> None:
    twin = Twin(visits, StatePlace(tmp_path / "state", tmp_path / "archive"))
    predictor = load_predictor(visits)
    with Archive(tmp_path / "archive") as writer:
        for one in STORY[:120]:
            [(outputs, failure)] = twin.answers([one])
            assert failure is None
            score = Score(
                timestamp=1,
                message_id=f"{int(one.request_id, 16) + 2 * 10**9:032x}",
                request_id=one.request_id,
                model="visits",
                version="0.1.0",
                outputs=outputs,
                bundle=visits.digest,
                runtime=predictor.runtime,
            )
            writer.write([Item(encode(one), one, "nest", 1), Item(encode(score), score, "nest", 1)])
        whole = replay(writer, visits)
        tail = replay(writer, visits, limit=10)
    assert (whole.compared, whole.exact) == (120, True)
    assert (tail.compared, tail.exact) == (10, True)


def test_only_models_that_remember_pay_for_a_database() -> None:
    code = "import sys, roost_models.scaffold.role; sys.exit('sqlite3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_golden_without_a_past_is_evaluated_as_the_first_request_the_model_ever_sees(
    make_bundle: Callable[..., Bundle],
) -> None:
    source = "def fresh():\n    return {'seen': 0}\n"
    source += "def observe(memory, context):\n    memory['seen'] += 1\n"
    source += "    return memory['seen'] + context.values['more']\n"
    source += "def predict(image, context):\n    return {'dark': context.past / 10}\n"
    fields: dict[str, Any] = {"pure": False, "internal_state": {"restore": "snapshot"}, "input": None}
    goldens: list[dict[str, Any]] = [{"values": {"more": 2}}, {"values": {"more": 2}, "past": 7}]
    folder = make_bundle(source.replace("dark", "before"), goldens=goldens, labels=["before"], **fields).root
    seal(folder, goldens=True)
    (folder / "model.py").write_text(source, encoding="utf-8")
    text = (folder / "manifest.json").read_text(encoding="utf-8")
    relabelled = {**json.loads(text), "labels": ["bright", "dark"]}
    (folder / "manifest.json").write_text(json.dumps(relabelled), encoding="utf-8")
    sealed = seal(folder, goldens=True)  # though the goldens still name a label that is no more
    scores = [golden.outputs[0].score for golden in sealed.manifest.goldens]
    assert scores == [0.3, 0.7]
    assert sealed.manifest.goldens[0].past is None
    report = check_bundle(sealed.root)
    assert (report.ok, report.problems) == (True, [])
    warm_up(sealed)
    broken = make_bundle(source.replace("return memory", "raise KeyError; return memory"), goldens=goldens, **fields)
    with pytest.raises(ModelFailed, match="cannot observe: KeyError"):
        warm_up(broken)


def test_a_model_that_remembers_is_asked_directly_as_if_for_the_first_time(make_bundle: Callable[..., Bundle]) -> None:
    source = "def observe(memory, context):\n    return 0.5\n"
    source += "def predict(image, context):\n    return {'dark': context.past}\n"
    fields: dict[str, Any] = {"pure": False, "internal_state": {"restore": "snapshot"}, "input": None}
    picture = encode_png(ramps())
    decision = decide(picture, make_bundle(source, **fields), clock=SystemClock(), node="here")
    assert decision.score.outputs[0].score == 0.5
    broken = make_bundle(source.replace("return 0.5", "raise KeyError"), **fields)
    with pytest.raises(Unusable, match="could not observe"):
        decide(picture, broken, clock=SystemClock(), node="here")

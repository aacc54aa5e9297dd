"""Replay and evaluation against calling the interpreter directly on the same pictures, in blocks that take turns.

The baseline does nothing but its work: read the file, decode, preprocess, invoke, one picture after the other. Replay
also reads the archive, verifies each frame, checks the request, orders the outputs and compares them with what was
archived; evaluation moreover asks two models in a child process. A ratio of 1 would mean that all this is free.
"""

import hashlib
import io
import os
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image
from report import Outcome, Say, at_least

from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.messages import Input, Issued, Request, Score, encode
from roost_broker.topics import NodeTopics
from roost_henhouse.scene import still
from roost_henhouse.truth import LABELS
from roost_models.archive.cases import open_cases
from roost_models.archive.reading import ArchiveReader
from roost_models.archive.writing import Archive
from roost_models.assessment.assessing import put_to
from roost_models.assessment.child import Limits
from roost_models.assessment.crew import LocalCrew, begin_with
from roost_models.assessment.questions import Asking, questions
from roost_models.assessment.tally import Tally
from roost_models.bundle.environment import engines_here
from roost_models.bundle.folder import Bundle
from roost_models.bundle.importing import ImportChoices, import_bundle
from roost_models.bundle.opening import open_bundle
from roost_models.inference.images import decode
from roost_models.inference.interpreter import TfliteModel
from roost_models.inference.predictor import ModelInput, load_predictor, picture
from roost_models.inference.preprocess import pixels, tensor
from roost_models.replay import replay

ROOT = Path(__file__).resolve().parents[2]
SMALL = ROOT / "models" / "henhouse" / "bundles" / "champion"
TASK = "henhouse"
SHARE = 0.8
"""What the specification asks for."""


def run(quick: bool, say: Say) -> Outcome:
    """See the module."""
    requests, rounds = (150, 3) if quick else (600, 7)
    outcome = Outcome(data={"requests": requests, "rounds": rounds})
    with tempfile.TemporaryDirectory() as folder:
        stills = _stills(Path(folder) / "pictures", min(requests, 200), say)
        found = {"small": open_bundle(SMALL)}
        large = _large(Path(folder))
        if large is not None:
            found["large"] = large
        for size, bundle in found.items():
            # A large one takes some 0.1 s for each picture.
            count, turns = (requests, rounds) if size == "small" else (max(50, requests // 10), min(rounds, 3))
            say(f"{size}: archiving {count} requests of {bundle.manifest.name}")
            place = _Place(Path(folder) / size, bundle, stills, count)
            outcome.data[size] = figures = _measure(place, turns, say)
            outcome.goals += [
                at_least(
                    f"F11-{size}", f"replay, {size} model: share of the direct speed", "", figures["replay"], SHARE
                ),
                at_least(
                    f"F11-{size}-2", f"evaluation of two, {size}: share, one worker", "", figures["evaluate"], SHARE
                ),
            ]
            outcome.lines += [
                f"{size} ({bundle.manifest.name}): direct {figures['direct_per_s']}/s, "
                f"replay {figures['replay_per_s']}/s; two models: "
                f"direct {figures['direct_two_per_s']}/s, evaluated {figures['evaluate_per_s']}/s, "
                f"with two workers {figures['evaluate_2_per_s']}/s"
            ]
    if "large" not in found:
        outcome.goals.append(at_least("F11-large", "replay, large model (not at hand)", "", None, SHARE))
    return outcome


class _Place:
    """An archive with a bundle's scores, and the same pictures as files."""

    def __init__(self, root: Path, bundle: Bundle, stills: list[bytes], count: int) -> None:
        self.archive, self.bundle = root / "archive", bundle
        capture = FrameStore(root / "capture")
        predictor = load_predictor(bundle)
        said = [predictor.predict([ModelInput(image=picture(data, predictor))])[0] for data in stills]
        self.files: list[Path] = []
        with Archive(self.archive) as archive:
            for number in range(count):
                data = stills[number % len(stills)]
                ref = capture.put(data, width=640, height=480)
                at = 1_760_000_000_000 + number * 1000
                payload = encode(
                    Request(
                        timestamp=at,
                        message_id=new_id(number, b"m" * 10),
                        request_id=f"{number:032x}",
                        return_address=NodeTopics("bench").task(TASK).results("cam"),
                        deadline_ms=60_000,
                        issued=Issued(boot="b" * 32, seq=number, monotonic_ns=number),
                        input=Input(frame=ref),
                    )
                )
                archive.put(payload, task=TASK, received_ns=at * 1_000_000, source=capture)
                score = Score(
                    timestamp=at,
                    message_id=f"{number:031x}f",
                    request_id=f"{number:032x}",
                    model="champion",
                    version=bundle.manifest.version,
                    outputs=said[number % len(stills)],
                    bundle=bundle.digest,
                    runtime=predictor.runtime,
                    saw=hashlib.sha256(payload).hexdigest(),
                )
                archive.put(encode(score), task=TASK, received_ns=at * 1_000_000)
                self.files.append(self._frame(ref.sha256))

    def _frame(self, sha256: str) -> Path:
        return FrameStore(self.archive / "frames").path(sha256)


def _measure(place: _Place, rounds: int, say: Say) -> dict[str, Any]:
    """Everything by turns, so that a busy moment of the machine hits each alike; medians of ratios within a round."""
    direct_one, direct_two = _direct(place, 1), _direct(place, 2)
    direct_one()  # warm: the file cache, the interpreter's first invocation
    took: dict[str, list[float]] = {key: [] for key in ("direct", "replay", "direct_two", "evaluate", "evaluate_2")}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        took["direct"].append(_seconds(direct_one))
        took["replay"].append(_replay(place))
        took["direct_two"].append(_seconds(direct_two))
        took["evaluate"].append(_evaluate(place, 1))
        took["evaluate_2"].append(_evaluate(place, 2))
    count = len(place.files)
    pairs = zip(took["direct"], took["replay"], strict=True)
    pairs_two = zip(took["direct_two"], took["evaluate"], strict=True)
    figures: dict[str, Any] = {f"{key}_per_s": round(count / median(values), 1) for key, values in took.items()}
    return {
        **figures,
        "model": place.bundle.manifest.name,
        "replay": round(median(base / measured for base, measured in pairs), 3),
        "evaluate": round(median(base / measured for base, measured in pairs_two), 3),
    }


def _direct(place: _Place, models: int) -> Callable[[], None]:
    """The plain loop: a picture is decoded once, and prepared once, for all models."""
    manifest = place.bundle.manifest
    contract = manifest.input
    assert contract is not None
    content = place.bundle.read(manifest.entry)
    interpreters = []
    for _ in range(models):
        model = TfliteModel(content, engines_here(manifest))
        interpreters.append(model._interpreter(1))
    ends = [(one, one.get_input_details()[0]["index"], one.get_output_details()[0]["index"]) for one in interpreters]

    def loop() -> None:
        for path in place.files:
            prepared = tensor(pixels(decode(path.read_bytes()), contract), contract)[np.newaxis]
            for interpreter, into, out in ends:
                interpreter.set_tensor(into, prepared)
                interpreter.invoke()
                interpreter.get_tensor(out)

    return loop


def _replay(place: _Place) -> float:
    """Seconds of the replay alone, the loading of the model left out as in the baseline."""
    with ArchiveReader(place.archive) as reader:
        found = replay(reader, place.bundle)
    assert found.exact, found
    return found.seconds


def _evaluate(place: _Place, workers: int) -> float:
    """Seconds from the first request that is read to the last verdict counted; the processes have started before."""
    limits, both = Limits(), {"candidate": place.bundle, "champion": place.bundle}
    source = open_cases(place.archive)
    crew = LocalCrew(begin_with(both, source.frames.root, 0.0, limits), limits, workers)
    asking = Asking(champion=place.bundle.digest, runtime=load_predictor(place.bundle).runtime)
    try:
        first = [question for question, _ in islice(questions(source.cases(task=TASK), asking), workers)]
        for handle in [crew.submit([question]) for question in first]:
            crew.result(handle)
        tally = Tally(compared=True, tolerance=0.0)
        started = time.perf_counter()
        for _ in put_to(crew, questions(source.cases(task=TASK), asking), tally):
            pass
        took = time.perf_counter() - started
    finally:
        crew.close()
        source.close()
    agreement = tally.agreement()
    assert agreement is not None
    assert agreement.identical == len(place.files)
    assert tally.side("champion").reproduced == len(place.files)
    return took


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _stills(folder: Path, count: int, say: Say) -> list[bytes]:
    say(f"rendering {count} pictures")
    made = []
    for number in range(count):
        rgb, _ = still(LABELS[number % len(LABELS)], 51_000_000 + number)
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(buffer, "JPEG", quality=88)
        made.append(buffer.getvalue())
    return made


def _large(folder: Path) -> Bundle | None:
    """A MobileNet of 224 pixels from the shared data, where it is at hand."""
    shared = Path(os.environ.get("ROOST_SHARED_DATA", ROOT.parent / "shared" / "data")) / "models"
    model, labels = shared / "mobilenet_v2_1.0_224_inat_bird_quant.tflite", shared / "inat_bird_labels.txt"
    if not model.is_file() or not labels.is_file():
        return None
    choices = ImportChoices(name="bird", version="1", task=TASK, licence="Apache-2.0")
    return import_bundle(model, labels, folder / "bird", choices).bundle

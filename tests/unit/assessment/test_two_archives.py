"""The same requests in a device's archive and in the centre's: the evaluation is the same."""

from pathlib import Path
from typing import Any

import msgspec

from roost_broker.centre.envelope import Envelope
from roost_broker.centre.lanes import lane_of
from roost_broker.messages import encode
from roost_models.archive.cases import CaseSource, open_cases
from roost_models.assessment.assessing import Wanted, assess
from roost_models.assessment.gate import Gate
from roost_models.assessment.report import Assessment, Ratios
from roost_models.bundle.folder import Bundle
from roost_models.central.staging import Staging

DARKER = """
def predict(image, context):
    brightness = float(image.mean()) / 255 * 0.8
    return {"bright": brightness, "dark": 1 - brightness}
"""


def to_the_centre(source: CaseSource, root: Path) -> None:
    """What a gateway and an archiver make of a device's messages, whole and in order."""
    envelopes = []
    for seq, case in enumerate(source.cases(task="nest"), start=1):
        said = [("input", case.payload), *((f"scores/{reply.model}", encode(reply)) for reply in case.replies)]
        for end, data in said:
            topic = f"roost/{case.node}/nest/{end}"
            lane = lane_of(topic)
            assert lane is not None
            envelopes.append(Envelope(topic, data, case.node, "1" * 32, lane, seq, case.at_ms, stored_ms=case.at_ms))
        ref = case.request.input.frame
        assert ref is not None
        target = root / "frames" / source.frames.relative_path(ref.sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.frames.read(ref))
    staging = Staging(root)
    staging.put(envelopes)
    staging.close()


def evaluated(source: CaseSource, candidate: Bundle, champion: Bundle) -> Assessment:
    report = assess(source, candidate, champion, Wanted(task="nest", archive="x", workers=1), Gate())
    assert report.fault is None
    sides = {
        name: None if side is None else msgspec.structs.replace(side, latency=None, memory=None, load_ms=None)
        for name, side in (("candidate_side", report.candidate_side), ("champion_side", report.champion_side))
    }
    return msgspec.structs.replace(report, made_at_ms=0, seconds=0, ratios=Ratios(), device=None, **sides)


def test_a_device_and_the_centre_give_the_same_report(archive: Any, make_bundle: Any, tmp_path: Path) -> None:
    champion, candidate = make_bundle(), make_bundle(DARKER)
    archive.add(50, scores=champion)
    here = open_cases(archive.root)
    to_the_centre(here, tmp_path / "centre")
    there = open_cases(tmp_path / "centre")
    one, two = evaluated(here, candidate, champion), evaluated(there, candidate, champion)
    here.close()
    there.close()
    assert one.champion_side is not None
    assert one.champion_side.reproduced == 50
    assert one == two

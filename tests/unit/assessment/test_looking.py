"""One picture for two models."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roost_broker.errors import FrameUnavailable
from roost_broker.frames import FrameStore
from roost_models.assessment.looking import Looking, SharedPicture
from roost_models.bundle.folder import Bundle
from roost_models.inference.images import decode, encode_png
from roost_models.inference.predictor import load_predictor

RGB = np.random.default_rng(1).integers(0, 255, (30, 40, 3), dtype=np.uint8)
PICTURE = encode_png(RGB)


def test_a_picture_is_decoded_once_and_prepared_once_for_equal_contracts(champion: Bundle, tmp_path: Path) -> None:
    shared = SharedPicture(tmp_path)
    one, other = (Looking(load_predictor(champion), champion.manifest, shared) for _ in range(2))
    rgb = shared.decode(PICTURE)
    assert shared.decode(PICTURE) is rgb
    prepared = one.preprocess(rgb)
    assert prepared is not None
    assert other.preprocess(shared.decode(PICTURE)) is prepared
    assert np.array_equal(prepared, load_predictor(champion).preprocess(decode(PICTURE)))


def test_another_contract_gets_its_own_and_a_python_model_a_copy(make_bundle: Any, tmp_path: Path) -> None:
    shared = SharedPicture(tmp_path)
    small, wide = make_bundle(), make_bundle(input={"width": 16, "height": 6})
    looking = [Looking(load_predictor(bundle), bundle.manifest, shared) for bundle in (small, small, wide)]
    found = [one.preprocess(shared.decode(PICTURE)) for one in looking]
    shapes = [None if one is None else one.shape for one in found]
    assert shapes == [(6, 8, 3), (6, 8, 3), (6, 16, 3)]
    assert found[0] is not found[1]
    assert np.array_equal(found[0], found[1])


def test_the_next_picture_is_not_taken_for_the_last_one(make_bundle: Any, tmp_path: Path) -> None:
    shared = SharedPicture(tmp_path)
    bundle = make_bundle()
    looking = Looking(load_predictor(bundle), bundle.manifest, shared)
    first = looking.preprocess(shared.decode(PICTURE))
    second = looking.preprocess(shared.decode(encode_png(255 - RGB)))
    assert first is not None
    assert not np.array_equal(first, second)


def test_a_carried_picture_needs_no_folder_and_one_that_was_missing_stays_missing_with_its_reason(
    tmp_path: Path,
) -> None:
    ref = FrameStore(tmp_path / "elsewhere").put(PICTURE, width=40, height=30)
    shared = SharedPicture(tmp_path / "nothing")
    shared.carry(ref.sha256, PICTURE, "")
    assert shared.read(ref) == PICTURE
    gone = SharedPicture(tmp_path / "nothing")
    gone.carry(ref.sha256, None, "truncated")
    with pytest.raises(FrameUnavailable) as caught:
        gone.read(ref)
    assert caught.value.reason == "truncated"

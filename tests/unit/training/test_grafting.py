"""Cutting a classifier off a real `.tflite`, and grafting a head onto it."""

from collections import Counter
from contextlib import suppress

import numpy as np
import pytest

from roost_broker.errors import Malformed, Misuse
from roost_models.bundle.folder import Bundle
from roost_models.inference.interpreter import TfliteModel
from roost_models.training import flatfile
from roost_models.training.flatfile import Table, root
from roost_models.training.grafting import cut, ending, graft

FEATURES = 192


def shown(count: int) -> np.ndarray:
    return np.random.default_rng(3).uniform(-1, 1, (count, 96, 96, 3)).astype(np.float32)


def constants(content: bytes) -> list[np.ndarray]:
    """Every float32 constant of a file, by its shape."""
    model = root(content)
    graph = model.tables(flatfile.MODEL_SUBGRAPHS)[0]
    buffers = model.tables(flatfile.MODEL_BUFFERS)
    found = []
    for tensor in graph.tables(flatfile.GRAPH_TENSORS):
        start, length = buffers[tensor.number(flatfile.TENSOR_BUFFER)].vector(flatfile.BUFFER_DATA)
        shape = tensor.integers(flatfile.TENSOR_SHAPE)
        if tensor.number(flatfile.TENSOR_TYPE, "<b") == 0 and length == 4 * int(np.prod(shape)):
            found.append(np.frombuffer(content, "<f4", length // 4, start).reshape(shape))
    return found


def test_the_champion_cut_and_given_its_own_last_layer_again_scores_as_before(champion: Bundle) -> None:
    content = champion.read("model.tflite")
    weights = next(values for values in constants(content) if values.shape == (7, FEATURES))
    bias = next(values for values in constants(content) if values.shape == (7,))
    again = graft(cut(content), weights, bias)
    before, after = TfliteModel(content).run(shown(4)), TfliteModel(again).run(shown(4))
    assert before.std() > 0.01
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_a_cut_model_gives_features_alone_and_in_a_batch(champion: Bundle) -> None:
    content = champion.read("model.tflite")
    end = ending(content)
    assert (end.features, end.classifier) == (FEATURES, True)
    model = TfliteModel(cut(content))
    together = model.run(shown(4))
    assert together.shape == (4, FEATURES)
    assert np.array_equal(together[2], model.run(shown(4)[2:3])[0])


def test_what_ends_in_features_is_left_as_it_is(embedder: Bundle) -> None:
    content = embedder.read("backbone.tflite")
    assert not ending(content).classifier
    assert cut(content) == content


def test_the_end_is_kept_on_request(champion: Bundle) -> None:
    end = ending(champion.read("model.tflite"), keep_end=True)
    assert (end.features, end.classifier) == (7, False)


def test_the_old_bytes_are_in_the_new_file_as_they_were(champion: Bundle) -> None:
    content = champion.read("model.tflite")
    weights, bias = np.zeros((2, FEATURES), np.float32), np.zeros(2, np.float32)
    grafted = graft(cut(content), weights, bias)
    assert content in grafted
    assert (grafted.index(content) % flatfile.ALIGNMENT, len(grafted) < len(content) + 8_000) == (0, True)
    np.testing.assert_array_equal(TfliteModel(grafted).run(shown(1)), [[0.5, 0.5]])


def test_a_head_for_other_features_is_refused(embedder: Bundle) -> None:
    with pytest.raises(Misuse, match="takes 5 features, the model gives 192"):
        graft(embedder.read("backbone.tflite"), np.zeros((2, 5), np.float32), np.zeros(2, np.float32))


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"PK\x03\x04 no model at all"])
def test_what_is_no_tflite_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed, match=r"not a \.tflite"):
        ending(content)


def test_a_truncated_file_is_refused_and_never_read_beyond_its_end(champion: Bundle) -> None:
    content = champion.read("model.tflite")
    refused = 0
    for length in range(8, len(content), 7919):
        with suppress(Malformed):
            ending(content[:length])
            continue
        refused += 1
    assert refused > 0


def test_a_file_of_which_any_number_is_damaged_is_read_or_refused_and_nothing_else(champion: Bundle) -> None:
    content = champion.read("model.tflite")
    random = np.random.default_rng(9)
    words = np.frombuffer(content[: len(content) // 4 * 4], "<i4")
    telling = np.flatnonzero(np.abs(words.astype(np.int64)) < 200_000)  # offsets and numbers, not weights
    counted = Counter[str]()
    for place in random.choice(telling, 600, replace=False):
        damaged = bytearray(content)
        damaged[4 * place : 4 * place + 4] = int(random.choice([0, 1, 77, 2**31 - 1, 2**32 - 1])).to_bytes(4, "little")
        try:
            cut(bytes(damaged))
            counted["read"] += 1
        except (Malformed, Misuse):
            counted["refused"] += 1
    assert counted["refused"] > 5


def test_a_model_without_tensors_or_operators_is_damaged(champion: Bundle) -> None:
    whole = champion.read("model.tflite")
    model = root(whole)
    graph = model.tables(flatfile.MODEL_SUBGRAPHS)[0]
    for start, _ in (graph.vector(flatfile.GRAPH_TENSORS), model.vector(flatfile.MODEL_CODES)):
        content = bytearray(whole)
        content[start - 4 : start] = bytes(4)  # its length
        with pytest.raises(Malformed, match="refers to a part that it does not have"):
            cut(bytes(content))


def test_an_offset_before_the_file_is_damage() -> None:
    with pytest.raises(Malformed, match="before its beginning"):
        Table((1000).to_bytes(4, "little") + bytes(64), 0).place(0)

"""Cut the classifier off a `.tflite`, and graft a trained head onto what is left.

What it does not do: shrink the file. The weights of a classifier that was cut off stay in it as dead bytes (the last
layer of the henhouse's champion is 5 of its 420 kB).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roost_broker.errors import Misuse
from roost_models.training import flatfile as f
from roost_models.training.flatfile import Front, Table, numbers_may_lie, root

# Numbers of operators and of their options in the schema.
_DEQUANTIZE, _FULLY_CONNECTED, _RESHAPE, _SOFTMAX, _SQUEEZE = 6, 9, 22, 25, 43
_CONV, _QUANTIZE, _LOGISTIC = 3, 114, 14
_NO_OPTIONS, _FULLY_CONNECTED_OPTIONS, _SOFTMAX_OPTIONS = 0, 8, 9
_FLOAT32, _UINT8, _INT8 = 0, 3, 9
_BEHIND = {_SOFTMAX, _LOGISTIC, _RESHAPE, _SQUEEZE, _QUANTIZE, _DEQUANTIZE}
"""What may stand behind the last layer of a classifier."""
_LONGEST_CODE = 127
"""Operators from this number on are written in another field; the old one then holds this number."""

Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a graph ends. `operators` is how many of its operators lead to the features."""

    tensor: int
    operators: int
    features: int
    classifier: bool
    """Whether a classifier has to be cut off."""


@numbers_may_lie()
def ending(content: bytes, *, keep_end: bool = False) -> Ending:
    """Where the features of a model are: before its classifier, or its output when it has none.

    A classifier is a fully connected layer at the end, or a 1×1 convolution before a softmax; reshaping and
    (de)quantising behind it do not count. `keep_end` takes the output, whatever it is. Raises `Malformed`, and
    `Misuse` for several graphs or outputs.
    """
    graph = _graph(content)
    tensors, operators = graph.tables(f.GRAPH_TENSORS), graph.tables(f.GRAPH_OPERATORS)
    codes = [_code(table) for table in root(content).tables(f.MODEL_CODES)]
    output = graph.integers(f.GRAPH_OUTPUTS)[0]
    whole = Ending(output, len(operators), _count(tensors[output]), classifier=False)
    if keep_end:
        return whole
    at, passed, wanted = len(operators) - 1, set(), output
    while at >= 0 and _kind(operators[at], codes) in _BEHIND and _makes(operators[at], wanted):
        passed.add(_kind(operators[at], codes))
        wanted = operators[at].integers(f.OPERATOR_INPUTS)[0]
        at -= 1
    if at >= 0 and _makes(operators[at], wanted) and _is_classifier(operators[at], codes, tensors, passed):
        before = operators[at].integers(f.OPERATOR_INPUTS)[0]
        return Ending(before, at, _count(tensors[before]), classifier=True)
    return whole


def cut(content: bytes) -> bytes:
    """The model up to its features; the very same bytes when it ends there already."""
    end = ending(content)
    if not end.classifier:
        return content
    model, graph = root(content), _graph(content)
    front = Front(content)
    operators = [front.old(table.at) for table in graph.tables(f.GRAPH_OPERATORS)[: end.operators]]
    outputs = front.integers([end.tensor])
    kept = front.offsets(operators)
    new = front.table(
        f.GRAPH_FIELDS,
        to_tensors=(f.GRAPH_TENSORS, front.old(_vector(graph, f.GRAPH_TENSORS))),
        to_inputs=(f.GRAPH_INPUTS, front.old(_vector(graph, f.GRAPH_INPUTS))),
        to_outputs=(f.GRAPH_OUTPUTS, outputs),
        to_operators=(f.GRAPH_OPERATORS, kept),
    )
    return _model(
        front,
        model,
        graph=new,
        codes=front.old(_vector(model, f.MODEL_CODES)),
        buffers=front.old(_vector(model, f.MODEL_BUFFERS)),
    )


@numbers_may_lie()
def graft(content: bytes, weights: Weights, bias: Weights) -> bytes:
    """The model with a softmax regression behind its output: `weights` (labels, features), `bias` (labels).

    A quantised output is dequantised first. The new file gives probabilities. Raises `Misuse` where they do not fit.
    """
    model, graph = root(content), _graph(content)
    output = graph.integers(f.GRAPH_OUTPUTS)[0]
    old_tensors = graph.tables(f.GRAPH_TENSORS)
    features, kind = _count(old_tensors[output]), old_tensors[output].number(f.TENSOR_TYPE, "<b")
    if weights.shape[1] != features:
        raise Misuse(f"The head takes {weights.shape[1]} features, the model gives {features}.", "Train it anew.")
    if kind not in (_FLOAT32, _UINT8, _INT8):
        raise Misuse(f"The model's output is of type {kind}.", "Export it with float32, uint8 or int8.")
    front = Front(content)
    grown = _Growing(front, model, graph)
    embedding = output
    if kind != _FLOAT32:
        embedding = grown.tensor("features", [1, features])
        grown.operator(_DEQUANTIZE, 1 if kind == _UINT8 else 2, [output], embedding)
    held = [grown.constant("head/weights", weights), grown.constant("head/bias", bias)]
    logits = grown.tensor("head/logits", [1, len(bias)])
    options = front.table(1)
    grown.operator(_FULLY_CONNECTED, 1, [embedding, *held], logits, _FULLY_CONNECTED_OPTIONS, options)
    scores = grown.tensor("scores", [1, len(bias)])
    options = front.table(1, f32_beta=(0, 1.0))
    grown.operator(_SOFTMAX, 1, [logits], scores, _SOFTMAX_OPTIONS, options)
    return grown.finish(scores)


class _Growing:
    """A graph to which tensors and operators are added."""

    def __init__(self, front: Front, model: Table, graph: Table) -> None:
        self._front, self._model, self._graph = front, model, graph
        self._tensors = [front.old(table.at) for table in graph.tables(f.GRAPH_TENSORS)]
        self._operators = [front.old(table.at) for table in graph.tables(f.GRAPH_OPERATORS)]
        self._codes = [front.old(table.at) for table in model.tables(f.MODEL_CODES)]
        self._buffers = [front.old(table.at) for table in model.tables(f.MODEL_BUFFERS)]

    def tensor(self, name: str, shape: list[int], buffer: int = 0) -> int:
        """A float32 tensor's number. Buffer 0 is empty: what is computed has no content."""
        front = self._front
        sizes, title = front.integers(shape), front.text(name)
        self._tensors.append(
            front.table(
                f.TENSOR_FIELDS,
                to_shape=(f.TENSOR_SHAPE, sizes),
                i8_type=(f.TENSOR_TYPE, _FLOAT32),
                u32_buffer=(f.TENSOR_BUFFER, buffer),
                to_name=(f.TENSOR_NAME, title),
            )
        )
        return len(self._tensors) - 1

    def constant(self, name: str, values: Weights) -> int:
        """A tensor with content."""
        content = self._front.content(np.ascontiguousarray(values, dtype="<f4").tobytes())
        self._buffers.append(self._front.table(f.BUFFER_FIELDS, to_data=(f.BUFFER_DATA, content)))
        return self.tensor(name, list(values.shape), len(self._buffers) - 1)

    def operator(
        self, code: int, version: int, inputs: list[int], output: int, kind: int = _NO_OPTIONS, options: int = 0
    ) -> None:
        """One operator at the end."""
        front = self._front
        self._codes.append(
            front.table(
                f.CODE_FIELDS,
                i8_old=(f.CODE_OLD, min(code, _LONGEST_CODE)),
                i32_version=(f.CODE_VERSION, version),
                i32_builtin=(f.CODE_BUILTIN, code),
            )
        )
        taken, given = front.integers(inputs), front.integers([output])
        self._operators.append(
            front.table(
                f.OPERATOR_FIELDS,
                u32_code=(f.OPERATOR_CODE, len(self._codes) - 1),
                to_inputs=(f.OPERATOR_INPUTS, taken),
                to_outputs=(f.OPERATOR_OUTPUTS, given),
                i8_kind=(f.OPERATOR_KIND, kind),
                to_options=(f.OPERATOR_OPTIONS, options),
            )
        )

    def finish(self, output: int) -> bytes:
        """The new file, whose output is this tensor."""
        front = self._front
        tensors, operators = front.offsets(self._tensors), front.offsets(self._operators)
        outputs = front.integers([output])
        graph = front.table(
            f.GRAPH_FIELDS,
            to_tensors=(f.GRAPH_TENSORS, tensors),
            to_inputs=(f.GRAPH_INPUTS, front.old(_vector(self._graph, f.GRAPH_INPUTS))),
            to_outputs=(f.GRAPH_OUTPUTS, outputs),
            to_operators=(f.GRAPH_OPERATORS, operators),
        )
        codes, buffers = front.offsets(self._codes), front.offsets(self._buffers)
        return _model(front, self._model, graph=graph, codes=codes, buffers=buffers)


def _model(front: Front, old: Table, *, graph: int, codes: int, buffers: int) -> bytes:
    """Metadata and signatures are left out: they describe the old ends."""
    graphs = front.offsets([graph])
    model = front.table(
        f.MODEL_FIELDS,
        u32_version=(f.MODEL_VERSION, old.number(f.MODEL_VERSION)),
        to_codes=(f.MODEL_CODES, codes),
        to_graphs=(f.MODEL_SUBGRAPHS, graphs),
        to_buffers=(f.MODEL_BUFFERS, buffers),
    )
    return front.finish(model)


def _graph(content: bytes) -> Table:
    graphs = root(content).tables(f.MODEL_SUBGRAPHS)
    if len(graphs) != 1 or len(graphs[0].integers(f.GRAPH_OUTPUTS)) != 1:
        raise Misuse("The model has several graphs or outputs.", "Use one with a single graph and a single output.")
    return graphs[0]


def _vector(table: Table, field: int) -> int:
    """Place of a vector as others refer to it: its length stands first."""
    return table.vector(field)[0] - 4


def _code(table: Table) -> int:
    return max(table.number(f.CODE_OLD, "<b"), table.number(f.CODE_BUILTIN, "<i"))


def _kind(operator: Table, codes: list[int]) -> int:
    return codes[operator.number(f.OPERATOR_CODE)]


def _makes(operator: Table, tensor: int) -> bool:
    return operator.integers(f.OPERATOR_OUTPUTS) == [tensor]


def _is_classifier(operator: Table, codes: list[int], tensors: list[Table], passed: set[int]) -> bool:
    kind = _kind(operator, codes)
    if kind == _FULLY_CONNECTED:
        return True
    shape = tensors[operator.integers(f.OPERATOR_INPUTS)[0]].integers(f.TENSOR_SHAPE)
    return kind == _CONV and _SOFTMAX in passed and shape[1:3] == [1, 1]


def _count(tensor: Table) -> int:
    """Numbers for one picture."""
    return int(np.prod(tensor.integers(f.TENSOR_SHAPE)[1:]))

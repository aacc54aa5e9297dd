"""As much of a `.tflite` as cutting and grafting need: its tables read, and a new front written before the old bytes.

The file is a FlatBuffer by TensorFlow's `schema.fbs`. In it a table refers to others by *forward* offsets only, so a
new model table written in front of an old file may refer to everything in it. The old bytes stay as they are; whatever
operators and options are in there, nobody here has to understand them.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from roost_broker.errors import Malformed, Misuse

IDENTIFIER = b"TFL3"
ALIGNMENT = 16
"""Of a buffer's content; a front of a multiple of this length moves nothing out of place."""

# Numbers of fields, in the order of the schema.
MODEL_VERSION, MODEL_CODES, MODEL_SUBGRAPHS, MODEL_DESCRIPTION, MODEL_BUFFERS, MODEL_FIELDS = 0, 1, 2, 3, 4, 8
GRAPH_TENSORS, GRAPH_INPUTS, GRAPH_OUTPUTS, GRAPH_OPERATORS, GRAPH_NAME, GRAPH_FIELDS = 0, 1, 2, 3, 4, 5
TENSOR_SHAPE, TENSOR_TYPE, TENSOR_BUFFER, TENSOR_NAME, TENSOR_QUANTIZATION, TENSOR_FIELDS = 0, 1, 2, 3, 4, 6
CODE_OLD, CODE_VERSION, CODE_BUILTIN, CODE_FIELDS = 0, 2, 3, 4
OPERATOR_CODE, OPERATOR_INPUTS, OPERATOR_OUTPUTS, OPERATOR_KIND, OPERATOR_OPTIONS, OPERATOR_FIELDS = 0, 1, 2, 3, 4, 5
BUFFER_DATA, BUFFER_FIELDS = 0, 1


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the file; `at` is its place. A field that is not there has its default."""

    data: bytes
    at: int

    def place(self, field: int) -> int:
        """Where a field is; 0 when it is left out."""
        table = self.at - self._read("<i", self.at)
        entry = 4 + 2 * field
        if entry >= self._read("<H", table):
            return 0
        offset = self._read("<H", table + entry)
        return self.at + offset if offset else 0

    def number(self, field: int, kind: str = "<I", default: int = 0) -> int:
        """A scalar; `kind` is its `struct` format."""
        place = self.place(field)
        return self._read(kind, place) if place else default

    def vector(self, field: int) -> tuple[int, int]:
        """Place of the first element, and how many there are."""
        place = self.place(field)
        if not place:
            return 0, 0
        start = place + self._read("<I", place)
        return start + 4, self._read("<I", start)

    def integers(self, field: int) -> list[int]:
        """A vector of int32."""
        start, count = self.vector(field)
        self._within(start, 4 * count)
        return list(struct.unpack_from(f"<{count}i", self.data, start)) if count else []

    def tables(self, field: int) -> list["Table"]:
        """A vector of tables."""
        start, count = self.vector(field)
        self._within(start, 4 * count)
        return [Table(self.data, at + self._read("<I", at)) for at in range(start, start + 4 * count, 4)]

    def _within(self, start: int, length: int) -> None:
        if start + length > len(self.data):
            raise _damaged("a vector reaches beyond its end")

    def _read(self, kind: str, at: int) -> int:
        try:
            return int(struct.unpack_from(kind, self.data, at)[0]) if at >= 0 else _fail()
        except struct.error as error:
            raise _damaged(str(error)) from error


def _fail() -> int:
    raise _damaged("an offset points before its beginning")


def _damaged(why: str) -> Malformed:
    return Malformed(f"The .tflite file cannot be read: {why}.", "Copy or export it again.")


@contextmanager
def numbers_may_lie() -> Iterator[None]:
    """In a file numbers say which tensor, which operator; in a damaged one there is none of that number."""
    try:
        yield
    except IndexError as error:
        raise _damaged("it refers to a part that it does not have") from error


def root(data: bytes) -> Table:
    """The model table. Raises `Malformed` for what is no `.tflite` or holds no single graph."""
    if data[4:8] != IDENTIFIER:
        raise Malformed("The file is not a .tflite model.", "Give one that TensorFlow's converter wrote.")
    return Table(data, struct.unpack_from("<I", data)[0])


class Front:
    """Writes new tables in front of an old file. A `Table` of the old one is referred to with `old`.

    Raises `Misuse` where the package flatbuffers is missing; reading needs no package.
    """

    def __init__(self, data: bytes) -> None:
        try:
            import flatbuffers
        except ImportError as error:
            raise Misuse(
                "Writing a .tflite needs flatbuffers, which is not installed here.", "pip install 'roost[centre]'"
            ) from error
        self._old = data + bytes(-len(data) % ALIGNMENT)
        self._builder = builder = flatbuffers.Builder(2 * len(self._old) + 65_536)
        builder.head -= len(self._old)  # the builder writes from the end to the front: so the old file is its past
        builder.Bytes[builder.head :] = self._old
        builder.Prep(ALIGNMENT, 0)

    def old(self, place: int) -> int:
        """An offset to something in the old file. Raises `Malformed` where there is nothing."""
        if not 0 <= place < len(self._old):
            raise _damaged("it lacks a part that every model has")
        return len(self._old) - place

    def integers(self, values: Sequence[int]) -> int:
        """A vector of int32."""
        return self._vector(values, self._builder.PrependInt32)

    def offsets(self, values: Sequence[int]) -> int:
        """A vector of tables."""
        return self._vector(values, self._builder.PrependUOffsetTRelative)

    def content(self, content: bytes) -> int:
        """A buffer's content."""
        builder = self._builder
        builder.StartVector(1, len(content), ALIGNMENT)
        builder.head -= len(content)
        builder.Bytes[builder.head : builder.head + len(content)] = content
        return int(builder.EndVector())

    def text(self, value: str) -> int:
        """A string."""
        return int(self._builder.CreateString(value))

    def table(self, fields: int, **slots: tuple[int, Any]) -> int:
        """A table: `kind_number=(field, value)` with kind one of `u32`, `i32`, `i8`, `f32`, `to` (an offset)."""
        builder = self._builder
        write: dict[str, Callable[[int, Any], None]] = {
            "u32": lambda field, value: builder.PrependUint32Slot(field, value, 0),
            "i32": lambda field, value: builder.PrependInt32Slot(field, value, 0),
            "i8": lambda field, value: builder.PrependInt8Slot(field, value, 0),
            "f32": lambda field, value: builder.PrependFloat32Slot(field, value, 0.0),
            "to": lambda field, value: builder.PrependUOffsetTRelativeSlot(field, value, 0),
        }
        builder.StartObject(fields)
        for name, (field, value) in slots.items():
            write[name.split("_")[0]](field, value)
        return int(builder.EndObject())

    def finish(self, model: int) -> bytes:
        """The new file."""
        self._builder.Finish(model, file_identifier=IDENTIFIER)
        return bytes(self._builder.Output())

    def _vector(self, values: Sequence[int], put: Callable[[int], None]) -> int:
        self._builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            put(value)
        return int(self._builder.EndVector())

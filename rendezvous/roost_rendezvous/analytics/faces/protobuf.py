"""Metric families in Prometheus' protobuf form, the only one today that carries native histograms. Pure.

`io.prometheus.client.MetricFamily`, each with its length before it; field numbers are those of Prometheus' published
`metrics.proto`. The few wire types that it needs are written here, so that no library of protocol buffers is needed.
A histogram carries both forms, the classic buckets and the native ones: the reader takes what it is set up for.
"""

import struct
from collections.abc import Iterator, Sequence

from roost_rendezvous.analytics.faces.exponential import SCHEMA, SHORTEST, Exponential, border
from roost_rendezvous.analytics.faces.metrics import Family, Kind
from roost_rendezvous.analytics.faces.openmetrics import classic

TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
_TYPES: dict[Kind, int] = {"counter": 0, "gauge": 1, "info": 1, "histogram": 4}
_VARINT, _FIXED64, _BYTES = 0, 1, 2
_GAP = 2
"""Empty bins up to which two spans are written as one: shorter than another span."""


def render(families: Sequence[Family]) -> bytes:
    """The whole exposition."""
    written = bytearray()
    for family in families:
        message = _family(family)
        written += _varint(len(message)) + message
    return bytes(written)


def asked(accept: str) -> bool:
    """Whether a scraper would rather have this form: it names it, and names no other before it with a higher weight."""
    best, weight = "", -1.0
    for part in accept.lower().split(","):
        kind, *parameters = (word.strip() for word in part.split(";"))
        named = dict(word.split("=", 1) for word in parameters if "=" in word)
        try:
            heavy = float(named.get("q", "1"))
        except ValueError:
            continue
        is_ours = kind == "application/vnd.google.protobuf" and named.get("encoding", "delimited") == "delimited"
        is_ours = is_ours and named.get("proto", "io.prometheus.client.metricfamily").endswith("metricfamily")
        if heavy > weight and heavy > 0 and (is_ours or kind in ("application/openmetrics-text", "text/plain")):
            best, weight = "ours" if is_ours else kind, heavy
    return best == "ours"


def _family(family: Family) -> bytes:
    suffix = {"counter": "_total", "info": "_info"}.get(family.kind, "")
    written = _text(1, family.name + suffix) + _text(2, family.help) + _field(3, _VARINT) + _varint(_TYPES[family.kind])
    for values, found in family.samples:
        metric = b"".join(
            _message(1, _text(1, name) + _text(2, value)) for name, value in zip(family.labels, values, strict=True)
        )
        if isinstance(found, Exponential):
            metric += _message(7, _histogram(found))
        else:
            metric += _message(3 if family.kind == "counter" else 2, _double(1, found))
        written += _message(4, metric)
    return written


def _histogram(found: Exponential) -> bytes:
    written = _field(1, _VARINT) + _varint(found.count) + _double(2, found.sum)
    for index, count in classic(found):
        bound = border(index) if index is not None else float("inf")
        written += _message(3, _field(1, _VARINT) + _varint(count) + _double(2, bound))
    written += _field(5, _VARINT) + _varint(_zigzag(SCHEMA))
    written += _double(6, SHORTEST / 2) + _field(7, _VARINT) + _varint(0)  # nothing is counted as zero
    spans, deltas = _native(found)
    for offset, length in spans:
        written += _message(12, _field(1, _VARINT) + _varint(_zigzag(offset)) + _field(2, _VARINT) + _varint(length))
    for delta in deltas:
        written += _field(13, _VARINT) + _varint(_zigzag(delta))
    return written


def _native(found: Exponential) -> tuple[list[tuple[int, int]], list[int]]:
    """Spans as (bins left out since the last one, bins in it), and each count as the difference to the one before."""
    spans: list[tuple[int, int]] = []
    deltas: list[int] = []
    before = next_index = 0
    for index, count in sorted(found.bins.items()):
        gap = index - next_index
        if not spans or gap > _GAP:
            spans.append((gap, 0))
        else:
            for _ in range(gap):
                deltas.append(-before)
                before = 0
            spans[-1] = spans[-1][0], spans[-1][1] + gap
        spans[-1] = spans[-1][0], spans[-1][1] + 1
        deltas.append(count - before)
        before, next_index = count, index + 1
    return spans, deltas


# -- the wire --------------------------------------------------------------------------------------------------------


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _field(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _double(number: int, value: float) -> bytes:
    return _field(number, _FIXED64) + struct.pack("<d", value)


def _text(number: int, value: str) -> bytes:
    return _message(number, value.encode("utf-8", "replace"))


def _message(number: int, value: bytes) -> bytes:
    return _field(number, _BYTES) + _varint(len(value)) + value


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """What a message holds, field by field: for whoever wants to look at what was written."""
    at = 0
    while at < len(data):
        tag, at = _read(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _read(data, at)
            yield number, value
        elif wire == _FIXED64:
            yield number, data[at : at + 8]
            at += 8
        elif wire == _BYTES:
            length, at = _read(data, at)
            yield number, data[at : at + length]
            at += length
        else:
            raise ValueError(f"wire type {wire} is not used here")


def _read(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at

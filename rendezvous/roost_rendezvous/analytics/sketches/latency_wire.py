"""A latency histogram as bytes: only bins that count something, as wide as the largest count needs. Pure.

Little-endian: form 2 and the width of counts, values refused, shortest, longest and sum in milliseconds, a bit for
each bin, then the counts. Some 70 bytes for an idle model, under 1 kB for a busy one.
"""

import math
import struct

import numpy as np

from roost_broker.errors import PeerError
from roost_rendezvous.analytics.sketches.latency import BINS, LatencyHistogram

FORM = 2
"""The first byte of a latency histogram."""
_HEADER = struct.Struct("<BBIddd")
_COUNTS = ("<u1", "<u2", "<u4", "<f8")
_MASK = (BINS + 7) // 8
_REMEDY = "It is left out; the file's other periods are not touched."


def to_bytes(histogram: LatencyHistogram) -> bytes:
    """The compact form."""
    counts = histogram.counts
    filled = counts > 0.0
    some = counts[filled]
    kind = 3
    if (some == np.floor(some)).all():
        kind = next((i for i, limit in enumerate((0xFF, 0xFFFF, 0xFFFFFFFF)) if some.max(initial=0) <= limit), 3)
    refused = min(histogram.refused, 0xFFFFFFFF)
    head = _HEADER.pack(FORM, kind, refused, histogram.shortest_ms, histogram.longest_ms, histogram.sum_ms)
    return head + np.packbits(filled).tobytes() + some.astype(_COUNTS[kind]).tobytes()


def from_bytes(data: bytes) -> LatencyHistogram:
    """The histogram again. Raises `PeerError` for bytes that are none."""
    try:
        form, kind, refused, shortest, longest, total = _HEADER.unpack_from(data)
        if form != FORM or kind >= len(_COUNTS):
            raise PeerError("These bytes are no latency histogram of a form that is known here.", _REMEDY)
        filled = np.unpackbits(np.frombuffer(data, np.uint8, _MASK, _HEADER.size), count=BINS).astype(np.bool_)
        some = np.frombuffer(data, _COUNTS[kind], offset=_HEADER.size + _MASK)
        if some.size != np.count_nonzero(filled):
            raise ValueError("its length is not what its head says")
        counts = np.zeros(BINS)
        counts[filled] = some
    except (struct.error, ValueError) as error:
        raise PeerError(f"A latency histogram is cut off or altered: {error}.", _REMEDY) from error
    bounded = 0.0 <= shortest <= longest < math.inf if some.size else True
    if not (bounded and (some > 0.0).all() and np.isfinite(some).all() and 0.0 <= total < math.inf):
        raise PeerError("A latency histogram is altered: not all of its parts are numbers.", _REMEDY)
    return LatencyHistogram.from_parts(counts, shortest, longest, total, refused)

"""A t-digest as bytes for the store, and as the dictionary that other t-digests understand. Pure.

Bytes (little-endian): form 1 and flags, number of centroids, values refused, smallest and largest value, then means,
weights, and which centroids hold one value only. A full digest takes 0.5 to 1.5 kB: means are 32-bit distances from
zero or from the median where that is close enough to tell neighbours apart, and 64-bit where it is not or where
there is room; a value that repeats stays exact; weights are as wide as the largest needs.

The dictionary is that of the Python package `tdigest` with `min` and `max` added; `fastdigest` reads it as well.
"""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from roost_broker.errors import PeerError
from roost_rendezvous.analytics.sketches.digest import LARGEST, TDigest
from roost_rendezvous.analytics.sketches.scale import Bools, Floats

FORM = 1
"""The first byte of a t-digest."""
_HEADER = struct.Struct("<BBHIdd")
_MOST = 4096
"""Centroids of a digest that comes from outside."""
_ROOMY = 64
"""So many centroids are kept in full whatever they are."""
_WEIGHTS = ("<u1", "<u2", "<u4", "<f4", "<f8")
_MEANS_64, _ANCHORED, _WITH_PURE = 0x08, 0x10, 0x20  # flags above the index of the weights' form
_REMEDY = "It is left out; the file's other periods are not touched."


def to_bytes(digest: TDigest) -> bytes:
    """The compact form."""
    means, weights, pure = digest.parts()
    exact = pure & (weights != 1.0)  # a value that repeats; a single one is pure by nature
    kind = _narrowest(weights)
    flags, parts = kind, []
    anchor = _anchor(means, exact) if means.size > _ROOMY else None
    if anchor is None:
        flags |= _MEANS_64
        parts.append(means.astype("<f8").tobytes())
    else:
        if anchor:
            flags |= _ANCHORED
            parts.append(struct.pack("<d", anchor))
        parts.append((means[~exact] - anchor).astype("<f4").tobytes())
        parts.append(means[exact].astype("<f8").tobytes())
    parts.append(weights.astype(_WEIGHTS[kind]).tobytes())
    if exact.any():
        flags |= _WITH_PURE
        parts.append(np.packbits(exact).tobytes())
    head = _HEADER.pack(FORM, flags, means.size, min(digest.refused, 0xFFFFFFFF), digest.low, digest.high)
    return head + b"".join(parts)


def parts_of(data: bytes) -> tuple[Floats, Floats, Bools, float, float, int]:
    """Means, weights, which are pure, smallest, largest, refused. Raises `PeerError` for bytes that are none of it."""
    try:
        form, flags, size, refused, low, high = _HEADER.unpack_from(data)
        if form != FORM or flags & 0x07 >= len(_WEIGHTS):
            raise PeerError("These bytes are no t-digest of a form that is known here.", _REMEDY)
        means, weights, exact = _read_body(data, flags, size)
    except (struct.error, ValueError) as error:
        raise PeerError(f"A t-digest is cut off or altered: {error}.", _REMEDY) from error
    if size and not (-LARGEST <= low <= high <= LARGEST):
        raise PeerError("A t-digest is altered: its bounds are no bounds.", _REMEDY)
    return means.clip(low, high) if size else means, weights, exact | (weights == 1.0), low, high, refused


def from_bytes(data: bytes) -> TDigest:
    """The digest again. Raises `PeerError`."""
    means, weights, pure, low, high, refused = parts_of(data)
    if not (np.isfinite(means).all() and (weights > 0.0).all() and (weights <= LARGEST).all()):
        raise PeerError("A t-digest is altered: not all of its parts are numbers.", _REMEDY)
    return TDigest.from_parts(means, weights, pure, low, high, refused)


def to_dict(digest: TDigest) -> dict[str, Any]:
    """The interchange form: `n`, `delta`, `K`, `centroids` (`m` and `c`) as in `tdigest`, and `min`, `max`, `refused`.

    An empty digest has no `min` and no `max`.
    """
    means, weights, _ = digest.parts()
    form: dict[str, Any] = {
        "n": digest.count,
        "delta": 0.01,
        "K": 25,
        "centroids": [{"m": m, "c": c} for m, c in zip(means.tolist(), weights.tolist(), strict=True)],
        "refused": digest.refused,
    }
    if means.size:
        form["min"], form["max"] = float(digest.low), float(digest.high)
    return form


def from_dict(form: Mapping[str, Any]) -> TDigest:
    """A digest from the interchange form; without `min` and `max` they are the outermost means. Raises `PeerError`."""
    try:
        centroids = form["centroids"]
        if len(centroids) > _MOST:
            raise PeerError(
                f"A digest of {len(centroids)} centroids is too large; {_MOST} are the most.", "Compress it."
            )
        means = np.array([float(one["m"]) for one in centroids])
        weights = np.array([float(one["c"]) for one in centroids])
        low = float(form.get("min", means.min(initial=np.inf)))
        high = float(form.get("max", means.max(initial=-np.inf)))
        refused = max(0, int(form.get("refused", 0)))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise PeerError(f"This is no digest: {error!r}.", "Give the form of the package `tdigest`.") from error
    if not means.size:
        low, high = np.inf, -np.inf
    elif not ((np.abs(means) <= LARGEST).all() and (weights > 0.0).all() and (weights <= LARGEST).all()):
        raise PeerError("A digest has parts that are no numbers, or have no weight.", "Make it again from its values.")
    elif not (-LARGEST <= low <= means.min() and means.max() <= high <= LARGEST):
        raise PeerError("A digest's means lie outside its min and max.", "Make it again from its values.")
    return TDigest.from_parts(means, weights, weights == 1.0, low, high, refused)


def _read_body(data: bytes, flags: int, size: int) -> tuple[Floats, Floats, Bools]:
    kind = np.dtype(_WEIGHTS[flags & 0x07])
    mask = (size + 7) // 8 if flags & _WITH_PURE else 0
    exact = np.zeros(size, dtype=np.bool_)
    if mask:
        exact = np.unpackbits(np.frombuffer(data, np.uint8, mask, len(data) - mask), count=size).astype(np.bool_)
    at = _HEADER.size
    if flags & _MEANS_64:
        means = np.frombuffer(data, "<f8", size, at)
        at += 8 * size
    else:
        anchor = 0.0
        if flags & _ANCHORED:
            (anchor,) = struct.unpack_from("<d", data, at)
            at += 8
        rest = size - int(np.count_nonzero(exact))
        short = np.frombuffer(data, "<f4", rest, at).astype(np.float64) + anchor
        at += 4 * rest
        if rest == size:
            means = short
        else:
            means = np.empty(size)
            means[~exact] = short
            means[exact] = np.frombuffer(data, "<f8", size - rest, at)
            at += 8 * (size - rest)
    weights = np.frombuffer(data, kind, size, at).astype(np.float64)
    if at + kind.itemsize * size + mask != len(data):
        raise ValueError("its length is not what its head says")
    return means, weights, exact


def _narrowest(weights: Floats) -> int:
    largest = float(weights.max(initial=0.0))
    if (weights == np.floor(weights)).all():
        for index, limit in enumerate((0xFF, 0xFFFF, 0xFFFFFFFF)):
            if largest <= limit:
                return index
    return 3 if float(weights.min(initial=1.0)) > 1e-30 and largest < 1e30 else 4


def _anchor(means: Floats, exact: Bools) -> float | None:
    """Where 32-bit distances start, so that neighbours stay apart: 0, the median, or None where neither will do."""
    if not exact.all():
        loose = ~exact
        gaps = np.diff(means)
        near = np.minimum(np.append(gaps, np.inf), np.concatenate(([np.inf], gaps)))
        for anchor in (0.0, float(means[means.size // 2])):
            short = means - anchor
            if np.abs(short).max() < 1e38:  # what a 32-bit float holds
                off = np.abs(short.astype(np.float32).astype(np.float64) + anchor - means)
                if (off <= 1e-3 * near)[loose].all():
                    return anchor
    return None

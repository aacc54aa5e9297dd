"""A raw request's bytes with its state and one more hop: the only change between `raw` and `input`. Pure.

Fields nobody here knows are copied as bytes: they keep even their spelling. Only provenance and state are opened.
"""

from collections.abc import Container
from typing import Any

import msgspec

from roost_broker.errors import Malformed
from roost_broker.messages import MAX_BYTES
from roost_rendezvous.injector.keeper import Given

MAX_HOPS = 32

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ages = msgspec.json.Decoder(dict[str, int])
_object = msgspec.json.Decoder(dict[str, Any])
_encoder = msgspec.json.Encoder()
_EMPTY = msgspec.Raw(b"{}")


def add_state(payload: bytes, given: Given, own: Container[str], hop: dict[str, object], parent: str = "") -> bytes:
    """`payload` is a request that decodes. What it brings under names that are ours (`own`) does not go through.
    `parent` is the trace's, where the request is traced and brings none.

    Raises `Malformed` when it would be too large for anybody behind, or is not text.
    """
    try:
        payload.decode("utf-8")  # a field nobody knows is skipped by decoders, not read
        loose: dict[str, Any] = _fields.decode(payload)
        provenance = _object.decode(loose.get("provenance", _EMPTY))
        provenance["path"] = [*provenance.get("path", ()), hop][-MAX_HOPS:]
        if parent:
            provenance["traceParent"] = parent
        loose["provenance"] = provenance
        _merge(loose, "state", _fields, given.state, own)
        _merge(loose, "stateAgeMs", _ages, given.ages, own)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"Not a Roost message: {error}.") from error
    injected = _encoder.encode(loose)
    if len(injected) > MAX_BYTES:
        raise Malformed(f"With its hop and state the request would be {len(injected)} bytes, over {MAX_BYTES}.")
    return injected


def _merge(
    loose: dict[str, Any], key: str, decoder: "msgspec.json.Decoder[Any]", ours: dict[str, Any], own: Container[str]
) -> None:
    brought = loose.get(key)
    if brought is not None:
        kept = {name: value for name, value in decoder.decode(brought).items() if name not in own}
        loose[key] = {**kept, **ours}
    elif ours:
        loose[key] = ours

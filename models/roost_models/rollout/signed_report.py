"""The signature below a device's report (`OtaState`): made by the OTA agent, checked by the centre.

A report names the public key itself (`keyId`, Ed25519, hex). The centre keeps the key that a device showed first and
takes no other for it until somebody says so; what is signed is the message as it stands, but for the signature, with
its fields in order, so that a reader who does not know a newer field checks it all the same.
"""

from typing import Any, Literal, TypeAlias

import msgspec

from roost_broker.errors import Malformed

Verdict: TypeAlias = Literal["good", "unsigned", "forged", "another-key"]
_encoder = msgspec.json.Encoder(order="sorted")


def signed_bytes(payload: bytes) -> bytes:
    """What is signed of a report's payload. Raises `Malformed`."""
    loose = _loose(payload)
    loose.pop("signature", None)
    return _encoder.encode(loose)


def verify(payload: bytes, key_id: str = "") -> Verdict:
    """Whether a report is what a device wrote; with `key_id`, the one that holds that key. Raises `Malformed`."""
    loose = _loose(payload)
    named, signature = loose.get("keyId"), loose.get("signature")
    if not isinstance(named, str) or not isinstance(signature, str) or not named or not signature:
        return "unsigned"
    if key_id and named != key_id:
        return "another-key"
    return "good" if _fits(named, signature, signed_bytes(payload)) else "forged"


def _fits(key_id: str, signature: str, data: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key_id)).verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _loose(payload: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(payload, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"Not a report: {error}.") from error

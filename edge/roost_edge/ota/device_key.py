"""The device's own key: made on the device, never leaves it, signs what it reports (Ed25519, 32 bytes, mode 0600)."""

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from roost_broker.durable import write_durably
from roost_broker.errors import Misuse
from roost_broker.messages import OtaState, encode
from roost_models.rollout.signed_report import signed_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class DeviceKey:
    """Signs. `key_id` is the public half, hex."""

    def __init__(self, key: "Ed25519PrivateKey") -> None:
        self._key = key
        self.key_id = key.public_key().public_bytes_raw().hex()

    @classmethod
    def at(cls, path: Path) -> "DeviceKey":
        """The key in this file; made there, durably, when there is none. Raises `Misuse` when it is no key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            key = Ed25519PrivateKey.generate()
            write_durably(path, key.private_bytes_raw(), mode=0o600)
            return cls(key)
        if len(raw) != 32:
            raise Misuse(f"{path} is not this device's key.", "Remove it: the device makes a new one, and is new.")
        return cls(Ed25519PrivateKey.from_private_bytes(raw))

    def sign(self, state: OtaState) -> bytes:
        """The payload of a report, signed."""
        named = structs.replace(state, key_id=self.key_id, signature="")
        signature = self._key.sign(signed_bytes(encode(named)))
        return encode(structs.replace(named, signature=signature.hex()))

"""Which key a device showed first: its reports count only with that one, until somebody forgets it.

A device that has never signed is believed unsigned (a simulated one, one without the agent's key); once it has signed,
an unsigned report in its name is forged.
"""

from pathlib import Path

import msgspec

from roost_broker.durable import write_durably
from roost_broker.errors import Malformed
from roost_broker.messages import OtaState
from roost_models.rollout.signed_report import verify

MAX_DEVICES = 100_000


class DeviceKeys:
    """Keys by device, in one file that is replaced durably when a new device signs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._keys = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            self._keys = {}
        except msgspec.DecodeError as error:
            raise Malformed(f"{path} cannot be read: {error}.", "Restore it, or remove it to believe anew.") from error

    def check(self, state: OtaState, payload: bytes) -> bool | None:
        """Whether the signature fits the device; None: it has never signed."""
        known = self._keys.get(state.node, "")
        try:
            verdict = verify(payload, known)
        except Malformed:
            return False
        if verdict == "unsigned":
            return False if known else None
        if verdict == "good" and not known and len(self._keys) < MAX_DEVICES:
            self._keys[state.node] = state.key_id
            write_durably(self._path, msgspec.json.encode(self._keys))
        return verdict == "good"

    def forget(self, node: str) -> bool:
        """The device got a new key (a new card); the next one it shows counts. Returns whether one was known."""
        if self._keys.pop(node, None) is None:
            return False
        write_durably(self._path, msgspec.json.encode(self._keys))
        return True

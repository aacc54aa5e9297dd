"""What a scaffold has said lately, so that a request delivered again gets the same bytes again. Bounded."""

from collections import OrderedDict


class Answered:
    """Payloads by request id; the oldest are forgotten beyond `most` entries or `most_bytes` bytes."""

    def __init__(self, most: int = 1000, most_bytes: int = 4_000_000) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._payloads: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._payloads)

    def get(self, request_id: str) -> bytes | None:
        """What was said about a request, or None."""
        return self._payloads.get(request_id)

    def put(self, request_id: str, payload: bytes) -> None:
        """Remember it; a later word replaces an earlier one."""
        self._bytes -= len(self._payloads.pop(request_id, b""))
        self._payloads[request_id] = payload
        self._bytes += len(payload)
        while len(self._payloads) > self._most or (self._bytes > self._most_bytes and len(self._payloads) > 1):
            _, forgotten = self._payloads.popitem(last=False)
            self._bytes -= len(forgotten)

"""A decoy's archive as cases, page by page: no transaction is long, and memory does not grow with the archive."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from roost_broker.messages import Declined, Output, Request, Result, Score, decode
from roost_models.archive.cases import Case
from roost_models.archive.reading import ArchiveReader, as_request

PAGE = 200
_Key = tuple[int, int, int, int]
_FIRST: _Key = (-1, -1, -1, -1)
_INPUTS = (
    "SELECT boot_no, seq, timestamp_ms, arrival, request_id, payload FROM inputs"
    " WHERE task = ? AND (boot_no, seq, timestamp_ms, arrival) > (?, ?, ?, ?) AND arrival <= ?"
    " AND timestamp_ms >= ? AND timestamp_ms < ?"
    " ORDER BY boot_no, seq, timestamp_ms, arrival LIMIT ?"
)
_SCORES = (
    "SELECT request_id, model, version, message_id, bundle, runtime, outputs, compute_ms, batch, saw, at FROM scores"
)
_DECLINES = "SELECT request_id, model, version, message_id, reason, detail, saw, at FROM declines"
_RESULTS = "SELECT request_id, payload FROM results"
_ALWAYS = 2**63 - 1
_outputs = msgspec.json.Decoder(list[Output])


@dataclass(frozen=True, slots=True)
class _Row:
    key: _Key
    request_id: str
    payload: bytes


class DecoyCases(ArchiveReader):
    """See `CaseSource`. Order is the device's: (boot, seq), boots in the order in which they were first seen."""

    def cases(
        self, *, task: str, from_ms: int | None = None, until_ms: int | None = None, nodes: frozenset[str] = frozenset()
    ) -> Iterator[Case]:
        """See `CaseSource`. What is archived after the first was asked for is not part of it."""
        newest = self._db.execute("SELECT coalesce(max(arrival), 0) FROM inputs").fetchone()[0]
        after = _FIRST
        while True:
            period = (0 if from_ms is None else from_ms, _ALWAYS if until_ms is None else until_ms)
            page = [
                _Row((row[0], row[1], row[2], row[3]), row[4], bytes(row[5]))
                for row in self._db.execute(_INPUTS, (task, *after, newest, *period, PAGE)).fetchall()
            ]
            yield from (case for case in self._joined(page, task) if not nodes or case.node in nodes)
            if len(page) < PAGE:
                return
            after = page[-1].key

    def _joined(self, page: list[_Row], task: str) -> Iterator[Case]:
        """The cases of one page, each with what was said of it."""
        ids = [row.request_id for row in page]
        replies = self._replies(ids)
        results = self._results(ids)
        for row in page:
            request = as_request(row.payload, row.request_id)
            yield Case(
                node=node_of(request),
                task=task,
                at_ms=request.timestamp,
                payload=row.payload,
                request=request,
                replies=tuple(replies.get(row.request_id, ())),
                result=results.get(row.request_id),
            )

    def _replies(self, ids: list[str]) -> dict[str, list[Score | Declined]]:
        """By request, in order of model; a model that declined and then answered has answered."""
        said: dict[tuple[str, str, str], Score | Declined] = {}
        for row in self._of(_DECLINES, ids):
            said[row[0], row[1], row[2]] = Declined(
                timestamp=row[7],
                message_id=row[3],
                request_id=row[0],
                model=row[1],
                version=row[2],
                reason=row[4],
                detail=row[5],
                saw=row[6],
            )
        for row in self._of(_SCORES, ids):
            said[row[0], row[1], row[2]] = Score(
                timestamp=row[10],
                message_id=row[3],
                request_id=row[0],
                model=row[1],
                version=row[2],
                outputs=_outputs.decode(row[6]),
                compute_ms=row[7],
                batch=row[8],
                bundle=row[4],
                runtime=row[5],
                saw=row[9],
            )
        replies: dict[str, list[Score | Declined]] = {}
        for key in sorted(said):
            replies.setdefault(key[0], []).append(said[key])
        return replies

    def _results(self, ids: list[str]) -> dict[str, Result]:
        results: dict[str, Result] = {}
        for request_id, payload in self._of(_RESULTS, ids):
            message = decode(bytes(payload))
            if isinstance(message, Result):
                results[request_id] = message
        return results

    def _of(self, select: str, ids: list[str]) -> list[tuple[Any, ...]]:
        rows = self._db.execute(f"{select} WHERE request_id IN ({', '.join('?' * len(ids))})", ids)
        return list(rows.fetchall())


def node_of(request: Request) -> str:
    """The device that asked: the first hop of the request's way, else as its return address says; empty if neither."""
    if request.provenance.path:
        return request.provenance.path[0].node
    levels = request.return_address.split("/")
    return levels[-4] if len(levels) >= 5 and levels[-2] == "results" else ""

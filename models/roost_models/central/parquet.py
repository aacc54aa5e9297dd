"""A day's file: messages of one partition as Parquet, written whole or not at all. The only place that knows pyarrow.

The same messages give the same bytes (with the same pyarrow). Payloads are kept exactly; headers are columns. Every
page has a checksum, which is looked at when it is read.
"""

import errno
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roost_broker.centre.envelope import Envelope
from roost_broker.durable import make_folder, rename_durably
from roost_broker.errors import PeerError
from roost_models.central.partitions import Partition
from roost_models.central.staging import ArchiveFull

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

FORMAT = b"1"
ROW_GROUP = 4096
"""Messages that are read and held in memory together."""
_READING = (OSError, ValueError, KeyError, TypeError)
"""What pyarrow raises beside its own errors for a file that was tampered with."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DamagedFile(PeerError):
    """A file of the archive that is not what was written."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a file says of itself without being read."""

    rows: int
    first_ms: int
    last_ms: int
    """Earliest and latest moment at which a device received one of its messages."""


def write(target: Path, partition: Partition, rows: Sequence[Envelope]) -> tuple[int, str]:
    """Write the rows, in the order given; returns bytes and SHA-256. Raises `ArchiveFull`, `OSError`."""
    import pyarrow.parquet as pq

    schema = _schema()
    make_folder(target.parent)
    beside = target.with_name(f".{target.name}.part")
    try:
        with (
            beside.open("wb") as file,
            # Metadata of Arrow itself would add nothing that the columns do not say.
            pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True, store_schema=False) as writer,
        ):
            writer.add_key_value_metadata(_label(partition))
            for begin in range(0, len(rows), ROW_GROUP):
                writer.write_table(_table(rows[begin : begin + ROW_GROUP], schema), row_group_size=ROW_GROUP)
        size, digest = beside.stat().st_size, _digest(beside)
        rename_durably(beside, target)
    except OSError as error:
        beside.unlink(missing_ok=True)
        if error.errno in _NO_ROOM:
            raise ArchiveFull(
                f"The archive has no room for {target}: {error.strerror}.",
                "Make room on its disk; the messages stay where they were until then.",
            ) from error
        raise
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return size, digest


def read(path: Path) -> Iterator[Envelope]:
    """Every message of a file, in its order. Raises `DamagedFile`."""
    with _Opened(path) as file:
        lane = file.metadata.metadata.get(b"roost.lane", b"").decode()
        for batch in file.iter_batches(batch_size=ROW_GROUP):
            for values in batch.to_pylist():
                yield _row(values, lane)


def summary(path: Path) -> Summary:
    """What a file holds, from its end alone. Raises `DamagedFile`."""
    with _Opened(path) as file:
        metadata = file.metadata
        column = file.schema_arrow.names.index("received_ms")
        statistics = [metadata.row_group(number).column(column).statistics for number in range(metadata.num_row_groups)]
        return Summary(
            metadata.num_rows,
            min((one.min for one in statistics), default=0),
            max((one.max for one in statistics), default=0),
        )


def verify(path: Path, sha256: str) -> None:
    """Raise `DamagedFile` when a file is not the one that was written, byte for byte."""
    try:
        found = _digest(path)
    except OSError as error:
        raise _damaged(path, error) from error
    if found != sha256:
        raise _damaged(path, ValueError("its content is not what was written"))


class _Opened:
    """A file that was written here; whatever goes wrong with it is a `DamagedFile`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: pq.ParquetFile | None = None

    def __enter__(self) -> "pq.ParquetFile":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            self._file = pq.ParquetFile(self._path, page_checksum_verification=True)
            if (self._file.metadata.metadata or {}).get(b"roost.archive") != FORMAT:
                raise _damaged(self._path, ValueError("it is not a file of this archive, or of a newer Roost"))
        except (pa.ArrowException, *_READING) as error:
            self._close()
            raise _damaged(self._path, error) from error
        except BaseException:
            self._close()
            raise
        return self._file

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import pyarrow as pa

        self._close()
        if isinstance(error, (pa.ArrowException, *_READING)):
            raise _damaged(self._path, error) from error

    def _close(self) -> None:
        if self._file is not None:
            self._file.close(force=True)


def _label(partition: Partition) -> dict[str, str]:
    return {
        "roost.archive": FORMAT.decode(),
        "roost.day": partition.day,
        "roost.task": partition.task,
        "roost.lane": partition.lane,
    }


def _schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("node", pa.string(), nullable=False),
            pa.field("outbox", pa.string(), nullable=False),
            pa.field("seq", pa.int64(), nullable=False),
            pa.field("gap_first", pa.int64()),
            pa.field("topic", pa.string(), nullable=False),
            pa.field("received_ms", pa.int64(), nullable=False),
            pa.field("late_ms", pa.int64()),
            pa.field("retained", pa.bool_(), nullable=False),
            pa.field("stored_ms", pa.int64(), nullable=False),
            pa.field("payload", pa.binary(), nullable=False),
        ]
    )


def _table(rows: Sequence[Envelope], schema: "pa.Schema") -> "pa.Table":
    import pyarrow as pa

    columns: list[list[Any]] = [
        [one.node for one in rows],
        [one.outbox for one in rows],
        [one.seq for one in rows],
        [None if one.gap is None else one.gap[0] for one in rows],
        [one.topic for one in rows],
        [one.received_ms for one in rows],
        [one.late_ms for one in rows],
        [one.retained for one in rows],
        [one.stored_ms for one in rows],
        [one.payload for one in rows],
    ]
    arrays = [pa.array(values, type=field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _row(values: dict[str, Any], lane: Any) -> Envelope:
    gap_first = values.pop("gap_first")
    gap = None if gap_first is None else (gap_first, values["seq"])
    return Envelope(lane=lane, gap=gap, **values)


def _damaged(path: Path, error: BaseException) -> DamagedFile:
    return DamagedFile(
        f"The archive's file {path} is damaged: {str(error).splitlines()[0] if str(error) else type(error).__name__}.",
        "Restore it from the back-up, or move it aside: then the rest of the archive can be read without it.",
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

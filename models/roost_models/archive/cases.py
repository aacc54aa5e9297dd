"""One archived request with everything that was said of it, whoever archived it: a device's decoy or the centre.

What reviews labels, assembles datasets or evaluates a candidate reads cases and does not care where they lie.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from roost_broker.errors import Misuse
from roost_broker.frames import FrameStore
from roost_broker.messages import Declined, Request, Result, Score
from roost_models.archive.schema import DATABASE


@dataclass(frozen=True, slots=True)
class Case:
    """One request, joined by its id. Scores and declines of every model version that spoke, in order of model."""

    node: str
    task: str
    at_ms: int
    """When it was asked, by the device's wall clock."""
    payload: bytes
    """The input message exactly as the models received it."""
    request: Request
    replies: tuple[Score | Declined, ...] = ()
    result: Result | None = None
    """The official outcome, where the archive has it."""

    @property
    def request_id(self) -> str:
        """What joins everything said of this request."""
        return self.request.request_id


class CaseSource(Protocol):
    """An archive that gives cases in the order in which each device asked."""

    frames: FrameStore

    def cases(
        self, *, task: str, from_ms: int | None = None, until_ms: int | None = None, nodes: frozenset[str] = frozenset()
    ) -> Iterator[Case]:
        """Of one task, from `from_ms` (included) until `until_ms` (excluded); `nodes` empty means all."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


def open_cases(root: Path) -> CaseSource:
    """The archive in this folder: a decoy's (`archive.db`) or the centre's. Raises `Misuse` for anything else."""
    if (root / DATABASE).is_file():
        from roost_models.archive.decoy_cases import DecoyCases

        return DecoyCases(root)
    from roost_models.central.reading import CentralArchive, is_central

    if is_central(root):
        return CentralArchive(root)
    raise Misuse(
        f"There is no archive in {root}.", f"Name the folder that holds {DATABASE}, or a centre's folder `archive`."
    )

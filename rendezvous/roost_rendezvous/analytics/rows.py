"""One row per settled request: every model version's output beside the official answer (requirements D7, M4, K3).

The form on files is JSONL of these structs; every analysis takes any iterable of rows, so it works on a live stream,
on an archive and on a file alike. A missing output is a word of its own (`absent`), never a missing entry.
"""

from typing import Literal, TypeAlias

import msgspec

Outcome: TypeAlias = Literal["answered", "declined", "late", "absent"]
"""`late`: answered after the official result; `absent`: not a word when the row was settled."""


class Word(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one model had to say."""

    model: str
    version: str = ""
    outcome: Outcome = "answered"
    scores: dict[str, float] = {}
    """Label to score, all that the model gave; best first as it came."""
    elapsed_ms: float | None = None
    """From the request's issue to the score's arrival."""
    compute_ms: float | None = None
    reason: str = ""
    """Why it declined."""

    @property
    def top(self) -> str:
        """The label with the highest score; `""` without one."""
        return max(self.scores, key=self.scores.__getitem__, default="")


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request with all that is known of it."""

    request_id: str
    task: str
    at: int
    """Nanoseconds, wall clock: when the request was issued (the intended arrival, not the completion)."""
    tags: dict[str, str] = {}
    words: tuple[Word, ...] = ()
    answered_by: str = ""
    """The model that gave the official answer; `""` for a default or none."""
    label: str = ""
    score: float | None = None
    cause: str = ""
    """`preferred`, `fallback`, `override`, `default`; `""`: no result was seen."""
    elapsed_ms: float | None = None
    deadline_ms: int = 0
    input: dict[str, float | str | bool] = {}
    """Figures of the input: `frame.bytes`, `frame.width`, and what the capture measured of the picture."""
    state: dict[str, float | str | bool | None] = {}
    """External state as injected (flat; nested values joined with a dot)."""
    propensity: float | None = None
    """The chance with which the answering model was chosen, where the schedule chose at random."""
    truth: str = ""
    """The label a person gave later, where one did."""

    def word(self, model: str) -> Word | None:
        """What `model` said; None: it is not in this row."""
        return next((word for word in self.words if word.model == model), None)

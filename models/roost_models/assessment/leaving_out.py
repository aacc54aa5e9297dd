"""Leave-one-out of a bundle's input variables on archived requests (M11): cases to rows, bundle to function.

The variables are what a model is given (`ModelInput`): the picture as a whole, external state, plain values, tags and
the time. A picture is left out by showing the model that of another request.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from roost_broker.errors import FrameUnavailable
from roost_broker.frames import FrameStore
from roost_broker.messages import FrameRef, Request
from roost_models.archive.cases import Case
from roost_models.inference.images import BadImage, decode
from roost_models.inference.predictor import ModelInput, Pixels, Predictor
from roost_rendezvous.analytics.features.collinear import CollinearReport, CollinearSettings, collinearity
from roost_rendezvous.analytics.features.leave_out import LeaveOutReport, LeaveOutSettings, leave_one_out
from roost_rendezvous.analytics.features.values import Inputs, Value, flat

PICTURE, TIME = "picture", "time_ms"
_PICTURES = 256
"""Prepared pictures kept: at 224×224 some 40 MB."""
_GROUPS = 16


class InputReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the inputs of one model are worth, and which of them say the same."""

    bundle: str
    name: str
    version: str
    requests: int
    """Archived requests that could be asked again."""
    left_out: int
    """Those whose picture is gone."""
    variables: LeaveOutReport
    collinear: CollinearReport


def inputs_report(
    cases: Iterable[Case],
    predictor: Predictor,
    frames: FrameStore,
    about: tuple[str, str, str],
    settings: LeaveOutSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> InputReport:
    """`about` is the bundle's digest, name and version. Raises `Misuse` for fewer than two requests."""
    chosen = settings or LeaveOutSettings()
    asked = _Asked(predictor, frames)
    rows, gone = [], 0
    for case in cases:
        row = asked.row(case.request)
        if row is None:
            gone += 1
        else:
            rows.append(row)
    collinear = collinearity(rows, CollinearSettings(features=min(chosen.features, 200)))
    found = leave_one_out(asked, rows, chosen, groups=collinear.groups[:_GROUPS], progress=progress)
    return InputReport(
        bundle=about[0],
        name=about[1],
        version=about[2],
        requests=len(rows),
        left_out=gone,
        variables=found,
        collinear=collinear,
    )


class _Asked:
    """A predictor as a function over flat rows. Remembers where in a request each variable was."""

    def __init__(self, predictor: Predictor, frames: FrameStore) -> None:
        self._predictor = predictor
        self._frames = frames
        self._refs: dict[str, FrameRef] = {}
        self._prepared: OrderedDict[str, Pixels | None] = OrderedDict()
        self._paths: dict[str, tuple[str, ...]] = {}

    def row(self, request: Request) -> dict[str, Value] | None:
        """The request's variables; None where its picture cannot be had."""
        found: dict[str, Value] = {TIME: request.timestamp}
        if self._predictor.takes_pictures:
            frame = request.input.frame
            if frame is None or not self._frames.path(frame.sha256).is_file():
                return None
            self._refs[frame.sha256] = frame
            found[PICTURE] = frame.sha256
        for part, tree in (("state", request.state), ("values", request.input.values or {}), ("tags", request.tags)):
            for name, value in flat(tree).items():
                found[f"{part}.{name}"] = value
                self._paths[f"{part}.{name}"] = (part, *name.split("."))
        return found

    def __call__(self, rows: Sequence[Inputs]) -> Sequence[Mapping[str, float]]:
        try:
            return self._predict(rows)
        except Exception:  # noqa: BLE001 — one row that the author's code cannot take costs no other row its answer
            return [self._alone(row) for row in rows]

    def _alone(self, row: Inputs) -> Mapping[str, float]:
        try:
            return self._predict([row])[0]
        except Exception:  # noqa: BLE001 — no answer is an answer here: it differs from one
            return {}

    def _predict(self, rows: Sequence[Inputs]) -> list[Mapping[str, float]]:
        said = self._predictor.predict([self._item(row) for row in rows])
        return [{one.label: one.score for one in outputs} for outputs in said]

    def _item(self, row: Inputs) -> ModelInput:
        parts: dict[str, dict[str, Any]] = {"state": {}, "values": {}, "tags": {}}
        for name, value in row.items():
            if name in self._paths:
                *way, last = self._paths[name]
                place: dict[str, Any] = parts[way[0]]
                for level in way[1:]:
                    place = place.setdefault(level, {})
                place[last] = value
        time = row.get(TIME)
        picture = row.get(PICTURE)
        return ModelInput(
            image=self._picture(picture) if isinstance(picture, str) else None,
            at_ms=int(time) if isinstance(time, (int, float)) else 0,
            **{part: _with_lists(tree) for part, tree in parts.items()},
        )

    def _picture(self, sha256: str) -> Pixels | None:
        if sha256 in self._prepared:
            self._prepared.move_to_end(sha256)
            return self._prepared[sha256]
        try:
            pixels = self._predictor.preprocess(decode(self._frames.read(self._refs[sha256])))
        except (FrameUnavailable, BadImage, OSError) as error:
            raise ValueError(f"The picture {sha256[:12]} cannot be read.") from error
        self._prepared[sha256] = pixels
        if len(self._prepared) > _PICTURES:
            self._prepared.popitem(last=False)
        return pixels


def _with_lists(tree: dict[str, Any]) -> dict[str, Any]:
    return {name: _listed(value) for name, value in tree.items()}


def _listed(value: Any) -> Any:
    """Levels that were counted are lists again; what was left out of one is not there."""
    if not isinstance(value, dict):
        return value
    if value and all(name.isdigit() for name in value):
        return [_listed(value[name]) for name in sorted(value, key=int)]
    return _with_lists(value)

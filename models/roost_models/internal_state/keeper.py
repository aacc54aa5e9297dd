"""One model's internal state, and the order in which requests change it. Pure: no file, no clock, no thread.

Rules:

1. A request changes the state once, when it is first observed, in the order of the input stream: whether the model then
   answers it, declines it or skips it. So the state depends on the inputs alone, never on the load.
2. What `predict` may know of the past is what `observe` returned for that very request, kept with it: a request that
   is evaluated late, in a batch or again does not see what came after it. It is a copy: the state it was made from
   goes on changing.
3. The state is plain JSON values, so that a snapshot restores exactly what was there; anything else is refused when
   it is saved, not discovered when it is needed.
4. An author's mistake costs the request, not the model: its past is unknown, and it is declined.

`remember` bounds how many requests' pasts are kept, and with it how late a repetition is still known for one.
"""

from collections import OrderedDict
from copy import deepcopy
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from roost_broker.errors import Malformed
from roost_broker.messages import Digest, Id, Request
from roost_models.inference.python_model import Context, PythonModel


class PastUnknown(Exception):
    """What `observe` returned for a request is not known: it failed, or the request was long ago."""


class _Snapshot(Struct, tag_field="schema", tag="roost.internal-state/1", frozen=True, kw_only=True):
    bundle: Digest
    part: str = ""
    observed: Annotated[int, Meta(ge=0)]
    last: Id | None
    pasts: list[tuple[Id, Any]]
    memory: Any


class _Failed:
    """Stands for a past that could not be had."""

    def __init__(self, why: str) -> None:
        self.why = why


class InternalState:
    """See the module. `bundle` is the digest of the model's bundle, `part` the part of the requests that are its own:
    a state of another bundle or another part is never taken over. Raises `Malformed` when there can be no empty state.
    """

    def __init__(self, model: PythonModel, bundle: str, *, part: str = "", remember: int = 2000) -> None:
        self._model = model
        self._bundle = bundle
        self._part = part
        self._remember = remember
        try:
            self._memory = model.fresh()
        except (Exception, SystemExit) as error:  # the author's code may raise anything
            raise Malformed(
                f"The model's fresh() raised {type(error).__name__}: {error}.", "Correct it and check the bundle again."
            ) from error
        self._pasts: OrderedDict[str, Any] = OrderedDict()
        self.observed = 0
        """Requests that have changed the state since it was empty."""
        self.last: str | None = None
        """The newest of them."""

    def observe(self, request: Request) -> bool:
        """Let a request change the state; False when it had done so before. Never raises for the author's sake."""
        if request.request_id in self._pasts:
            return False
        past: Any
        try:
            past = deepcopy(self._model.observe(self._memory, context_of(request, self._model)))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - rule 4: the author's code may raise anything
            past = _Failed(f"{type(error).__name__}: {error}")
        self._pasts[request.request_id] = past
        if len(self._pasts) > self._remember:
            self._pasts.popitem(last=False)
        self.observed += 1
        self.last = request.request_id
        return True

    def past(self, request_id: str) -> Any:
        """What `observe` returned for this request. Raises `PastUnknown`."""
        try:
            past = self._pasts[request_id]
        except KeyError:
            raise PastUnknown("This request was not observed, or so long ago that its past is forgotten.") from None
        if isinstance(past, _Failed):
            raise PastUnknown(f"The model could not observe this request: {past.why}.")
        return past

    def snapshot(self) -> bytes:
        """Everything, as bytes. Raises `Malformed` when the state holds what JSON would change."""
        whole = _Snapshot(
            bundle=self._bundle,
            part=self._part,
            observed=self.observed,
            last=self.last,
            pasts=[(key, past) for key, past in self._pasts.items() if not isinstance(past, _Failed)],
            memory=self._memory,
        )
        try:
            data = msgspec.json.encode(whole)
            back = msgspec.json.decode(data, type=_Snapshot)
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
            raise Malformed(f"The model's internal state cannot be saved: {error}.", _PLAIN) from error
        if back.memory != self._memory or back.pasts != whole.pasts:
            raise Malformed("The model's internal state does not come back from JSON as it was.", _PLAIN)
        return data

    def restore(self, data: bytes) -> None:
        """Take over a snapshot. Raises `Malformed` for another bundle's or another part's, or what is none."""
        try:
            whole = msgspec.json.decode(data, type=_Snapshot)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise Malformed(f"This is no snapshot of internal state: {error}.", "It is rebuilt instead.") from error
        if whole.bundle != self._bundle:
            raise Malformed("This snapshot is another bundle's.", "A new version rebuilds its state.")
        if whole.part != self._part:
            raise Malformed("This snapshot is of another part of the requests.", "It is rebuilt instead.")
        self._memory = whole.memory
        self._pasts = OrderedDict(whole.pasts[-self._remember :])
        self.observed, self.last = whole.observed, whole.last


_PLAIN = "Keep dicts with text keys, lists, numbers, texts, true, false and null in it, and nothing else."


def context_of(request: Request, model: PythonModel) -> Context:
    """A request as the author's functions see it, without its picture."""
    return Context(
        model=model.model,
        folder=model.folder,
        state=request.state,
        tags=request.tags,
        values=request.input.values or {},
        at_ms=request.timestamp,
    )

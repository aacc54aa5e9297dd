"""The rule that every contestant follows, and the models all of them serve.

Roost states the rule as a schedule (`SCHEDULE`); who composes by hand writes it as code (`answer`): the champion has
the first 200 ms to itself, then whatever the fast model said counts, and at 450 ms a default is given, so that the
requester has an official answer within 500 ms. The shadow sees every request and is never official.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

EXCLUSIVE_S, DEFAULT_S, SLA_S = 0.200, 0.450, 0.500
SCHEDULE = """\
task = "henhouse"
sla_ms = 500
ignore = ["shadow"]

[[step]]
after_ms = 0
accept = ["champion"]

[[step]]
after_ms = 200
accept = ["champion", "fast"]

[default]
after_ms = 450
label = "unknown"
"""
BUNDLES = {"champion": "champion", "fast": "fast", "shadow": "canary"}
"""Each contestant's model, and the henhouse bundle that it is."""
DEFAULT: dict[str, Any] = {"cause": "default", "model": "", "label": "unknown"}

Model = Callable[[bytes], dict[str, Any]]
Answers = Awaitable[dict[str, Any]]


def bundle(name: str) -> Path:
    """Where a contestant's model lies."""
    return Path(__file__).parents[3] / "models" / "henhouse" / "bundles" / BUNDLES[name]


def load(name: str) -> Model:
    """One of the models as a plain function of a JPEG, loaded and warm: what Roost's scaffold wraps, too."""
    from roost_models.bundle.opening import open_bundle
    from roost_models.inference.predictor import ModelInput, picture
    from roost_models.inference.warming import warmed_predictor

    predictor = warmed_predictor(open_bundle(bundle(name)))

    def classify(jpeg: bytes) -> dict[str, Any]:
        best = predictor.predict([ModelInput(image=picture(jpeg, predictor))])[0][0]
        return {"model": name, "label": best.label, "score": best.score}

    return classify


async def answer(champion: Answers, fast: Answers, shadow: Answers) -> bytes:
    """The rule by hand. Takes three calls under way; a call that fails, or is shed by its server, has declined."""
    calls = {name: asyncio.ensure_future(call) for name, call in (("champion", champion), ("fast", fast))}
    _forget(asyncio.ensure_future(shadow))
    try:
        return json.dumps(await _decide(**calls)).encode()
    finally:
        for call in calls.values():
            call.cancel()
            _forget(call)


async def _decide(champion: "asyncio.Future[dict[str, Any]]", fast: "asyncio.Future[dict[str, Any]]") -> dict[str, Any]:
    began = asyncio.get_running_loop().time()

    def left(until: float) -> float:
        return max(0.0, began + until - asyncio.get_running_loop().time())

    await asyncio.wait({champion}, timeout=left(EXCLUSIVE_S))
    if (said := _said(champion)) is not None:
        return {"cause": "preferred", **said}
    while True:
        for call, cause in ((champion, "preferred"), (fast, "fallback")):
            if (said := _said(call)) is not None:
                return {"cause": cause, **said}
        waiting = {call for call in (champion, fast) if not call.done()}
        if not waiting or not left(DEFAULT_S):
            return DEFAULT
        await asyncio.wait(waiting, timeout=left(DEFAULT_S), return_when=asyncio.FIRST_COMPLETED)


def _said(call: "asyncio.Future[dict[str, Any]]") -> dict[str, Any] | None:
    if not call.done() or call.cancelled() or call.exception() is not None:
        return None
    return call.result()


def _forget(call: "asyncio.Future[Any]") -> None:
    """Whatever becomes of it, nobody wants to hear."""
    call.add_done_callback(lambda done: done.cancelled() or done.exception())

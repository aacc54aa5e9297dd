"""The same in BentoML 1.4, as its documentation composes services: one service (a process of its own) for each model,
joined by `bentoml.depends`, called concurrently with `.to_async`; the front is an ASGI application on the outer one.

Each model's service runs one worker (two cores serve three models) and sheds beyond `max_concurrency`, so that a
stalled champion is not queued for. Pictures travel between services as uint8 arrays, BentoML's cheapest kind.
"""

import os

import bentoml
import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from peer_apps import rule

_MODEL = {"workers": 1, "traffic": {"timeout": 5, "max_concurrency": 8}, "logging": {"access": {"enabled": False}}}


@bentoml.service(**_MODEL)
class Champion:
    """The preferred model."""

    def __init__(self) -> None:
        self.model = rule.load("champion")

    @bentoml.api
    def classify(self, jpeg: np.ndarray) -> dict:
        """A JPEG's bytes to the best label."""
        return self.model(jpeg.tobytes())


@bentoml.service(**_MODEL)
class Fast:
    """The quick one."""

    def __init__(self) -> None:
        self.model = rule.load("fast")

    @bentoml.api
    def classify(self, jpeg: np.ndarray) -> dict:
        """A JPEG's bytes to the best label."""
        return self.model(jpeg.tobytes())


@bentoml.service(**_MODEL)
class Shadow:
    """The one that is never official."""

    def __init__(self) -> None:
        self.model = rule.load("shadow")

    @bentoml.api
    def classify(self, jpeg: np.ndarray) -> dict:
        """A JPEG's bytes to the best label."""
        return self.model(jpeg.tobytes())


_services: dict[str, object] = {}


async def _classify(request: Request) -> Response:
    jpeg = np.frombuffer(await request.body(), dtype=np.uint8)
    calls = [_services[name].to_async.classify(jpeg) for name in rule.BUNDLES]
    return Response(await rule.answer(*calls), media_type="application/json")


_front = Starlette(routes=[Route("/classify", _classify, methods=["POST"])])


@bentoml.service(
    workers=1,
    traffic={"timeout": 5, "max_concurrency": 64},
    logging={"access": {"enabled": False}},
    http={"host": "127.0.0.1", "port": int(os.environ.get("PEER_PORT", "3000"))},
)
@bentoml.asgi_app(_front, path="/")
class Front:
    """Where the rule is followed."""

    champion = bentoml.depends(Champion)
    fast = bentoml.depends(Fast)
    shadow = bentoml.depends(Shadow)

    def __init__(self) -> None:
        _services.update(champion=self.champion, fast=self.fast, shadow=self.shadow)

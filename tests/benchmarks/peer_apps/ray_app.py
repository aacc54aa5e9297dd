"""The same in Ray Serve, as its documentation composes models: one deployment for each, called through handles from an
ingress deployment. `PORT`; says `ready` on stdout.

Each replica may run one request and hold a few more (`max_ongoing_requests`); beyond `max_queued_requests` the handle
refuses at once, so that a stalled champion is not queued for. The dashboard and the object store's share of the memory
are as small as Ray lets them be: to its favour in the figures.
"""

import os
import signal
import sys
import threading

import ray
from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import Response

from peer_apps import rule

_OBJECT_STORE_BYTES = 80_000_000  # the least that Ray accepts


class _Model:
    def __init__(self, name: str) -> None:
        self._model = rule.load(name)

    def __call__(self, jpeg: bytes) -> dict:
        return self._model(jpeg)


def _deployment(name: str) -> serve.Application:
    options = {"num_replicas": 1, "max_ongoing_requests": 2, "max_queued_requests": 8}
    return serve.deployment(_Model, name=name, ray_actor_options={"num_cpus": 0.2}, **options).bind(name)


@serve.deployment(max_ongoing_requests=64, ray_actor_options={"num_cpus": 0.2})
class Front:
    """Where the rule is followed."""

    def __init__(self, champion: DeploymentHandle, fast: DeploymentHandle, shadow: DeploymentHandle) -> None:
        self._handles = (champion, fast, shadow)

    async def __call__(self, request: Request) -> Response:
        """A JPEG as the body."""
        jpeg = await request.body()

        async def call(handle: DeploymentHandle) -> dict:
            return await handle.remote(jpeg)

        return Response(await rule.answer(*map(call, self._handles)), media_type="application/json")


def main(port: int) -> None:
    """Until SIGTERM."""
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        logging_level="error",
        log_to_driver=False,
        _temp_dir=os.environ["HOME"],  # the benchmark's own folder: it is gone afterwards
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Front.bind(*map(_deployment, rule.BUNDLES)), route_prefix="/classify")
    print("ready", flush=True)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))

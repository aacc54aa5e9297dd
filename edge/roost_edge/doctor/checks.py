"""All checks of a device, in the order in which people read them: what carries the rest comes first."""

from functools import partial

from roost_edge.doctor import (
    board,
    broker,
    bundles,
    cameras,
    card,
    clock,
    feed,
    identity,
    keeping,
    memory,
    packages,
    page,
    schedules,
    services,
    storage,
    stores,
    upstream,
    watching,
)
from roost_edge.doctor.examining import Check
from roost_edge.settings.device import Settings

_MARGIN_S = 15.0
_BROKER_S = 30.0
"""Connecting, a message there and back, and the same again for whoever waits for that look."""
_DISK_HANGS = "The card or the network folder does not answer: journalctl -k names it; replace it."
_CAMERA_HANGS = "Unplug the camera, plug it in again, and start the device anew."


def checks_of(settings: Settings) -> tuple[Check, ...]:
    """One for each thing that can be well or not."""
    return (
        Check("storage", storage.storage, hangs=_DISK_HANGS),
        Check("space", storage.space, hangs=_DISK_HANGS),
        Check("card", card.card, hangs=_DISK_HANGS),
        Check("stores", stores.stores, limit_s=stores.LIMIT_S, hangs=_DISK_HANGS),
        Check("memory", memory.memory),
        Check("power", board.power, hangs="vcgencmd hangs: start the Pi anew."),
        Check("temperature", board.temperature),
        Check("watchdog", services.watchdog),
        Check("clock", clock.clock, limit_s=_BROKER_S),
        Check("packages", packages.packages),
        Check("identity", identity.identity),
        Check("units", services.units, limit_s=_BROKER_S),
        Check("broker", broker.broker, limit_s=_BROKER_S),
        Check("roles", broker.roles, limit_s=_BROKER_S),
        Check("versions", broker.versions, limit_s=_BROKER_S),
        *([Check("store", keeping.store, limit_s=_BROKER_S)] if settings.tasks else []),
        *([Check("analytics", watching.analytics, limit_s=_BROKER_S)] if _watches(settings) else []),
        *_of_tasks(settings),
        *_of_cameras(settings),
        *([Check("ota", upstream.ota, limit_s=_BROKER_S)] if settings.ota is not None and settings.lines else []),
        *([Check("gateway", upstream.gateway, limit_s=_BROKER_S)] if settings.gateway is not None else []),
        *([Check("feed", feed.feed, limit_s=_BROKER_S)] if settings.feed is not None else []),
        *([Check("page", page.page)] if settings.page is not None else []),
    )


def _watches(settings: Settings) -> bool:
    return bool(settings.tasks) and settings.analytics.enabled


def _of_tasks(settings: Settings) -> list[Check]:
    found = []
    for task, section in settings.tasks.items():
        found.append(Check(f"schedule/{task}", partial(schedules.schedule_of, task=task), limit_s=_BROKER_S))
        found += [
            Check(
                f"bundle/{task}/{model}",
                partial(bundles.bundle, task=task, model=model),
                limit_s=bundles.TRIAL_S + _MARGIN_S,
                heavy=True,
            )
            for model in section.models
        ]
    return found


def _of_cameras(settings: Settings) -> list[Check]:
    return [
        Check(
            f"camera/{name}",
            partial(cameras.camera, name=name),
            limit_s=cameras.limit_s(section) + _MARGIN_S,
            hangs=_CAMERA_HANGS,
        )
        for name, section in settings.cameras.items()
    ]

"""What the page's handlers share: the device's settings, what is known of it, and where to look."""

import asyncio
import time
from collections import Counter
from datetime import datetime, tzinfo
from pathlib import Path

from roost_broker.clock import MS, Clock
from roost_broker.topics import NodeTopics
from roost_broker.version import VERSION
from roost_broker.worker import Worker
from roost_edge.doctor.findings import Report
from roost_edge.page import password
from roost_edge.page.archive import ArchiveWindow
from roost_edge.page.corrections import Corrections
from roost_edge.page.door import Door
from roost_edge.page.measuring import Measured
from roost_edge.page.password import Hashed
from roost_edge.page.pictures import Pictures
from roost_edge.page.settings import PageSettings
from roost_edge.page.settings_file import SettingsFile
from roost_edge.page.view import View
from roost_edge.page.views.frame import Frame
from roost_edge.page.wellness import Concern, Names, concerns
from roost_edge.processes.plan import plan
from roost_edge.settings.device import Settings

_HOUR_NS = 3_600 * 1_000 * MS
_CLOSE_S = 2.0


class House:
    """One per process. Slow things go through `worker`, one after the other."""

    def __init__(self, settings: Settings, own: PageSettings, file: Path | None, clock: Clock) -> None:
        self.settings = settings
        self.own = own
        self.clock = clock
        self.counts: Counter[str] = Counter()
        self.worker = Worker("page")
        self.view = View(tuple(settings.tasks), tuple(settings.cameras))
        self.measured = Measured(clock.wall_ns())
        self.door = Door(idle_ns=own.session_hours * _HOUR_NS, most=own.max_sessions)
        self.scraper_token = settings.layout.page / "metrics-token"
        self.pictures = Pictures(own.picture_cache_mb * 1_000_000)
        self.corrections = Corrections(settings.layout.page / "corrections.db", own.corrections_kept)
        self.file = SettingsFile(file, settings.layout.page / "proposed.toml")
        self.windows = {task: ArchiveWindow(settings.layout.archive(task)) for task in settings.tasks}
        self.report: Report | None = None
        """The newest that was asked for here."""
        self.report_problem: tuple[str, str] | None = None
        self._roles, self._models = _expected(settings)

    @property
    def device(self) -> NodeTopics:
        """The device's topics."""
        return self.settings.topics

    @property
    def now_ms(self) -> int:
        """Wall clock."""
        return self.clock.wall_ns() // MS

    @property
    def zone(self) -> tzinfo | None:
        """The device's own time zone, as it is now."""
        return datetime.fromtimestamp(time.time()).astimezone().tzinfo

    def password(self) -> Hashed | None:
        """As it is on the disk at this moment. Raises `Misuse`."""
        return password.read(self.settings.layout.page_password)

    def concerns(self) -> list[Concern]:
        """What is not well."""
        return concerns(self.view, self._roles, self._models)

    def frame(self, place: str, form: str, *, password: bool) -> Frame:
        """What a page has around it."""
        view = self.view
        since = time.strftime(" since %H:%M", time.localtime(view.broker_ms / 1000)) if view.broker_ms else ""
        return Frame(
            self.settings.node.name,
            VERSION,
            place,
            broker=view.broker,
            stale="" if view.broker else since,
            form=form,
            password=password,
        )

    async def close(self) -> None:
        """Let go of files and threads. By the worker, after all it was asked for: two may not use a file at a time."""
        closing = self.worker.call(self.corrections.close)
        self.worker.stop()
        await asyncio.wait((closing,), timeout=_CLOSE_S)


def _expected(settings: Settings) -> tuple[list[Names], list[tuple[str, Names]]]:
    """Roles and models that the settings ask for, each under all its names."""
    roles: list[Names] = []
    for role in plan(settings):
        if role.kind not in ("model", "page"):
            roles.append((role.name, f"{role.name}-b") if role.has_slots else (role.name,))
    lines = {(line.task, line.model): line for line in settings.lines}
    models: list[tuple[str, Names]] = []
    for task, section in settings.tasks.items():
        for model in section.models:
            line = lines.get((task, model))
            models.append((task, (model, line.name("b")) if line is not None else (model,)))
    return roles, models

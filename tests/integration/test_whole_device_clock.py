"""S4: the clock of a whole device steps by a day, forwards and backwards, while everything runs.

A Pi has no clock of its own: it starts in the past, and a time server sets it right at some moment. Monotonic time
decides and wall time labels, so a step changes what messages say of the hour, and nothing else. Real processes and a
real Mosquitto whose clock is stepped (`stepped_clock`).
"""

import ssl
import time
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from fleet_certificates import Fleet
from mqtt_by_hand import connect, greeting
from requester import Requester
from secured_broker import SecuredBroker
from stepped_clock import DAY_S, SteppedClock
from whole_device import CAMERA, SLA_MS, TASK, Observer, judge_camera, make

from roost_broker.clock import MS, boot_id
from roost_broker.messages import Alert, Notice, Request, decode
from roost_broker.mosquitto import PrivateBroker
from roost_rendezvous.traces.knit import knit
from roost_rendezvous.traces.store import TraceReader

pytestmark = [pytest.mark.broker, pytest.mark.processes]
Run: TypeAlias = Callable[..., Any]

SLOW_MS = 150
"""Of the preferred model, so that requests are under way when the clock steps."""
STEPS = (DAY_S, 0, -DAY_S, DAY_S)


def noon_somewhere() -> str:
    """A time zone in which it is between twelve and one: an hour's rule then means the same at whatever hour."""
    offset = 12 - time.gmtime().tm_hour
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


def sections() -> str:
    return f"""
[alerts]
timezone = "{noon_somewhere()}"
end_after_s = 3600.0
[alerts.rules.here]
labels = ["here"]
hours = "09:00-15:00"
cooldown_s = 86400.0
[alerts.rules.never]
labels = ["unicorn"]
absent_by = "06:00"
[traces]
share = 1.0
[tasks.{TASK}.state.outside]
topic = "weather/temperature"
stale_after_s = 3600.0
"""


def test_a_day_forwards_and_backwards_loses_nothing_delays_nothing_and_rings_nobody_twice(
    run: Run, tmp_path: Path
) -> None:
    clock = SteppedClock(tmp_path)

    async def story(broker: PrivateBroker) -> None:
        device = make(tmp_path, broker, more=sections(), qa=True)
        under_way = 0
        async with Observer(device) as observer, Requester(device, sla_ms=SLA_MS) as asker:
            await observer.bus.publish("weather/temperature", b"21", retain=True)
            async with device.up(faults={"model-nest-champion": f"slow:{SLOW_MS}"}) as supervisor:
                await observer.more_of_camera()
                for offset in STEPS:
                    before = asker.ask_many(4)
                    await asker.until(lambda ids=before: all(one in asker.inputs for one in ids))
                    clock.step_to(offset)
                    under_way += sum(one not in asker.results for one in before)
                    after = asker.ask_many(4)
                    await asker.answered(*before, *after)
                    await observer.more_of_camera(such=lambda one: clock.shown_by(one.timestamp))
                    if offset == DAY_S:
                        await observer.until(lambda: notices(observer, "never"))
                await observer.let_camera_rest(supervisor)
                assert sum(supervisor.restarts(role.name) for role in supervisor.roles) == 0
                assert [role.name for role in supervisor.roles if supervisor.state(role.name) != "ready"] == []
            assert under_way >= len(STEPS), "the clock stepped under requests, not between them"
            judge_answers(asker, observer)
            judge_order(judge_camera(supervisor, observer))
            judge_alerts(observer)
            judge_state(asker)
            judge_traces(supervisor.settings.layout.traces, asker)

    with clock.for_children(), PrivateBroker(tmp_path / "broker") as broker:
        run(story(broker), timeout=120)


def notices(observer: Observer, rule: str) -> list[Notice]:
    found = observer.heard[observer.device.topics.notices]
    return [one for one in found if isinstance(one, Notice) and one.rule == rule]


def judge_answers(asker: Requester, observer: Observer) -> None:
    """None lost, none twice; in time by everybody's watch; never taken for late, never given up for a default."""
    asker.assert_each_answered_once_in_time()
    results = [result for told in observer.results.values() for result in told.values()]
    assert len(results) > len(asker.sent)
    assert [one for one in results if one.late or one.cause not in ("preferred", "fallback")] == []
    assert max(one.elapsed_ms for one in results) < SLA_MS


def judge_order(archived: list[Any]) -> None:
    """By the device's own numbers; its stamps went back and forth, and are kept as they were."""
    assert {item.boot for item in archived} == {boot_id()}
    numbers = [item.seq for item in archived]
    assert numbers == sorted(set(numbers))
    days = [day for day, _ in groupby(round((item.timestamp_ms / 1000 - time.time()) / DAY_S) for item in archived)]
    assert days == [0, *(step // DAY_S for step in STEPS)]


def judge_alerts(observer: Observer) -> None:
    """One sighting goes on through all of it; a rule's cooldown too; absence is judged once a day."""
    told = [one for one in observer.heard[observer.device.topics.camera(CAMERA).events] if isinstance(one, Alert)]
    assert [one.type for one in told if one.type != "update"] == ["new"]
    assert len(notices(observer, "here")) == 1
    assert [one.kind for one in notices(observer, "never")] == ["absent"], "the day after was judged when it came first"


def judge_state(asker: Requester) -> None:
    """What was told once is as old as it is, not a day older."""
    for request_id in asker.sent:
        request = decode(asker.inputs[request_id])
        assert isinstance(request, Request)
        assert request.state == {"outside": 21}
        assert request.state_age_ms["outside"] < DAY_S * 1000 / 2


def judge_traces(path: Path, asker: Requester) -> None:
    """The monitor's pictures of those under way: no step of a request lasted a day."""
    reader = TraceReader(path)
    try:
        stored = {one.request_id: one for one in reader.newest(10_000) if one.request_id in asker.sent}
    finally:
        reader.close()
    assert len(stored) > len(asker.sent) // 2
    for one in stored.values():
        whole = knit(one.request_id, one.messages)
        assert whole.bars
        assert all(0 <= bar.start_ns <= bar.end_ns < SLA_MS * MS for bar in whole.bars)
        assert whole.answered_ns is not None
        assert whole.answered_ns < SLA_MS * MS


def test_who_was_certified_before_comes_in_whatever_the_step_and_who_is_certified_today_not_yesterday(
    tmp_path: Path,
) -> None:
    """The door for other machines. A certificate has a beginning; a clock that is a day behind is before today's."""
    clock = SteppedClock(tmp_path)
    fleet = Fleet(tmp_path / "fleet")
    settings = tmp_path / "roost.toml"
    with clock.for_children(), SecuredBroker(tmp_path / "broker") as broker:
        settings.write_text(
            f'[node]\nname = "coop-1"\ndata = "data"\n[broker]\nport = {broker.port}\n'
            '[tasks.nest]\nschedule = "nest.toml"\n',
            encoding="utf-8",
        )
        identity = tmp_path / "data" / "identity"
        fleet.identity(identity, "coop-1")
        fleet.write_list(identity / "crl.pem", began=28, days=7)
        broker.secure(settings, watchers='["ben", "eve"]')
        broker.start()
        before = fleet.person("watcher", "ben", day=28)
        today = fleet.person("watcher", "eve", day=30)

        def greeted(files: tuple[Path, Path]) -> bool:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(fleet.ca)
            context.load_cert_chain(*files)
            return greeting(broker.outside_port, connect("x"), context, "coop-1") == 0

        said = {}
        for offset in (0, DAY_S, -DAY_S, 0):
            clock.step_to(offset)
            said[offset // DAY_S] = greeted(before), greeted(today)
        assert said == {0: (True, True), 1: (True, True), -1: (True, False)}
        assert greeting(broker.port, connect("nobody", "watcher", watcher_password(broker))) == 0
        clock.step_to(-DAY_S)
        fleet.write_list(identity / "crl.pem", number=2, began=30)  # a list of today's, before it is valid
        broker.reload()
        assert greeting(broker.port, connect("nobody", "watcher", watcher_password(broker))) == 0
        assert not greeted(before), "who was revoked since, nobody can know"
        clock.step_to(0)
        assert greeted(before)


def watcher_password(broker: SecuredBroker) -> str:
    """Of a local user: a password knows no hour."""
    return (broker.folder / "passwords" / "watcher").read_text(encoding="utf-8").strip()

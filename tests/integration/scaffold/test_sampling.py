"""A schedule that asks a model about a share of the requests: the scaffold keeps to it, from the next request on."""

from pathlib import Path
from typing import Any

from scaffold_world import CLOCK, Place, Watcher, bundle_in, question, serving

from roost_broker.frames import FrameStore
from roost_broker.headers import new_header
from roost_broker.messages import Declined, Diagnostics, ScheduleSet, Score, encode
from roost_broker.shares import in_share
from roost_models.scaffold.role import ScaffoldSettings

SCHEDULE = {
    "task": "nest",
    "sla_ms": 2000,
    "step": [{"after_ms": 0, "accept": ["fast", "champion"]}],
    "default": {"after_ms": 1900, "label": "unknown"},
}


async def put(watcher: Watcher, version: str, **more: object) -> None:
    head = new_header(CLOCK, watcher.topics.device.node, "test")
    message = ScheduleSet(
        timestamp=head.timestamp,
        message_id=head.message_id,
        task="nest",
        version=version,
        schedule={**SCHEDULE, **more},
    )
    await watcher.bus.publish(watcher.topics.schedule, encode(message), retain=True)


def test_only_its_share_is_evaluated_and_a_changed_schedule_counts_for_the_next_request(
    place: Place, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        async with serving(place, bundle_in(tmp_path), FrameStore(tmp_path)) as (watcher, scaffold):
            await put(watcher, "half", sample={"champion": 0.5})
            for _ in range(30):
                request = question()
                await watcher.ask(request)
                said = await watcher.said.get()
                if in_share("champion", request.request_id, 0.5):
                    assert isinstance(said, Score), said
                else:
                    assert isinstance(said, Declined)
                    assert said.reason == "not-sampled"
            assert scaffold.counts["answered"] == scaffold.counts["batches"]
            assert scaffold.counts["answered"] + scaffold.counts["declined_not_sampled"] == 30
            await put(watcher, "refused", sample={"champion": 7})  # cannot be used: changes nothing
            await put(watcher, "whole")
            for _ in range(10):
                await watcher.ask(question())
                await watcher.score()

    run(main())


def test_the_schedule_that_a_request_brings_along_counts_for_it_where_the_settings_say_qa(
    memory: Place, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        settings = ScaffoldSettings(qa=True)
        async with serving(memory, bundle_in(tmp_path), FrameStore(tmp_path), settings=settings) as (watcher, _):
            await put(watcher, "hardly", sample={"champion": 0.000001})
            await watcher.ask(question())
            assert (await watcher.declined()).reason == "not-sampled"
            await watcher.ask(question(diagnostics=Diagnostics(schedule=dict(SCHEDULE))))
            await watcher.score()

    run(main())

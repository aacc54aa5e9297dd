"""S4: the medium of a whole device is full, and has room again.

What gives way in which order is shown by `test_store_full`, store by store. Here all roles run on one small medium that
somebody else fills, and what was promised to the camera holds for all of them together.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from requester import Requester
from small_medium import small_medium
from whole_device import CAPTURE, SLA_MS, TASK, Observer, judge_camera, make

from roost_broker.mosquitto import PrivateBroker
from roost_broker.room import room_of
from roost_models.archive.reading import ArchiveReader

pytestmark = [pytest.mark.broker, pytest.mark.processes]
Run: TypeAlias = Callable[..., Any]
CARD_MB = 48
DECOY = f"decoy-{TASK}"


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Path]:
    with small_medium(tmp_path / "card", CARD_MB) as folder:
        yield folder


def fill(file: Path) -> None:
    """Somebody else writes until nothing more fits."""
    with file.open("ab", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(b"x" * 4096)


def test_a_full_medium_takes_no_pictures_and_loses_none_it_took_and_goes_on_when_there_is_room(
    run: Run, card: Path, own_mosquitto: PrivateBroker
) -> None:
    """
    1. The camera asks and is answered. 2. The medium is filled to the last byte. 3. Capture says that it takes no
    pictures. 4. Questions without one are answered all the same. 5. There is room again. 6. Pictures are taken, and all
    that was ever asked is archived and answered once.
    """

    async def story() -> None:
        device = make(card, own_mosquitto)
        somebody_elses = card / "somebody-elses"
        async with Observer(device) as observer, Requester(device, sla_ms=SLA_MS) as asker, device.up() as supervisor:
            await observer.more_of_camera()
            fill(somebody_elses)
            assert room_of(card).free < 100_000
            await observer.until(lambda: observer.counts(CAPTURE).get("skipped-no-room"))
            await asker.answered(*asker.ask_many(5))
            somebody_elses.unlink()
            await observer.more_of_camera()
            await observer.let_camera_rest(supervisor)
            ended = {role.name for role in supervisor.roles if supervisor.restarts(role.name)}
            assert ended <= {DECOY}, "it ends rather than give a receipt for what it cannot keep; nobody else does"
        judge_camera(supervisor, observer)
        asker.assert_each_answered_once_in_time()
        with ArchiveReader(supervisor.settings.layout.archive(TASK)) as archive:
            assert {item.request_id for item in archive.inputs()} >= asker.sent.keys()

    run(story(), timeout=120)

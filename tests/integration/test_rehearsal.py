"""The book's figures 7-2 and 7-3 through the real flow: a breed relabelled, and a camera smeared. Who was it?"""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rehearsal_world import EVERY, TASK, Camera, learn, watching
from task_device import Device, schedule

from roost_broker.clock import VirtualClock
from roost_broker.frames import FrameStore
from roost_broker.messages import Alarm, FrameRef, Score
from roost_broker.mosquitto import PrivateBroker
from roost_edge.capture.jpeg import jpeg_of
from roost_edge.capture.settings import CaptureSettings
from roost_edge.sources.choose import open_source
from roost_edge.sources.faults import CameraFault
from roost_edge.sources.settings import CameraSettings
from roost_henhouse.recipe import BUNDLES
from roost_henhouse.relabelled import RIGHT, WRONG, train_breeds
from roost_henhouse.scenes import write_scenes
from roost_henhouse.truth import LABELS
from roost_models.bundle.folder import Bundle

pytestmark = [pytest.mark.broker, pytest.mark.processes]
EACH = 8
BEFORE, AFTER = 10, 60
ROCK = LABELS.index("plymouth_rock")


@pytest.fixture(scope="module")
def breeds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Bundle]:
    return train_breeds(tmp_path_factory.mktemp("breeds"), per_class=14)


def frames(folder: Path, store: FrameStore, *faults: CameraFault) -> list[list[FrameRef]]:
    """What the camera gives of each label's pictures, through its own faults and capture's own encoding."""
    found = []
    for label in LABELS:
        settings = CameraSettings(source="folder", path=str(folder / label), realtime=False, faults=faults)
        source, mine = open_source(settings, VirtualClock()), []
        source.open()
        while (frame := source.read()) is not None:
            jpeg = jpeg_of(replace(frame, encoded=None), CaptureSettings())
            mine.append(store.put(jpeg.data, width=jpeg.width, height=jpeg.height))
        source.close()
        found.append(mine)
    return found


def test_a_relabelled_breed_is_the_model_and_a_smeared_lens_is_not(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker, breeds: tuple[Bundle, Bundle]
) -> None:
    wrong, right = breeds
    device = Device(tmp_path, own_mosquitto)
    device.task(
        schedule((0, ["champion"]), task=TASK, ignore=("canary",)), champion=wrong.root, canary=BUNDLES / "canary"
    )
    with device.settings.open("a", encoding="utf-8") as file:
        file.write("[analytics]\nenabled = false\n")  # the one that watches here has a clock of its own
    write_scenes(tmp_path / "shown", EACH, 97)
    store = FrameStore(tmp_path / "data" / "frames")
    plain = frames(tmp_path / "shown", store)
    smeared = frames(tmp_path / "shown", store, CameraFault(kind="blur", blur=0.03))
    chance = random.Random(5)

    async def tell(camera: Camera, clock: VirtualClock, pictures: list[list[FrameRef]], count: int) -> Alarm | None:
        """Picture by picture, until somebody is called."""
        for _ in range(count):
            clock.advance(round(EVERY * chance.uniform(0.5, 1.5)))
            await camera.show(chance.choice(chance.choice(pictures)))
            opened = [one for one in camera.alarms if one.change == "opened"]
            if opened:
                return opened[0]
        return None

    async def main() -> dict[str, Alarm]:
        camera, found = Camera(device), {}
        await camera.bus.start()
        async with device.up() as supervisor:
            shown = [[await camera.show(frame) for frame in label] for label in plain]
            scores = [camera.words[asked]["champion"] for asked in shown[ROCK]]
            assert all(isinstance(one, Score) and one.version == WRONG for one in scores)
            learnt = learn(camera, shown, 11)
            async with watching(device, camera, tmp_path / "smeared", learnt) as clock:
                assert await tell(camera, clock, plain, BEFORE) is None
                called = await tell(camera, clock, smeared, AFTER)
                assert called is not None, "a smeared lens was not noticed"
                found["smeared"] = called
            camera.alarms.clear()
            async with watching(device, camera, tmp_path / "relabelled", learnt) as clock:
                assert await tell(camera, clock, plain, BEFORE) is None
                text = device.settings.read_text(encoding="utf-8")
                device.settings.write_text(text.replace(str(wrong.root), str(right.root)), encoding="utf-8")
                supervisor.kill(f"model-{TASK}-champion")
                await camera.until(lambda: ("champion", RIGHT) in camera.ready)
                called = await tell(camera, clock, plain, AFTER)
                assert called is not None, "the change of the model was not noticed"
                found["relabelled"] = called
        await camera.bus.stop()
        return found

    told = run(main(), timeout=600)
    assert told["smeared"].alarm.verdict in ("camera", "world")
    assert told["relabelled"].alarm.verdict == "model"
    assert told["relabelled"].alarm.signals[0].about == "champion"

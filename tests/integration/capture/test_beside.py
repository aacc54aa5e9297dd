"""What capture keeps beside its requests, over a whole film: zones, reasons, pictures from before and after."""

import json

import cv2
import numpy as np
from capture_world import FILM, Device, Run

from roost_edge.best_picture import worth_of
from roost_edge.motion.settings import MotionSettings
from roost_edge.motion.why import read
from roost_edge.sources.test_scene import MovingSquare

LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
RIGHT = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))


def test_requests_and_the_motion_message_say_in_which_zone_it_is(device: Device, run: Run) -> None:
    async def main() -> None:
        motion = MotionSettings(zones={"door": LEFT, "feeder": RIGHT})
        async with device.others() as others, device.capture(motion=motion):
            await others.until(lambda: others.count("finished") == 1 and others.count("open") == 0)
            zones = [request.tags["zone"] for request in others.requests]
            assert zones[0] == "door"
            assert "feeder" in zones

    run(main())


def test_each_request_says_what_its_picture_shows_and_a_cut_one_shows_less(device: Device, run: Run) -> None:
    async def main() -> list[tuple[str, float]]:
        async with device.others() as others, device.capture():
            await others.until(lambda: others.count("finished") == 1 and others.count("open") == 0)
            return [(request.tags["event"], worth_of(request.tags)) for request in others.requests]

    asked = run(main())
    for event in {event for event, _ in asked}:
        burst = [worth for name, worth in asked if name == event]
        assert 0 < burst[0] < max(burst)  # the first one shows a square that comes in at the rim


def test_every_frame_of_the_film_has_its_reason_in_the_log_afterwards(device: Device, run: Run) -> None:
    async def main() -> int:
        async with device.others() as others, device.capture():
            await others.until(lambda: others.count("finished") == 1 and others.count("open") == 0)
            return others.count("frames")

    frames = run(main())
    told = read(device.folder / "motion" / "cam.db", 0, 2**62)
    assert sum(one.frames.total() for one in told) == frames
    assert {"motion", "quiet", "learning"} <= {reason for one in told for reason in one.frames}


def test_each_event_has_its_roll_and_the_picture_that_triggered_is_in_it(device: Device, run: Run) -> None:
    async def main() -> list[str]:
        rolling = {"pre_roll_ms": 500, "post_roll_ms": 300, "roll_every_ms": 100}
        async with device.others() as others, device.capture(**rolling):
            await others.until(lambda: others.count("finished") == 1 and others.count("open") == 0)
            return [request.tags["event"] for request in others.requests]

    events = list(dict.fromkeys(run(main())))
    scene = MovingSquare(FILM.seed, FILM.width, FILM.height, FILM.fps)
    assert sorted(path.name for path in (device.folder / "rolls").iterdir()) == sorted(events)
    for event in events:
        folder = device.folder / "rolls" / event
        names = [one["file"] for one in json.loads((folder / "event.json").read_text())["frames"]]
        assert names[0].startswith("-")
        assert "+0000.jpg" in names
        shown = cv2.cvtColor(cv2.imread(str(folder / "+0000.jpg")), cv2.COLOR_BGR2RGB).astype(int)
        assert min(float(np.abs(shown - scene.frame(index)[0]).mean()) for index in range(100)) < 4

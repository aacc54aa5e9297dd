"""The others that `motion` is measured against: Debian's Motion, OpenCV's MOG2, a plain running average.

MOG2 and the running average are the two recipes that most projects use. They give the share of the largest blob for
every frame; the benchmark then picks the one threshold that suits each best over all clips, in their favour. Motion
runs as the program it is, on the same film, at the film's own speed, once as installed and once with what its guide
recommends against light and noise.
"""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from bench_motion_clips import FPS, HEIGHT, STRIP, WIDTH, number_of

Picture = Any  # numpy arrays of OpenCV, whose stubs do not agree with each other
AreaOf = Callable[[Picture], float]
_KERNEL = np.ones((3, 3), np.uint8)

MOTION = {
    "Motion": {},
    "Motion tuned": {
        "noise_tune": "on",
        "despeckle_filter": "EedDl",
        "lightswitch_percent": "30",
        "lightswitch_frames": "5",
        "minimum_motion_frames": "2",
    },
}


def running_average() -> AreaOf:
    """Grey, blurred, against a running average; the recipe of countless tutorials."""
    mean: list[Picture] = []

    def area(picture: Picture) -> float:
        grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (21, 21), 0)
        if not mean:
            mean.append(grey.astype(np.float32))
        cv2.accumulateWeighted(grey, mean[0], 0.05)
        changed = cv2.threshold(cv2.absdiff(grey, cv2.convertScaleAbs(mean[0])), 10, 255, cv2.THRESH_BINARY)[1]
        return _largest(cv2.dilate(changed, _KERNEL, iterations=2))

    return area


def mog2() -> AreaOf:
    """OpenCV's mixture of Gaussians with its defaults; shadows do not count."""
    subtractor = cv2.createBackgroundSubtractorMOG2()

    def area(picture: Picture) -> float:
        mask = np.asarray(subtractor.apply(picture))
        return _largest(cv2.morphologyEx((mask == 255).astype(np.uint8), cv2.MORPH_OPEN, _KERNEL))

    return area


def _largest(mask: Picture) -> float:
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return max((cv2.contourArea(contour) for contour in contours), default=0.0) / mask.size


def motion_version() -> str:
    """Which Motion there is; empty where there is none."""
    if not shutil.which("motion"):
        return ""
    shown = subprocess.run(["motion", "-h"], capture_output=True, text=True, timeout=10, check=False)
    return (shown.stdout + shown.stderr).split(",")[0].replace("motion Version", "").strip()


def motion_finds(films: Iterable[Path], settings: dict[str, str], seconds: int, at_once: int) -> dict[Path, set[int]]:
    """Numbers of the frames in which Motion saw motion, for every film; some run beside each other."""
    waiting, running, found = list(films), {}, {}
    while waiting or running:
        while waiting and len(running) < at_once:
            film = waiting.pop()
            folder = Path(tempfile.mkdtemp(prefix="roost-motion-"))
            running[film] = (folder, _start(film, folder, settings), time.monotonic() + seconds + 4)
        time.sleep(0.5)
        for film, (folder, process, ends) in list(running.items()):
            if time.monotonic() < ends and process.poll() is None:
                continue
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            found[film] = _numbers(folder, seconds * FPS)
            shutil.rmtree(folder)
            del running[film]
    return found


def _start(film: Path, folder: Path, settings: dict[str, str]) -> "subprocess.Popen[bytes]":
    mask = np.full((HEIGHT + STRIP, WIDTH), 255, np.uint8)
    mask[HEIGHT:] = 0  # the strip with the number is not looked at
    (folder / "mask.pgm").write_bytes(b"P5\n%d %d\n255\n" % (WIDTH, HEIGHT + STRIP) + mask.tobytes())
    # Motion decodes MJPEG as cameras send it more surely than FFV1; at this quality nothing is lost that matters.
    lines = {
        "daemon": "off",
        "log_level": "6",
        "netcam_url": f"file://{film}",
        "width": str(WIDTH),
        "height": str(HEIGHT + STRIP),
        "framerate": str(FPS),
        "target_dir": str(folder / "out"),
        "mask_file": str(folder / "mask.pgm"),
        "threshold": "1500",
        "event_gap": "2",
        "pre_capture": "0",
        "post_capture": "0",
        "picture_output": "on",
        "picture_filename": "%v-%Y%m%d%H%M%S-%q",
        "movie_output": "off",
        "locate_motion_mode": "off",
        "webcontrol_port": "0",
        "stream_port": "0",
        "text_right": "",
        **settings,
    }
    (folder / "out").mkdir()
    config = folder / "motion.conf"
    config.write_text("".join(f"{name} {value}\n" for name, value in lines.items()), encoding="utf-8")
    log = (folder / "motion.log").open("wb")
    return subprocess.Popen(["motion", "-n", "-c", str(config)], stdout=log, stderr=log, cwd=folder)


def _numbers(folder: Path, frames: int) -> set[int]:
    """Frames by the pictures that were kept, up to where the film began again."""
    found: set[int] = set()
    last = -1
    for path in sorted((folder / "out").glob("*.jpg"), key=lambda item: item.stat().st_mtime_ns):
        number = number_of(cv2.imread(str(path)))
        if number < last - FPS:
            break
        if number < frames:
            found.add(number)
            last = number
    return found

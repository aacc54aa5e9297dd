"""Rendered scenes as files: clips with their truth beside them, folders of labelled stills, a contact sheet."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from roost_broker.errors import Misuse
from roost_henhouse.canvas import Picture
from roost_henhouse.scene import HenhouseScene, still
from roost_henhouse.truth import LABELS, Truth

# Codecs that OpenCV carries itself on every platform we know; which is used is decided by the file's name.
_CODECS = {".mp4": "mp4v", ".avi": "MJPG"}

Progress = Callable[[int, int], None]


def _silent(done: int, total: int) -> None:
    """Report nothing."""


def write_clip(
    path: Path,
    seed: int,
    seconds: float,
    *,
    width: int = 640,
    height: int = 480,
    fps: float = 10,
    first: int = 0,
    progress: Progress = _silent,
) -> Path:
    """Write a video (.mp4 or .avi by its name) and its truth, one JSON object for each frame, as `<path>.jsonl`.

    `first` is the frame to begin with. Returns the path of the truth. Raises `Misuse` for a name of another kind, or
    when OpenCV cannot write there.
    """
    codec = _CODECS.get(path.suffix.lower())
    if codec is None:
        raise Misuse(f"{path.name!r} does not say which kind of video it should be.", "Name it *.mp4 or *.avi.")
    scene = HenhouseScene(seed, width, height, fps)
    frames = max(1, round(seconds * fps))
    path.parent.mkdir(parents=True, exist_ok=True)
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (width, height))
    if not video.isOpened():
        raise Misuse(f"OpenCV cannot write a video to {path}.", "Check the folder's permissions, or try *.avi.")
    truth_path = path.with_name(f"{path.name}.jsonl")
    try:
        with truth_path.open("w", encoding="utf-8") as lines:
            for number in range(frames):
                picture, truth = scene.frame(first + number)
                video.write(picture[:, :, ::-1])
                lines.write(json.dumps({"frame": number, **truth.to_dict()}, separators=(",", ":")) + "\n")
                progress(number + 1, frames)
    finally:
        video.release()
    return truth_path


def labelled_stills(count: int, seed: int, size: tuple[int, int] = (640, 480)) -> Iterator[tuple[Picture, Truth, int]]:
    """So many stills, the labels in turn, each with its own seed counted up from `seed` × 1,000,000."""
    for number in range(count):
        own = seed * 1_000_000 + number
        picture, truth = still(LABELS[number % len(LABELS)], own, size)
        yield picture, truth, own


def write_stills(
    folder: Path, count: int, seed: int, *, size: tuple[int, int] = (640, 480), progress: Progress = _silent
) -> Path:
    """Write JPEG stills and `labels.csv` (file, label, all labels, seed, weather, light). Returns the CSV's path."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "labels.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "label", "labels", "seed", "weather", "light"))
        for number, (picture, truth, own) in enumerate(labelled_stills(count, seed, size)):
            name = f"{number:05d}-{truth.label}.jpg"
            (folder / name).write_bytes(jpeg(picture, 92))
            rows.writerow((name, truth.label, " ".join(truth.labels), own, truth.weather, truth.light))
            progress(number + 1, count)
    return table


def contact_sheet(seed: int, rows: int = 4, cell: tuple[int, int] = (224, 168)) -> Picture:
    """All labels side by side, `rows` of them below each other, with their names on top."""
    lines = []
    for row in range(rows):
        cells = []
        for label in LABELS:
            small = cv2.resize(still(label, seed + 31 * row)[0], cell, interpolation=cv2.INTER_AREA)
            cells.append(cv2.copyMakeBorder(small, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(250, 250, 250)))
        lines.append(np.hstack(cells))
    title = np.full((26, lines[0].shape[1], 3), 250, np.uint8)
    for column, label in enumerate(LABELS):
        at = (column * (cell[0] + 4) + 6, 18)
        cv2.putText(title, label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (30, 30, 30), 1, cv2.LINE_AA)
    return np.asarray(np.vstack([title, *lines]), dtype=np.uint8)


def jpeg(picture: Picture, quality: int) -> bytes:
    """A picture as JPEG."""
    done, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV could not encode a picture as JPEG")
    return data.tobytes()

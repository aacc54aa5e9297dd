"""What a small camera makes of a scene: light, the night's infrared grey, a soft lens, noise."""

from functools import lru_cache

import cv2
import numpy as np

from roost_henhouse.canvas import Picture, rng_of

_NOISE_MARGIN = 64


def expose(
    picture: Picture, *, brightness: float, warmth: float, night: bool, softness: float, seed: int, index: int
) -> Picture:
    """The picture as the camera delivers it.

    `brightness` is 1 on an ordinary day; `warmth` is -1 (blue) to 1 (lamp light); `softness` 0..2 is the lens.
    The noise is that of (seed, index).
    """
    height, width = picture.shape[:2]
    shaded = cv2.multiply(picture, _falloff(width, height, night), scale=1 / 255)
    if night:
        grey = cv2.cvtColor(shaded, cv2.COLOR_RGB2GRAY)
        shaded = cv2.cvtColor(cv2.LUT(grey, _tone(brightness * 0.85)), cv2.COLOR_GRAY2RGB)
    else:
        gains = (brightness * (1 + 0.14 * warmth), brightness, brightness * (1 - 0.2 * warmth))
        shaded = cv2.LUT(shaded, np.stack([_tone(gain) for gain in gains], axis=-1).reshape(1, 256, 3))
    if softness >= 0.5:
        shaded = cv2.blur(shaded, (3, 3)) if softness >= 1.5 else cv2.GaussianBlur(shaded, (3, 3), 0.5 + softness / 4)
    amount = 0.55 if not night else 1.0
    amount *= float(np.clip(1.25 - 0.35 * brightness, 0.6, 1.6))
    rng = rng_of(seed, index, 41)
    dx, dy = (int(v) for v in rng.integers(0, _NOISE_MARGIN, 2))
    noise = _noise(width, height)[dy : dy + height, dx : dx + width]
    return np.asarray(cv2.addWeighted(shaded, 1.0, noise, amount, -128.0 * amount), dtype=np.uint8)


def jpeg_softness(picture: Picture, quality: int) -> Picture:
    """The picture after one trip through JPEG, as a camera's own encoder leaves it."""
    done, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV could not encode a picture as JPEG")
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1], dtype=np.uint8)


@lru_cache(maxsize=256)
def _tone_of(steps: int) -> Picture:
    """Gain with a soft shoulder, as a table: `steps` is the gain in 1/64."""
    level = np.arange(256) / 255 * (steps / 64)
    return np.asarray(
        np.clip(255 * np.where(level < 0.8, level, 0.8 + 0.2 * np.tanh((level - 0.8) / 0.2)), 0, 255)
    ).astype(np.uint8)


def _tone(gain: float) -> Picture:
    return _tone_of(round(gain * 64))


@lru_cache(maxsize=8)
def _falloff(width: int, height: int, night: bool) -> Picture:
    """Light by place: by day from above, at night from the infrared lamp beside the lens."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = x / width - 0.5, y / height - 0.5
    far = u * u + v * v
    light = np.clip(1.12 - 1.9 * far, 0.2, 1) if night else np.clip(1.02 - 0.55 * far - 0.1 * v, 0.4, 1)
    return np.repeat((light * 255).astype(np.uint8)[:, :, None], 3, axis=2)


@lru_cache(maxsize=4)
def _noise(width: int, height: int) -> Picture:
    """A bank of noise around 128, larger than the picture; each frame sees another window of it."""
    rng = rng_of(width, height, 42)
    shape = (height + _NOISE_MARGIN, width + _NOISE_MARGIN)
    grey = rng.normal(0, 6.0, (*shape, 1))
    colour = rng.normal(0, 4.0, (*shape, 3))
    return np.clip(128 + grey + colour, 0, 255).astype(np.uint8)

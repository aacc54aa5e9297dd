"""The only place where BGR becomes RGB and large pictures become smaller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from roost_edge.sources.frame import Image


def rgb_from_bgr(image: Any) -> Image:
    """OpenCV's picture as ours: a fresh, contiguous RGB array."""
    import cv2

    return cast("Image", cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def fit(image: Image, width: int, height: int) -> Image:
    """The picture scaled down to fit into width × height, proportions kept; never scaled up."""
    import cv2

    tall, wide = image.shape[:2]
    share = min(width / wide, height / tall)
    if share >= 1:
        return image
    size = max(1, round(wide * share)), max(1, round(tall * share))
    smaller: Any = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # OpenCV's types know no uint8 in, uint8 out
    return cast("Image", smaller)

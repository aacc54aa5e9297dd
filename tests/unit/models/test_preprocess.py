import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from roost_models.bundle.goldens import ramps
from roost_models.bundle.manifest import ImageContract
from roost_models.inference import images
from roost_models.inference.images import BadImage, decode, encode_png
from roost_models.inference.preprocess import pixels, tensor

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def stripes() -> NDArray[np.uint8]:
    """12×4: red, green, blue thirds."""
    picture = np.zeros((4, 12, 3), np.uint8)
    picture[:, :4], picture[:, 4:8], picture[:, 8:] = RED, GREEN, BLUE
    return picture


def colours(array: NDArray[np.uint8]) -> list[tuple[int, ...]]:
    return [tuple(int(value) for value in pixel) for pixel in array[array.shape[0] // 2]]


def test_squeeze_keeps_everything() -> None:
    assert colours(pixels(stripes(), ImageContract(width=3, height=3))) == [RED, GREEN, BLUE]


def test_crop_keeps_the_centre() -> None:
    assert colours(pixels(stripes(), ImageContract(width=2, height=2, resize="crop"))) == [GREEN, GREEN]


def test_pad_keeps_everything_between_black_bars() -> None:
    padded = pixels(stripes(), ImageContract(width=6, height=6, resize="pad"))
    assert colours(padded) == [RED, RED, GREEN, GREEN, BLUE, BLUE]
    assert not padded[:2].any()
    assert not padded[4:].any()


def test_bgr_turns_the_channels_and_gray_has_one() -> None:
    assert colours(pixels(stripes(), ImageContract(width=3, height=1, color="bgr"))) == [BLUE, GREEN, RED]
    gray = pixels(stripes(), ImageContract(width=3, height=1, color="gray"))
    assert gray.shape == (1, 3, 1)
    assert colours(gray) == [(76,), (150,), (29,)]  # ITU-R 601


def test_box_is_the_mean_of_the_area() -> None:
    checks = np.zeros((4, 4, 3), np.uint8)
    checks[::2, ::2] = 200
    assert pixels(checks, ImageContract(width=1, height=1)).ravel().tolist() == [50, 50, 50]


def test_a_range_maps_both_ends_exactly_and_uint8_hands_pixels_over() -> None:
    levels = np.array([0, 255], np.uint8)
    assert tensor(levels, ImageContract(width=1, height=1, range=(-1.0, 1.0))).tolist() == [-1.0, 1.0]
    assert tensor(levels, ImageContract(width=1, height=1)) is levels


@settings(max_examples=50, deadline=None)
@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    want=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    resize=st.sampled_from(["squeeze", "crop", "pad"]),
    method=st.sampled_from(["box", "bilinear"]),
)
def test_any_picture_takes_the_contracts_shape_twice_the_same(
    width: int, height: int, want: tuple[int, int], resize: str, method: str
) -> None:
    contract = ImageContract(width=want[0], height=want[1], resize=resize, method=method)  # type: ignore[arg-type] # sampled
    picture = np.arange(width * height * 3, dtype=np.int64).astype(np.uint8).reshape(height, width, 3)
    once = pixels(picture, contract)
    assert once.shape == (want[1], want[0], 3)
    assert np.array_equal(once, pixels(picture, contract))


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (4, 4, 1)])
def test_what_is_no_rgb_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a picture is uint8"):
        pixels(np.zeros(shape, np.uint8), ImageContract(width=2, height=2))


def jpeg(orientation: int | None = None) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(stripes().repeat(8, 0).repeat(8, 1)).save(buffer, "JPEG", exif=exif, quality=95)
    return buffer.getvalue()


def test_a_picture_is_turned_upright() -> None:
    assert decode(jpeg()).shape == (32, 96, 3)
    upright = decode(jpeg(orientation=6))
    assert upright.shape == (96, 32, 3)
    assert upright[4, 16, 0] > 200  # red on top now


def test_a_png_survives_unchanged_and_other_modes_become_rgb() -> None:
    assert np.array_equal(decode(encode_png(ramps())), ramps())
    for mode in ("L", "P", "RGBA", "1", "CMYK"):
        buffer = io.BytesIO()
        Image.fromarray(ramps()).convert(mode).save(buffer, "TIFF" if mode == "CMYK" else "PNG")
        if mode == "CMYK":
            with pytest.raises(BadImage, match="no picture"):  # TIFF is not among the formats
                decode(buffer.getvalue())
        else:
            assert decode(buffer.getvalue()).shape == (48, 64, 3)


@pytest.mark.parametrize("data", [b"", b"not a picture", jpeg()[:200], encode_png(ramps())[:-30]])
def test_bytes_that_are_no_whole_picture_are_refused(data: bytes) -> None:
    with pytest.raises(BadImage) as refused:
        decode(data)
    assert refused.value.remedy


def test_too_many_pixels_are_refused_before_they_are_unpacked() -> None:
    buffer = io.BytesIO()
    Image.new("1", (6000, 5000)).save(buffer, "PNG")
    with pytest.raises(BadImage, match="over the limit"):
        decode(buffer.getvalue())


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_damaged_picture_is_refused_or_decoded_and_never_anything_else(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from([jpeg(), encode_png(ramps())])))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadImage):
        assert decode(bytes(whole)).ndim == 3


def test_an_inline_picture_must_be_base64() -> None:
    assert images.from_base64("aGVu") == b"hen"
    with pytest.raises(BadImage, match="not base64"):
        images.from_base64("hen!")

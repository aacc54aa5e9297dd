"""EXIF goes before anything leaves the device; the picture itself stays as it is, to the pixel."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from roost_broker.jpeg_comment import with_comment
from roost_broker.jpeg_private import without_private

PLACE = b"47 deg N, 8 deg E"


def picture(*, exif: Image.Exif | None = None, **options: object) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", **({"exif": exif} if exif else {}), **options)
    return out.getvalue()


def exif(side_up: int = 1) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = side_up
    found[0x010F] = "A camera's maker"
    found[0x013B] = PLACE.decode()
    found.get_ifd(0x8825)[1] = "N"
    return found


def upright(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(ImageOps.exif_transpose(opened))


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


def cleaned(data: bytes) -> bytes:
    found = without_private(data)
    assert found is not None
    return found


@pytest.mark.parametrize("side_up", range(1, 9))
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}], ids=str)
def test_place_and_maker_go_and_the_picture_stays_with_its_right_side_up(side_up: int, options: dict) -> None:
    data = picture(exif=exif(side_up), **options)
    assert PLACE in data
    clean = cleaned(data)
    assert PLACE not in clean
    assert np.array_equal(upright(clean), upright(data))
    with Image.open(io.BytesIO(clean)) as opened:
        assert set(opened.getexif()) <= {0x0112}
    assert cleaned(clean) is clean


def test_xmp_iptc_comments_and_second_pictures_go() -> None:
    data = picture()
    private = [segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + PLACE), segment(0xED, PLACE), segment(0xFE, PLACE)]
    data = data[:2] + b"".join(private) + segment(0xE2, b"MPF\x00" + PLACE) + data[2:] + picture(exif=exif())
    clean = cleaned(data)
    assert PLACE not in clean
    assert clean == picture()


def test_colours_keep_their_profile_and_a_rendered_picture_says_so_still() -> None:
    rendered = with_comment(picture(icc_profile=b"a profile"), "Rendered by a scene")
    assert cleaned(rendered) is rendered


def test_a_picture_that_tells_nothing_is_the_same_object() -> None:
    data = picture()
    assert cleaned(data) is data


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", picture()[:-2], picture()[:30], b"\xff\xd8\xff\xd9", picture()[2:]], ids=range(6)
)
def test_what_cannot_be_followed_to_its_end_is_refused(data: bytes) -> None:
    assert without_private(data) is None


@given(at=st.integers(0, 5_000), byte=st.integers(0, 255), cut=st.integers(0, 50))
def test_damaged_files_are_refused_or_cleaned_once_and_for_all(at: int, byte: int, cut: int) -> None:
    damaged = bytearray(picture(exif=exif(6)))
    damaged[at % len(damaged)] = byte
    clean = without_private(bytes(damaged[: len(damaged) - cut]))
    if clean is not None:
        assert without_private(clean) is clean

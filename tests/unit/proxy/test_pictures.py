"""Kind, size and wholeness of pictures, against Pillow's word, and with bytes that mean harm."""

import io
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given
from PIL import Image

from roost_rendezvous.proxy.pictures import look_at
from roost_rendezvous.proxy.refused import Refused

MOST = 25_000_000
sizes = st.integers(1, 300)


def refusal(work: Callable[[], object]) -> Refused | None:
    """What it was refused with, if it was."""
    try:
        work()
    except Refused as refused:
        return refused
    return None


def encoded(kind: str, width: int = 40, height: int = 30, **how: object) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((width, height), 60).convert("RGB").save(buffer, kind, **how)  # type: ignore[arg-type]  # Pillow's options
    return buffer.getvalue()


WHOLE = {kind: encoded(kind) for kind in ("JPEG", "PNG")}


@given(st.sampled_from(["JPEG", "PNG"]), sizes, sizes, st.booleans())
def test_the_size_is_what_pillow_says(kind: str, width: int, height: int, progressive: bool) -> None:
    data = encoded(kind, width, height, **({"progressive": progressive} if kind == "JPEG" else {}))
    assert look_at(data, max_pixels=MOST) == (f"image/{kind.lower()}", width, height)


def test_exif_and_comments_before_the_size_and_bytes_behind_the_end_do_no_harm() -> None:
    exif = Image.Exif()
    exif[0x010E] = "hen " * 2000
    data = encoded("JPEG", exif=exif, comment=b"\xff\xd9 not the end") + b"what a camera adds"
    assert look_at(data, max_pixels=MOST) == ("image/jpeg", 40, 30)


@given(st.sampled_from(["JPEG", "PNG"]), st.data())
def test_a_picture_cut_off_anywhere_is_refused(kind: str, data: st.DataObject) -> None:
    whole = WHOLE[kind]
    with pytest.raises(Refused) as refused:
        look_at(whole[: data.draw(st.integers(0, len(whole) - 2))], max_pixels=MOST)
    assert refused.value.status == 422


@given(st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]), st.binary(max_size=300))
def test_any_bytes_are_a_picture_or_refused_with_a_remedy(beginning: bytes, rest: bytes) -> None:
    refused = refusal(lambda: look_at(beginning + rest, max_pixels=MOST))
    assert refused is None or (refused.status in (413, 422) and refused.remedy)


@given(st.sampled_from(["JPEG", "PNG"]), st.data())
def test_a_changed_byte_never_makes_anything_else_of_it_than_a_picture_or_a_refusal(
    kind: str, data: st.DataObject
) -> None:
    broken = bytearray(WHOLE[kind])
    broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = look_at(bytes(broken), max_pixels=MOST)
    except Refused:
        return
    assert picture.width * picture.height <= MOST


def test_pixels_are_counted_before_anybody_decodes_them() -> None:
    with pytest.raises(Refused, match="64×48 is over the limit of 3071 pixels") as refused:
        look_at(encoded("PNG", 64, 48), max_pixels=3071)
    assert refused.value.status == 413
    assert look_at(encoded("PNG", 64, 48), max_pixels=3072).width == 64


def test_a_million_marker_bytes_are_read_once() -> None:
    with pytest.raises(Refused, match="cut off"):
        look_at(b"\xff\xd8" + b"\xff" * 5_000_000, max_pixels=MOST)
    with pytest.raises(Refused, match="cut off"):
        look_at(b"\xff\xd8" + b"\xff\xd0" * 2_000_000, max_pixels=MOST)

import io

import pytest
from feed_world import jpeg
from PIL import Image, PngImagePlugin

from roost_broker.errors import PeerError
from roost_edge.feed.picture import clean


def tagged() -> bytes:
    """A picture that says where and by whom it was taken, lying on its side."""
    picture = Image.new("RGB", (400, 200), (200, 30, 30))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90°
    exif[0x010F] = "SECRET-MAKER"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)  # latitude
    out = io.BytesIO()
    picture.save(out, "JPEG", exif=exif, comment=b"SECRET-COMMENT", icc_profile=b"SECRET-PROFILE" * 20)
    return out.getvalue()


def test_nothing_but_pixels_leaves_the_device() -> None:
    before = tagged()
    assert b"SECRET" in before
    after = clean(before, side=1_280, max_bytes=300_000)
    assert b"SECRET" not in after
    assert b"Exif" not in after
    with Image.open(io.BytesIO(after)) as picture:
        assert dict(picture.getexif()) == {}
        assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert picture.size == (200, 400)  # turned as it was meant


def test_texts_of_a_png_stay_behind_too() -> None:
    about = PngImagePlugin.PngInfo()
    about.add_text("Author", "SECRET")
    out = io.BytesIO()
    Image.new("RGBA", (64, 64), (1, 2, 3, 4)).save(out, "PNG", pnginfo=about)
    assert b"SECRET" not in clean(out.getvalue(), side=64, max_bytes=20_000)


def test_a_picture_is_made_as_small_as_it_must_be() -> None:
    noise = Image.effect_noise((900, 700), 90).convert("RGB")
    out = io.BytesIO()
    noise.save(out, "JPEG", quality=95)
    small = clean(out.getvalue(), side=640, max_bytes=30_000)
    assert len(small) <= 30_000
    with Image.open(io.BytesIO(small)) as picture:
        assert max(picture.size) <= 640


@pytest.mark.parametrize("data", [b"", b"no picture", jpeg()[:400]])
def test_bytes_that_are_no_picture_are_refused(data: bytes) -> None:
    with pytest.raises(PeerError):
        clean(data, side=640, max_bytes=100_000)

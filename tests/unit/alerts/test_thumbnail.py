import io

import pytest
from PIL import Image

from roost_broker.errors import PeerError
from roost_edge.alerts.thumbnail import thumbnail


def jpeg(width, height, *, noisy=False, exif=None):
    picture = (
        Image.effect_noise((width, height), 120).convert("RGB")
        if noisy
        else Image.new("RGB", (width, height), (9, 99, 9))
    )
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=95, **({} if exif is None else {"exif": exif}))
    return out.getvalue()


def test_a_large_picture_becomes_small_and_keeps_its_proportions():
    shown = Image.open(io.BytesIO(thumbnail(jpeg(1280, 720), width=480, max_bytes=60_000)))
    assert shown.size == (480, 270)


def test_a_picture_that_hardly_compresses_still_fits():
    assert len(thumbnail(jpeg(1280, 960, noisy=True), width=960, max_bytes=20_000)) <= 20_000


def test_exif_is_left_behind_but_the_rotation_it_asked_for_is_done():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter
    exif[0x010F] = "a maker nobody need know"
    small = thumbnail(jpeg(400, 200, exif=exif), width=400, max_bytes=60_000)
    shown = Image.open(io.BytesIO(small))
    assert shown.size == (200, 400)
    assert not shown.getexif()
    assert b"maker" not in small


@pytest.mark.parametrize("data", [b"", b"no picture", jpeg(64, 64)[:200]])
def test_bytes_that_are_no_whole_picture_are_refused(data):
    with pytest.raises(PeerError, match="not a picture"):
        thumbnail(data, width=100, max_bytes=60_000)


def test_a_bound_nothing_can_meet_is_an_error_not_an_endless_loop():
    with pytest.raises(PeerError, match="cannot be shown in 100 bytes"):
        thumbnail(jpeg(640, 480, noisy=True), width=480, max_bytes=100)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_unpacked():
    out = io.BytesIO()
    Image.new("1", (6_000, 6_000)).save(out, "PNG")
    with pytest.raises(PeerError, match="6000×6000 is too large"):
        thumbnail(out.getvalue(), width=320, max_bytes=20_000)

import io

import pytest
from PIL import Image
from rich.console import Console

from roost_edge.demo.half_blocks import half_blocks
from roost_edge.demo.render import Scene, draw, picture_rows

RED, BLUE = (250, 10, 10), (10, 10, 250)


def shown(view, *, width=120, height=40, picture=()):
    console = Console(width=width, height=height, record=True, file=io.StringIO(), force_terminal=True)
    scene = Scene(
        title="Roost · coop-1", elapsed_s=83, hint=" Ctrl-C ends.", width=width, height=height, picture=picture
    )
    console.print(draw(view, scene))
    return console.export_text()


def test_before_the_first_request_the_view_says_what_it_waits_for(device):
    text = shown(device.view)
    assert "Waiting for something to move." in text
    assert "01:23" in text
    assert "Ctrl-C ends." in text


def test_the_top_three_the_race_and_the_promise_are_all_there(device):
    device.schedule()
    request = device.request()
    device.score(request, "champion")
    device.result(request)
    device.receipt(request)
    device.alert()
    text = shown(device.view)
    assert "BLUE JAY" in text
    for label, score in (("blue jay", "0.900"), ("egg", "0.070"), ("open door", "0.020")):
        assert any(label in line and score in line for line in text.splitlines())
    assert "preferred, says champion 1.0" in text
    assert "35 ms of 2000 allowed (2 %)" in text
    assert "100.0 %  of 1 answers" in text
    assert "1 of 1 requests" in text
    assert "preferred 100 %" in text
    assert "blue jay 0.90 on nest, 1 result" in text


def test_the_chosen_model_is_marked_the_ignored_one_too_and_the_order_is_the_schedules(device):
    device.schedule()
    device.result(device.request())
    lines = [line for line in shown(device.view).splitlines() if line.startswith("│")]
    race = [line for line in lines if "ms " in line or "declined: behind" in line]
    names = [name for line in race for name in ("champion", "fast", "rules", "canary") if f" {name} " in line]
    assert names[-4:] == ["champion", "fast", "rules", "canary"]
    assert any("★ champion" in line for line in race)
    assert any("∅ canary" in line for line in race)
    assert any("▲ 35 ┼ 600 1200 ╪ 1900" in line for line in lines)


def test_a_model_that_came_after_the_decision_is_shown_with_its_time_all_the_same(device):
    request = device.request()
    device.result(request, cause="fallback", model="fast", outcomes=device.outcomes(champion="pending"))
    assert "not yet" in shown(device.view)
    device.wait(ms=698)
    device.score(request, "champion", "open_door")
    text = shown(device.view)
    assert "not yet" not in text
    assert any("champion" in line and "700 ms open door 0.90" in line for line in text.splitlines())


def test_a_default_says_that_no_model_answered(device):
    device.result(device.request(), cause="default", elapsed_ms=1900.0, outcomes=device.outcomes(champion="gone"))
    text = shown(device.view)
    assert "unknown (default: no model answered in time)" in text
    assert "★" not in text


def test_a_model_that_is_gone_and_messages_that_do_not_decode_are_shown(device):
    device.model_state("champion", "gone")
    device.view.take("roost/coop-1/henhouse/scores/champion", b"\xff")
    text = shown(device.view)
    assert "gone" in text
    assert "1 messages" in text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (120, 40), (200, 60)])
def test_the_view_fits_the_terminal(device, width, height):
    device.schedule()
    for model in ("champion", "fast", "rules", "canary"):
        device.model_state(model, "ready")
    for _ in range(20):
        device.result(device.request())
        device.alert()
    rows = picture_rows(height)
    picture = [[(RED, BLUE)] * (rows * 8 // 3)] * rows
    lines = shown(device.view, width=width, height=height, picture=picture).rstrip("\n").splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_a_photograph_becomes_cells_of_two_pixels():
    picture = Image.new("RGB", (80, 60), RED)
    picture.paste(BLUE, (0, 30, 80, 60))
    out = io.BytesIO()
    picture.save(out, "PNG")
    cells = half_blocks(out.getvalue(), columns=4, rows=3)
    assert cells[0] == [(RED, RED)] * 4
    assert cells[1] == [(RED, BLUE)] * 4
    assert cells[2] == [(BLUE, BLUE)] * 4


def test_what_is_no_photograph_is_refused():
    with pytest.raises(OSError, match="cannot identify"):
        half_blocks(b"nothing", columns=4, rows=3)

import pytest

from roost_broker.errors import Misuse
from roost_edge.demo.options import Fault, Options, parse


def test_without_arguments_it_is_the_rendered_scene_until_ctrl_c():
    assert parse([]) == Options()


def test_everything_that_can_be_asked_for_is_understood(tmp_path):
    film = tmp_path / "film.mp4"
    film.touch()
    words = ["--source", str(film), "--seconds", "60", "--json", "--seed", "7", "--keep", str(tmp_path / "new")]
    options = parse([*words, "--port", "2000", "--fault", "champion=slow:5000", "--fault", "fast=kill"])
    assert options == Options(
        source="video",
        path=film,
        seconds=60,
        json=True,
        faults=(Fault("champion", "slow:5000"), Fault("fast", "kill")),
        seed=7,
        keep=tmp_path / "new",
        port=2000,
    )


def test_kill_and_hang_are_done_from_outside_and_the_others_asked_of_the_daemon():
    assert [Fault("fast", kind).by_signal for kind in ("kill", "hang", "slow:5", "wrong")] == [True, True, False, False]


def test_a_folder_of_pictures_is_a_source_and_ends_by_itself(tmp_path):
    assert parse(["--source", str(tmp_path), "--json"]) == Options(source="folder", path=tmp_path, json=True)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--fault", "champion"], "is not understood"),
        (["--fault", "champion=slow"], "is not understood"),
        (["--fault", "champion=explode"], "is not understood"),
        (["--fault", "nobody=kill"], "no model 'nobody'"),
        (["--fault", "fast=kill", "--fault", "fast=hang"], "twice"),
        (["--seconds", "0"], "no time"),
        (["--seconds", "nan"], "no time"),
        (["--json"], "this run has none"),
        (["--source", "/nowhere/at/all"], "no such file or folder"),
        (["--source", __file__], "does not look like a video"),
        (["--source", ""], "--source names nothing"),
        (["--source", "/dev/null"], "neither a file nor a folder"),
        (["--port", "80"], "cannot be used"),
        (["--seed", "-1"], "negative"),
        (["--keep", "/"], "is in use"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_write_instead(words, problem):
    with pytest.raises(Misuse, match=problem) as refused:
        parse(words)
    assert refused.value.remedy

"""The settings that the demo writes are settings that the device reads."""

from pathlib import Path

import pytest

from roost_edge.demo import stage
from roost_edge.demo.models import CAMERA, MODELS, TASK
from roost_edge.demo.options import Fault, Options
from roost_edge.settings import loading as settings

HENHOUSE = Path(__file__).resolve().parents[3] / "models" / "henhouse"


def built(folder, options):
    return settings.load(stage.build(folder, options, henhouse=HENHOUSE, port=12345))


def test_the_device_is_the_whole_henhouse_with_the_schedules_sla_as_deadline(tmp_path):
    device = built(tmp_path, Options(seconds=60, seed=4))
    assert device.broker.port == 12345
    assert tuple(device.tasks[TASK].models) == MODELS
    camera = device.cameras[CAMERA]
    assert (camera.source, camera.seed, camera.capture.max_seconds, camera.capture.deadline_ms) == (
        "synthetic",
        4,
        60,
        2000,
    )
    assert device.alerts.quiet_labels == ("empty_nest",)
    assert Path(device.node.data) == tmp_path / "data"


def test_faults_alone_make_it_a_device_for_qa(tmp_path):
    assert not built(tmp_path / "good", Options()).node.qa
    assert built(tmp_path / "bad", Options(faults=(Fault("fast", "wrong"),))).node.qa


@pytest.mark.parametrize("name", ["pictures", 'a "quoted" \\ name', "häns\tund 🐔"])
def test_a_folder_of_any_name_is_found_again_and_goes_round_only_while_time_is_left(tmp_path, name):
    camera = built(tmp_path / "one", Options(source="folder", path=tmp_path / name)).cameras[CAMERA]
    assert (camera.path, camera.loop) == (str(tmp_path / name), False)
    assert built(tmp_path / "two", Options(source="folder", path=tmp_path / name, seconds=5)).cameras[CAMERA].loop

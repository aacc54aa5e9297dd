import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from patients import helps, patient

from roost_broker.errors import RoostError
from roost_edge.doctor.bundles import bundle
from roost_edge.doctor.checks import checks_of
from roost_edge.doctor.examining import chosen, examine
from roost_edge.doctor.findings import Finding
from roost_edge.doctor.patient import Patient
from roost_models.bundle.folder import Bundle
from roost_models.bundle.packing import pack
from roost_models.bundle.writing import new_bundle, seal


def made(folder: Path) -> Bundle:
    return new_bundle(folder / "bundle", name="bundle", task="nest")


def examined(device: Patient) -> Finding:
    """As the doctor does it, errors included."""
    checks = chosen(checks_of(device.settings), ("bundle/nest/a",))
    return examine(device, checks).checks[0]


def change(folder: Path, **fields: object) -> None:
    """Another manifest, sealed."""
    manifest = folder / "bundle" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **fields}), encoding="utf-8")
    seal(folder / "bundle")


def test_a_whole_bundle_is_run_with_its_goldens(tmp_path: Path) -> None:
    digest = made(tmp_path).digest
    verdict = bundle(patient(tmp_path), "nest", "a")
    assert helps(verdict, "ok", "1 goldens agree", "")
    assert (verdict.facts["digest"], verdict.facts["goldens"]) == (digest, 1)


def test_a_bundle_of_one_file_is_unpacked_aside_and_leaves_nothing_behind(tmp_path: Path) -> None:
    pack(made(tmp_path), tmp_path / "bundle.roost")
    shutil.rmtree(tmp_path / "bundle")
    (tmp_path / "bundle.roost").rename(tmp_path / "bundle")
    assert helps(bundle(patient(tmp_path), "nest", "a"), "ok", "1 goldens agree", "")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_file_that_was_altered_on_the_card_is_found_before_it_runs(tmp_path: Path) -> None:
    made(tmp_path)
    file = tmp_path / "bundle" / "model.py"
    file.write_text(file.read_text() + "\n", encoding="utf-8")
    finding = examined(patient(tmp_path))
    assert helps(finding, "fail", "model.py", "")
    assert finding.remedy


def test_a_model_that_kills_its_process_kills_only_that(tmp_path: Path) -> None:
    made(tmp_path)
    dead = f"import os\nos.kill(os.getpid(), {int(signal.SIGSEGV)})\n"
    (tmp_path / "bundle" / "model.py").write_text(dead, encoding="utf-8")
    change(tmp_path, goldens=[])
    before = os.getpid()
    assert helps(examined(patient(tmp_path)), "fail", "killed its trial process (SIGSEGV)", "Export it again")
    assert os.getpid() == before


def test_a_bundle_for_a_package_that_is_missing_names_it(tmp_path: Path) -> None:
    made(tmp_path)
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    change(tmp_path, runtime={**manifest["runtime"], "packages": {"not-there": ">=1"}})
    finding = examined(patient(tmp_path))
    assert helps(finding, "fail", "needs not-there>=1; not-there is not installed", "pip install 'not-there>=1'")


def test_a_model_that_answers_otherwise_than_its_goldens_is_to_be_checked_for_this_runtime(tmp_path: Path) -> None:
    made(tmp_path)
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    (golden,) = manifest["goldens"]
    golden["outputs"] = [{**golden["outputs"][0], "score": 0.01}, *golden["outputs"][1:]]
    change(tmp_path, goldens=[golden])
    finding = examined(patient(tmp_path))
    assert helps(finding, "fail", "answers otherwise than its goldens say", "another runtime")


def test_with_too_little_memory_no_interpreter_pushes_a_running_one_out(tmp_path: Path) -> None:
    made(tmp_path)
    device = patient(tmp_path, files={"/proc/meminfo": "MemTotal: 500000 kB\nMemAvailable: 60000 kB\n"})
    assert helps(bundle(device, "nest", "a"), "skipped", "Only 58 MB of memory are free", "Stop the model first")


def test_a_bundle_that_is_not_there_is_a_failure_and_not_the_end(tmp_path: Path) -> None:
    device = patient(tmp_path)
    with pytest.raises(RoostError):
        bundle(device, "nest", "a")
    assert examined(device).status == "fail"

"""Which bundle a model's process opens: what its slot holds, and nothing that merely lies in its place."""

import shutil
from pathlib import Path

import pytest

from roost_broker.errors import Malformed, Misuse
from roost_edge.compose_ota import bundle_of
from roost_edge.ota.lines import Line
from roost_edge.ota.pointers import OtaFolder
from roost_edge.ota.standing import Content, Standing
from roost_edge.processes.plan import resolve
from roost_edge.settings import loading
from roost_edge.settings.device import Settings
from roost_models.bundle.folder import Bundle
from roost_models.bundle.writing import new_bundle
from roost_models.registry.store import BundleStore

LINE = Line("nest", "champion", "hens")


@pytest.fixture
def device(tmp_path: Path) -> Settings:
    new_bundle(tmp_path / "delivered", name="hens", task="nest")
    path = tmp_path / "roost.toml"
    path.write_text(
        '[node]\nname = "coop"\n[tasks.nest]\nschedule = "s.toml"\n'
        'models.champion = { bundle = "delivered", ota = "hens" }\n'
        '[ota]\nregistry = "registry"\nroot = "root.json"\n'
    )
    return loading.load(path)


def in_slot_b(device: Settings, bundle: Bundle, digest: str) -> None:
    folder = OtaFolder(device.layout.ota)
    place = BundleStore(folder.root).folder(digest)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(bundle.root, place)
    delivered = Content(name="hens", version="0", digest="0" * 64, delivered=True)
    fetched = Content(name="hens", version="1", digest=digest)
    folder.write_standing(LINE, Standing(slots={"a": delivered, "b": fetched}, beside="shadow"))


def test_a_slot_opens_the_bundle_that_was_verified_for_it(device: Settings, tmp_path: Path) -> None:
    bundle = new_bundle(tmp_path / "one", name="hens", task="nest")
    in_slot_b(device, bundle, bundle.digest)
    assert bundle_of(device, resolve(device, "model", model="champion-b"))[1].digest == bundle.digest
    assert bundle_of(device, resolve(device, "model", model="champion"))[1].root == tmp_path / "delivered"


def test_another_bundle_in_its_place_is_refused_though_it_is_whole(device: Settings, tmp_path: Path) -> None:
    other = new_bundle(tmp_path / "other", name="hens", task="nest")
    in_slot_b(device, other, "d" * 64)
    with pytest.raises(Malformed, match="In the place of hens 1"):
        bundle_of(device, resolve(device, "model", model="champion-b"))


def test_a_second_slot_that_holds_nothing_is_not_started(device: Settings) -> None:
    with pytest.raises(Misuse, match="Nothing lies in the second slot"):
        bundle_of(device, resolve(device, "model", model="champion-b"))

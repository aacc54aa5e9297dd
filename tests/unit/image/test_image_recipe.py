"""The recipe as data: what names a base root file system, and the command that makes it."""

import dataclasses
from pathlib import Path

import pytest

from roost_provisioning.image import recipe
from roost_provisioning.image.recipe import RELEASES, Mirror, base_argv, base_name, digest

MIRROR = Mirror("https://m.example/debian", "https://m.example/debian-security")


@pytest.mark.parametrize("name", sorted(RELEASES))
def test_both_releases_are_made_by_one_recipe(name: str) -> None:
    argv = base_argv(RELEASES[name], MIRROR, Path("/out/base.tar"), mode="root")
    assert argv[0] == "mmdebstrap"
    assert argv[-5:] == [
        name,
        "/out/base.tar",
        f"deb https://m.example/debian {name} main non-free-firmware",
        f"deb https://m.example/debian {name}-updates main non-free-firmware",
        f"deb https://m.example/debian-security {name}-security main non-free-firmware",
    ]
    assert "--arch=arm64" in argv


def test_the_digest_follows_release_mirror_packages_and_hooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bookworm = RELEASES["bookworm"]
    seen = {digest(bookworm, MIRROR), digest(RELEASES["trixie"], MIRROR)}
    seen.add(digest(bookworm, dataclasses.replace(MIRROR, main="https://n.example/debian")))
    monkeypatch.setattr(recipe, "PACKAGES", (*recipe.PACKAGES, "nano-tiny"))
    seen.add(digest(bookworm, MIRROR))
    for folder in ("hooks", "initramfs"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one").write_text("changed")
    monkeypatch.setattr(recipe, "DATA", tmp_path)
    seen.add(digest(bookworm, MIRROR))
    assert len(seen) == 5


def test_equal_recipes_have_one_name_in_the_cache() -> None:
    assert base_name(RELEASES["trixie"], MIRROR) == base_name(RELEASES["trixie"], dataclasses.replace(MIRROR))


def test_no_package_is_named_twice_and_none_compiles() -> None:
    assert len(set(recipe.PACKAGES)) == len(recipe.PACKAGES)
    assert not {"gcc", "build-essential", "python3-dev"} & set(recipe.PACKAGES)


def test_every_label_the_firmware_and_the_fstab_name_is_one_the_image_gets() -> None:
    fstab = (recipe.DATA / "root/etc/fstab").read_text()
    mounts = {line.split()[0]: line.split()[1] for line in fstab.splitlines() if line.startswith("LABEL=")}
    assert mounts == {
        f"LABEL={recipe.ROOT_LABEL}": "/",
        f"LABEL={recipe.BOOT_LABEL}": "/boot/firmware",
        f"LABEL={recipe.DATA_LABEL}": "/var/lib/roost",
    }
    assert f"ROOTPART=LABEL={recipe.ROOT_LABEL}\n" in (recipe.DATA / "hooks/customise.sh").read_text()
    assert f"fs_label: {recipe.BOOT_LABEL}\n" in (recipe.DATA / "root/etc/cloud/cloud.cfg.d/90_roost.cfg").read_text()

import json
import os
import tarfile
from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_provisioning import kit


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout" / "provisioning" / "requirements"
    folder.mkdir(parents=True)
    (folder / "bookworm.txt").write_text("one==1 --hash=sha256:00\n")
    (folder / "bookworm-centre.txt").write_text("two==1 --hash=sha256:00\n")
    return tmp_path / "checkout"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "roost-0.7.0-py3-none-any.whl"
    path.write_bytes(b"a wheel")
    return path


def made(source: Path, wheel: Path, into: Path, *, centre: bool = False, machine: str = "aarch64") -> dict[str, str]:
    return kit.make(source, "bookworm", machine, into, centre=centre, wheel=wheel, packages=False)


def test_a_kit_holds_the_wheel_and_the_lock_file_of_the_release(source: Path, wheel: Path, tmp_path: Path) -> None:
    answer = made(source, wheel, tmp_path / "kits")
    with tarfile.open(answer["path"]) as tar:
        assert tar.getnames() == [wheel.name, "requirements.txt"]
        assert {(member.uid, member.mtime, member.mode) for member in tar} == {(0, 0, 0o644)}
    assert answer["name"].startswith("0.7.0-")
    assert answer["version"] == "0.7.0"


def test_the_same_contents_are_the_same_kit_and_others_another(source: Path, wheel: Path, tmp_path: Path) -> None:
    first = made(source, wheel, tmp_path / "kits")
    bytes_of_first = Path(first["path"]).read_bytes()
    assert made(source, wheel, tmp_path / "elsewhere")["name"] == first["name"]
    assert (tmp_path / "elsewhere" / Path(first["path"]).name).read_bytes() == bytes_of_first
    others = {
        made(source, wheel, tmp_path / "kits", centre=True)["name"],
        made(source, wheel, tmp_path / "kits", machine="x86_64")["name"],
    }
    wheel.write_bytes(b"another wheel")
    others.add(made(source, wheel, tmp_path / "kits")["name"])
    assert len(others | {first["name"]}) == 4


def test_a_folder_that_is_no_checkout_is_refused_with_what_to_do(wheel: Path, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="Name a checkout"):
        made(tmp_path, wheel, tmp_path / "kits")


def test_no_wheel_is_chosen_that_the_release_cannot_load() -> None:
    bookworm, trixie = kit.platforms("bookworm", "aarch64"), kit.platforms("trixie", "aarch64")
    assert "manylinux_2_34_aarch64" in bookworm  # tflite-runtime is published for this one only
    assert "manylinux_2_39_aarch64" not in bookworm
    assert "manylinux_2_39_aarch64" in trixie
    assert all(tag.endswith("_aarch64") for tag in (*bookworm, *trixie))


def test_the_command_says_where_the_kit_is(
    source: Path, wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--source", str(source), "--release", "bookworm", "--machine", "aarch64", "--into", str(tmp_path / "kits")]
    assert kit.main([*words, "--wheel", str(wheel), "--no-packages"]) == 0
    assert Path(json.loads(capsys.readouterr().out)["path"]).is_file()
    assert kit.main([*words, "--source", str(tmp_path), "--wheel", str(wheel)]) == 2
    assert "Name a checkout" in capsys.readouterr().err


def test_the_kits_that_were_not_used_for_longest_go(source: Path, wheel: Path, tmp_path: Path) -> None:
    def of(content: str) -> Path:
        wheel.write_text(content)
        return Path(made(source, wheel, tmp_path / "kits")["path"])

    kits = [of(str(number)) for number in range(8)]
    for moment, path in enumerate(kits, 1000):
        os.utime(path, (moment, moment))
    of("0")  # used again
    newest = of("8")
    assert {path for path in [*kits, newest] if path.exists()} == {newest, kits[0], *kits[2:]}

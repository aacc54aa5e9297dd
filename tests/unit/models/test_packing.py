import stat
import tracemalloc
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from roost_broker.errors import Malformed, Misuse
from roost_models.bundle.folder import Bundle
from roost_models.bundle.opening import open_bundle
from roost_models.bundle.packing import pack

Entries = list[tuple[zipfile.ZipInfo, bytes]]


def entries_of(packed: Path) -> Entries:
    with zipfile.ZipFile(packed) as archive:
        return [(info, archive.read(info)) for info in archive.infolist()]


def rewrite(packed: Path, entries: Entries) -> None:
    with zipfile.ZipFile(packed, "w") as archive:
        for info, data in entries:
            archive.writestr(info, data, compress_type=info.compress_type)


def test_the_same_bundle_packs_to_the_same_bytes_and_opens_to_the_same_digest(
    make_bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    first = pack(make_bundle(), tmp_path / "first.roost")
    second = pack(make_bundle(), tmp_path / "second.roost")
    assert first.read_bytes() == second.read_bytes()
    opened = open_bundle(first, cache=tmp_path / "cache")
    assert opened.digest == make_bundle().digest
    assert opened.read("model.py") == make_bundle().read("model.py")


def test_a_damaged_copy_in_the_cache_is_unpacked_again(make_bundle: Callable[..., Bundle], tmp_path: Path) -> None:
    packed = pack(make_bundle(), tmp_path / "x.roost")
    opened = open_bundle(packed, cache=tmp_path / "cache")
    (opened.root / "model.py").write_text("evil")
    assert open_bundle(packed, cache=tmp_path / "cache").read("model.py") != b"evil"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [opened.digest]


def test_a_packed_name_must_say_so(make_bundle: Callable[..., Bundle], tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"ends in \.roost"):
        pack(make_bundle(), tmp_path / "x.zip")


def add(
    name: str, data: bytes = b"x", mode: int = stat.S_IFREG, method: int = zipfile.ZIP_STORED
) -> Callable[..., Entries]:
    def change(entries: Entries) -> Entries:
        info = zipfile.ZipInfo(name)
        info.external_attr = (mode | 0o644) << 16
        info.compress_type = method
        return [*entries, (info, data)]

    return change


def alter(entries: Entries) -> Entries:
    return [(info, data[:-1] + b"#" if info.filename == "model.py" else data) for info, data in entries]


BAD: dict[str, tuple[Callable[[Entries], Entries], str]] = {
    "a path upwards": (add("../../evil"), "cannot name a file"),
    "an absolute path": (add("/evil"), "cannot name a file"),
    "a folder": (add("folder/"), "cannot name a file"),
    "an extra file": (add("extra.txt"), "'extra.txt' is not in the manifest"),
    "a link": (add("extra.txt", mode=stat.S_IFLNK), "is not a plain file"),
    "a compressed file": (add("bomb.txt", b"0" * 1000, method=zipfile.ZIP_DEFLATED), "compressed or encrypted"),
    "a missing file": (lambda entries: entries[:-1], "is missing"),
    "no manifest": (lambda entries: entries[1:], "holds no manifest"),
    "altered content": (alter, "is not as sealed"),
    "too many files": (
        lambda entries: [*entries, *[(zipfile.ZipInfo(f"f{n}"), b"") for n in range(300)]],
        "over the limit",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_packed_bundle_with(name: str, make_bundle: Callable[..., Bundle], tmp_path: Path) -> None:
    packed = pack(make_bundle(), tmp_path / "x.roost")
    change, reason = BAD[name]
    rewrite(packed, change(entries_of(packed)))
    with pytest.raises(Malformed, match=reason):
        open_bundle(packed, cache=tmp_path / "cache")
    assert not any((tmp_path / "cache").glob("*")) if (tmp_path / "cache").exists() else True
    assert not (tmp_path.parent / "evil").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")  # zipfile warns while the test builds the archive
def test_a_file_that_is_there_twice_is_refused(make_bundle: Callable[..., Bundle], tmp_path: Path) -> None:
    packed = pack(make_bundle(), tmp_path / "x.roost")
    entries = entries_of(packed)
    rewrite(packed, [*entries, entries[-1]])
    with pytest.raises(Malformed, match="there twice"):
        open_bundle(packed, cache=tmp_path / "cache")


def test_a_packed_bundle_cut_or_altered_anywhere_is_malformed_and_never_anything_else(
    make_bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    packed = pack(make_bundle(), tmp_path / "x.roost")
    whole = packed.read_bytes()
    for place in range(0, len(whole), 37):
        packed.write_bytes(whole[:place])
        with pytest.raises(Malformed):
            open_bundle(packed, cache=tmp_path / "cache")
        flipped = bytearray(whole)
        flipped[place] ^= 0xFF
        packed.write_bytes(flipped)
        try:
            open_bundle(packed, cache=tmp_path / f"cache-{place}")
        except Malformed:
            continue


def test_what_a_process_killed_while_unpacking_left_is_cleared_away_by_the_next(
    make_bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    left = tmp_path / "cache" / ".unpack-abc"
    left.mkdir(parents=True)
    (left / "model.py").write_text("half")
    opened = open_bundle(pack(make_bundle(), tmp_path / "x.roost"), cache=tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [opened.digest]


def test_processes_that_unpack_the_same_bundle_at_once_all_get_it_whole(
    make_bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    packed = pack(make_bundle(files={f"f{n}": b"x" * 1000 for n in range(50)}), tmp_path / "x.roost")
    for round_ in range(8):
        together = Barrier(4)

        def open_it(number: int, cache: Path = tmp_path / f"cache-{round_}", start: Barrier = together) -> str:
            start.wait()
            return open_bundle(packed, cache=cache).digest

        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(open_it, range(4)))) == 1


def test_an_enormous_index_is_refused_before_it_is_read(tmp_path: Path) -> None:
    packed = tmp_path / "x.roost"
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(20_000):
            archive.writestr(zipfile.ZipInfo(f"f{number}"), b"")
    tracemalloc.start()
    with pytest.raises(Malformed, match="over the limit"):
        open_bundle(packed, cache=tmp_path / "cache")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000

"""Import: every problem with its place, all or nothing, again without effect."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from roost_broker.errors import Misuse
from roost_broker.frames import FrameStore
from roost_broker.messages import Suggestion, encode
from roost_models.labels.entry import Entry
from roost_models.labels.importing import Imported, import_pictures
from roost_models.labels.listing import Columns, Listing, of_folder, of_table
from roost_models.labels.store import LabelStore
from roost_models.labels.suggesting import is_suggestion, take
from roost_models.labels.taken import taken_ms

NOW = 1_800_000_000_000_000_000


def jpeg(shade: int, taken: str = "", offset: str = "") -> bytes:
    image, out = Image.new("RGB", (20, 20), (shade * 40, 30, 60)), io.BytesIO()
    exif = Image.Exif()
    if taken:
        inner = exif.get_ifd(0x8769)
        inner[36867] = taken
        if offset:
            inner[36881] = offset
    image.save(out, "JPEG", exif=exif.tobytes())
    return out.getvalue()


def folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def bring(listing: Listing, store: LabelStore, frames: FrameStore, author: str = "anna", site: str = "") -> Imported:
    return import_pictures(listing, store, frames, author=author, task="nest", reason="why", site=site, now_ns=NOW)


@pytest.fixture
def frames(tmp_path: Path) -> FrameStore:
    return FrameStore(tmp_path / "frames")


def test_a_folder_for_each_label_becomes_labels_and_frames(
    store: LabelStore, frames: FrameStore, tmp_path: Path
) -> None:
    root = folder(tmp_path / "in", {"hen/1.jpg": jpeg(1), "hen/more/2.JPG": jpeg(2), "egg/3.jpg": jpeg(3), ".x/4": b""})
    found = bring(of_folder(root, {"egg": "an egg"}), store, frames, site="coop")
    assert (found.new, found.labels, found.problems) == (3, {"hen": 2, "an egg": 1}, [])
    entries = list(store.entries())
    assert {one.origin for one in entries} == {"folder:in"}
    assert {one.site for one in entries} == {"coop"}
    assert all(frames.path(one.picture or "").is_file() for one in entries)

    assert bring(of_folder(root, {"egg": "an egg"}), store, frames, site="coop").known == 3
    corrected = bring(of_folder(root), store, frames, site="coop")
    assert (corrected.new, corrected.superseding, corrected.known) == (1, 1, 2)


def test_with_one_bad_file_nothing_is_written_and_all_bad_ones_are_named(
    store: LabelStore, frames: FrameStore, tmp_path: Path
) -> None:
    files = {
        "hen/good.jpg": jpeg(1),
        "hen/cut.jpg": jpeg(2)[:300],
        "hen/text.jpg": b"no picture",
        "hen/notes.txt": b"x",
        "loose.jpg": jpeg(3),
        "egg/same.jpg": jpeg(1),
        "a\x1b[2J/bad.jpg": jpeg(4),
    }
    found = bring(of_folder(folder(tmp_path / "in", files)), store, frames)
    assert {problem.place for problem in found.problems} == {*files} - {"egg/same.jpg"}  # which is read first
    assert list(store.entries()) == []
    assert list(frames) == []


def test_pictures_that_cannot_be_stored_leave_no_label_behind(store: LabelStore, tmp_path: Path) -> None:
    root = folder(tmp_path / "in", {"hen/1.jpg": jpeg(1), "egg/2.jpg": jpeg(2)})
    (tmp_path / "a file").write_bytes(b"")
    with pytest.raises(OSError, match="a file"):
        bring(of_folder(root), store, FrameStore(tmp_path / "a file"))
    assert list(store.entries()) == []


def test_a_dry_run_writes_nothing_and_says_what_would_be(store: LabelStore, frames: FrameStore, tmp_path: Path) -> None:
    listing = of_folder(folder(tmp_path / "in", {"hen/1.jpg": jpeg(1)}))
    found = import_pictures(listing, store, frames, author="anna", task="nest", reason="", now_ns=NOW, dry_run=True)
    assert found.new == 1
    assert (list(store.entries()), list(frames)) == ([], [])


def test_a_table_is_read_by_its_columns_with_times_and_sites(
    store: LabelStore, frames: FrameStore, tmp_path: Path
) -> None:
    root = folder(tmp_path / "in", {"1.jpg": jpeg(1), "2.jpg": jpeg(2)})
    text = "\ufefffile;what;where;when\n1.jpg;1;door;2026-05-01T08:00:00+02:00\n2.jpg;0;;\n9.jpg;0;;\n"
    (root / "t.csv").write_text(text, encoding="utf-8")
    columns = Columns("file", "what", "where", "when")
    listing = of_table(root / "t.csv", columns, names={"1": "hen"}, missing_ok=True, delimiter=";")
    found = bring(listing, store, frames, site="elsewhere")
    assert (found.new, found.missing, found.without_time) == (2, 1, 1)
    by_label = {one.label: one for one in store.entries()}
    assert by_label["hen"].taken == round(datetime(2026, 5, 1, 6, tzinfo=UTC).timestamp() * 1000)
    assert (by_label["hen"].site, by_label["0"].site) == ("door", "elsewhere")


def test_bad_rows_are_told_by_their_number(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", {"1.jpg": jpeg(1)})
    rows = ["1.jpg,hen,", ",hen,", "1.jpg,,", "9.jpg,hen,", "../../etc/passwd,hen,", "1.jpg,hen,yesterday"]
    (root / "t.csv").write_text("\n".join(["file,what,when", *rows]))
    listing = of_table(root / "t.csv", Columns("file", "what", time="when"))
    assert len(listing.rows) == 1
    assert [problem.place for problem in listing.problems] == [f"row {number}" for number in range(3, 8)]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'a,b\n"x', b"other,names\n1,2\n"])
def test_a_file_that_is_no_such_table_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(Misuse) as refused:
        of_table(tmp_path / "t.csv", Columns("file", "what"))
    assert refused.value.remedy


def test_the_time_comes_from_exif_else_from_the_name_else_from_nowhere() -> None:
    day = datetime(2026, 5, 1, 8, 30, tzinfo=UTC).timestamp() * 1000
    assert taken_ms(jpeg(1, "2026:05:01 08:30:00"), "2020-01-01.jpg") == day
    assert taken_ms(jpeg(1, "2026:05:01 10:30:00", "+02:00"), "x") == day
    assert taken_ms(jpeg(1), "EggCheck_image_2026-05-01_0830.jpg") == day
    assert taken_ms(jpeg(1), "IMG_20260501_083000.jpg") == day
    assert taken_ms(jpeg(1, "nonsense"), "2026-13-41.jpg") is None
    assert taken_ms(b"no picture", "hen 7.jpg") is None


def test_the_log_of_a_real_nest_box_is_imported(shared_data: Path, store: LabelStore, frames: FrameStore) -> None:
    source = shared_data / "henhouse-cc0"
    if not source.is_dir():
        pytest.skip(f"There is no {source}.")
    listing = of_table(
        source / "truth.csv",
        Columns("filename", "visible_hens"),
        pictures=source / "images",
        names={"0": "empty", "1": "hen"},
        missing_ok=True,
    )
    found = bring(listing, store, frames, site="nest-box")
    assert (found.new, found.missing, found.labels) == (33, 1567, {"empty": 21, "hen": 12})
    assert found.without_time == 0
    assert found.problems == []


def test_a_suggestion_becomes_a_pending_entry_once_and_never_a_label(
    store: LabelStore, entry: Callable[..., Entry]
) -> None:
    def message(number: int, **more: object) -> bytes:
        fields = {"timestamp": 5, "message_id": f"{number:032x}", "label": "jay", "author": "passer-by", **more}
        return encode(Suggestion(**fields))  # type: ignore[arg-type]  # as the test says

    said = [message(1, frame="a" * 64), message(2, request_id="c" * 32), message(3), b"nonsense"]
    assert is_suggestion(said[0])
    assert not is_suggestion(said[3])
    added, others = take(store, ((one, "coop-1") for one in said), task="nest")
    assert (added.new, added.known, others) == (2, 0, 2)
    holds = store.standings("nest")["a" * 64]
    assert holds.agreed is None
    assert [one.label for one in holds.pending] == ["jay"]
    assert [one.request_id for one in store.unplaced("nest")] == ["c" * 32]

    other = [message(1, frame="b" * 64), message(4, frame="b" * 64), message(4, frame="b" * 64)]
    again, _ = take(store, ((one, "") for one in other), task="nest")
    assert (again.new, again.known) == (1, 2)

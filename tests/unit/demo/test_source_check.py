import pytest
from PIL import Image

from roost_broker.errors import Misuse
from roost_edge.demo.options import Options
from roost_edge.demo.source_check import check_source


def test_the_rendered_scene_and_a_folder_with_one_good_picture_pass(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"no picture")
    Image.new("RGB", (32, 24)).save(tmp_path / "2.png")
    check_source(Options())
    check_source(Options(source="folder", path=tmp_path))


def test_a_folder_without_pictures_is_refused_by_the_name_of_the_argument(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(Misuse, match=f"--source {tmp_path} .*holds no .jpg, .png or .bmp picture") as refused:
        check_source(Options(source="folder", path=tmp_path))
    assert "leave --source out" in refused.value.remedy


def test_a_folder_of_files_that_are_no_pictures_is_refused(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"no picture")
    with pytest.raises(Misuse, match="holds no picture that can be read"):
        check_source(Options(source="folder", path=tmp_path))


@pytest.mark.parametrize("content", [b"", b"no film" * 1000])
def test_a_video_that_cannot_be_opened_is_refused(tmp_path, content):
    film = tmp_path / "film.mp4"
    film.write_bytes(content)
    with pytest.raises(Misuse, match=f"--source {film} cannot be used: .* is not a video"):
        check_source(Options(source="video", path=film))

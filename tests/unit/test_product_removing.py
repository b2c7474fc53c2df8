"""Files leave the disk that the index has as deleted, and no others."""

from pathlib import Path

from nowcast_cli.products.removing import path_of, remove_files


def removed(path: Path, size: int = 3, known: bool = False) -> tuple[list[str], dict[str, str]]:
    return remove_files([("id", path.as_uri(), size)], lambda _: known)


def test_a_file_is_removed_and_again_without_harm(tmp_path):
    path = tmp_path / "a b.nc"
    path.write_text("abc")
    assert removed(path) == (["id"], {})
    assert not path.exists()
    assert removed(path) == (["id"], {})


def test_another_file_in_its_place_stays(tmp_path):
    path = tmp_path / "a.nc"
    path.write_text("abcd")
    assert removed(path) == (["id"], {})
    assert removed(path, size=4, known=True) == (["id"], {})
    assert path.exists()


def test_of_a_link_the_link_goes(tmp_path):
    path, link = tmp_path / "a.nc", tmp_path / "link.nc"
    path.write_text("abc")
    link.symlink_to(path)
    removed(link)
    assert (path.exists(), link.is_symlink()) == (True, False)


def test_what_cannot_be_removed_is_told(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (gone, failed) = removed(folder, size=folder.stat().st_size)
    assert (gone, list(failed)) == ([], [folder.as_uri()])


def test_what_is_elsewhere_is_for_others():
    assert path_of("https://example.org/a.nc") is None
    assert remove_files([("id", "https://example.org/a.nc", 1)], lambda _: False)[0] == ["id"]

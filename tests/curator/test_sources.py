"""A folder with whatever may lie in one, and the same pictures in a folder and in a bucket."""

import os
from pathlib import Path
from unittest.mock import patch

from curator.sources import FolderSource
from tests.curator.collection import collection, picture
from tests.curator.conftest import Curator, Storage, digest, digests, fill, sums
from tests.curator.test_migrate import SOURCE


def test_a_folder_is_read_with_the_folders_in_it_and_nothing_out_of_it(
    keeper: Curator, storage: Storage, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    pictures = dict(collection(9))
    for key, body in pictures.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(body)
    (folder / ".hidden.jpg").write_bytes(picture(99, "jpg"))
    (tmp_path / "secret.jpg").write_bytes(picture(98, "jpg"))
    (folder / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    os.mkfifo(folder / "pipe.jpg")

    done = keeper("migrate", "--source-folder", str(folder), "--no-render")
    os.utime(folder / next(iter(pictures)), (0, 1_500_000_000))
    again = keeper("migrate", "--source-folder", str(folder), "--no-render")

    assert sums(done.out) == "images: 11, skipped: 0, processed: 9, errors: 2"
    assert "error: out.jpg: It is a link that leads out of the folder: it is not followed." in done.err
    assert sums(again.out) == "images: 11, skipped: 9, processed: 0, errors: 2"
    assert digests(storage) == sorted(map(digest, pictures.values()))


def test_the_same_collection_in_a_folder_and_in_a_bucket_is_the_same(
    keeper: Curator, old: Storage, storage: Storage, tmp_path: Path
) -> None:
    for key, body in fill(old, 9).items():
        (tmp_path / "copy" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / key).write_bytes(body)
    keeper("migrate", *SOURCE)

    done = keeper("migrate", "--source-folder", str(tmp_path / "copy"), "--no-render")

    assert sums(done.out) == "images: 9, skipped: 9, processed: 0, errors: 0"


def test_names_that_only_a_file_system_knows_are_names(keeper: Curator, storage: Storage, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "photos")
    os.makedirs(folder + b"/in\xff\n")
    names = b"new\nline.jpg", b"in\xff\n/\x1b[2J\xfe.jpg", b"x" * 251 + b".jpg", b" .jpg", b"-rf.jpg", b"no-extension"
    for number, name in enumerate(names):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(picture(number, "jpg"))
    arguments = ("migrate", "--source-folder", os.fsdecode(folder), "--no-render", "-v")

    done = keeper(*arguments, "--map", str(tmp_path / "map.csv"))
    again = keeper(*arguments)

    assert sums(done.out) == "images: 6, skipped: 0, processed: 6, errors: 0"
    assert sums(again.out) == "images: 6, skipped: 6, processed: 0, errors: 0"
    assert "\x1b" not in done.out + done.err
    assert len(done.out.splitlines()) == 8
    for name in names:
        assert name in (tmp_path / "map.csv").read_bytes()


def test_links_that_lead_in_a_circle_are_errors_of_their_own(keeper: Curator, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "circle.jpg").symlink_to("circle.jpg")
    (tmp_path / "photos" / "here").symlink_to(".")
    (tmp_path / "photos" / "photo.jpg").write_bytes(picture(1, "jpg"))

    done = keeper("migrate", "--source-folder", str(tmp_path / "photos"), "--no-render")

    assert sums(done.out) == "images: 3, skipped: 0, processed: 1, errors: 2"
    assert "error: circle.jpg: It cannot be read: Too many levels of symbolic links." in done.err
    assert "error: here: It is a link to a folder: it is not followed." in done.err
    assert str(tmp_path) not in done.err


def test_a_folder_that_cannot_be_read_is_listed_and_stops_nothing(keeper: Curator, tmp_path: Path) -> None:
    for name in ("a", "lost+found", "z"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "photo.jpg").write_bytes(picture(1, "jpg"))
    scandir = os.scandir

    def refused(path: Path) -> object:
        # Root, as who the tests may run, reads everything.
        if path.name == "lost+found":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    with patch("curator.sources.os.scandir", refused):
        done = keeper("migrate", "--source-folder", str(tmp_path / "photos"), "--no-render", "--match", r".*\.jpg")
        below = list(FolderSource(tmp_path / "photos").walk("lost+found/photo"))

    assert sums(done.out) == "images: 3, skipped: 0, processed: 2, errors: 1"
    assert "error: lost+found: The folder cannot be read: Permission denied." in done.err
    assert [found.trouble for found in below] == ["The folder cannot be read: Permission denied."]

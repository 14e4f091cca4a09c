"""Originals taken elsewhere, whole, and brought back."""

import errno
import io
import json
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import cast

import pytest

from curator.targets import FolderTarget, client_name
from tests.curator.collection import collection, picture
from tests.curator.conftest import PICTURES, ROOT, Curator, Storage, sums
from thumbstack.picture_key import PictureKey
from thumbstack.refusal import NoRoom


@pytest.fixture
def kept(curator: Curator, storage: Storage, tmp_path: Path) -> dict[str, bytes]:
    """A collection that is here: keys and bytes."""
    for name, body in collection(12):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(body)
    assert curator("migrate", "--source-folder", str(tmp_path / "photos"), "--no-render").code == 0
    s3 = storage.client()
    return {key: s3.get_object(Bucket=PICTURES, Key=key)["Body"].read() for key in storage.keys(PICTURES, "o/demo/")}


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_folder_has_every_original_by_its_key_and_the_next_run_only_adds(
    curator: Curator, storage: Storage, kept: dict[str, bytes], tmp_path: Path
) -> None:
    first = curator("export", "--folder", str(tmp_path / "out"))
    lost = sorted(kept)[3]
    (tmp_path / "out" / lost).unlink()
    again = curator("export", "--folder", str(tmp_path / "out"))

    assert sums(first.out) == "images: 12, skipped: 0, processed: 12, errors: 0"
    assert sums(again.out) == "images: 12, skipped: 11, processed: 1, errors: 0"
    assert files(tmp_path / "out") == kept
    assert not (tmp_path / "out" / ".unfinished").exists()


def test_what_was_exported_comes_back_under_its_key(
    curator: Curator, storage: Storage, kept: dict[str, bytes], tmp_path: Path
) -> None:
    curator("export", "--folder", str(tmp_path / "out"))
    storage.empty(PICTURES)

    done = curator("migrate", "--source-folder", str(tmp_path / "out"), "--no-render")

    assert sums(done.out) == "images: 12, skipped: 0, processed: 12, errors: 0"
    assert storage.keys(PICTURES, "o/") == sorted(kept)


def test_killed_it_leaves_nothing_half_and_goes_on(curator: Curator, kept: dict[str, bytes], tmp_path: Path) -> None:
    for moment in (1.0, 1.5, 2.0):
        with curator.begun("export", "--folder", str(tmp_path / "out"), "-j", "1") as process:
            time.sleep(moment)
            process.kill()
        there = {name: body for name, body in files(tmp_path / "out").items() if not name.startswith(".unfinished")}
        assert there.items() <= kept.items()

    assert curator("export", "--folder", str(tmp_path / "out")).code == 0
    assert files(tmp_path / "out") == kept


def test_a_tar_has_them_too_also_on_the_standard_output(
    curator: Curator, kept: dict[str, bytes], tmp_path: Path
) -> None:
    named = curator("export", "--tar", str(tmp_path / "all.tar"))
    with curator.begun("export", "--tar", "-") as process:
        assert process.stdout
        assert process.stderr
        # A text stream, of which the bytes are wanted.
        streamed = cast(io.TextIOWrapper, process.stdout).buffer.read()
        said = process.stderr.read()

    assert sums(named.out) == sums(said) == "images: 12, skipped: 0, processed: 12, errors: 0"
    for archive in (tmp_path / "all.tar").read_bytes(), streamed:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            members = {member.name: tar.extractfile(member) for member in tar}
            assert {name: file.read() for name, file in members.items() if file} == kept
    assert not (tmp_path / "all.tar.part").exists()


def test_names_may_be_the_clients(curator: Curator, storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "Ma Photo.JPG").write_bytes(picture(1, "jpg"))
    curator("migrate", "--source-folder", str(tmp_path), "--no-render")
    (key,) = storage.keys(PICTURES, "o/")

    first = curator("export", "--folder", str(tmp_path / "out"), "--names", "client")
    again = curator("export", "--folder", str(tmp_path / "out"), "--names", "client")

    parsed = PictureKey.parse(key)
    assert parsed
    stem = parsed.file.rpartition(".")[0]
    assert files(tmp_path / "out") == {f"{parsed.folder}/{stem}/Ma Photo.JPG": picture(1, "jpg")}
    assert sums(first.out).endswith("processed: 1, errors: 0")
    assert sums(again.out) == "images: 1, skipped: 1, processed: 0, errors: 0"


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("..", "key.jpg"),
        (".bashrc", "key.jpg"),
        ("a%00b%1B[2J.jpg", "ab[2J.jpg"),
        ("C:%5CTemp%5Ccat.png", "cat.png"),
        ("", "key.jpg"),
        ("x" * 400 + ".jpg", "x" * 251 + ".jpg"),
        ("%C3%A4" * 200, "ä" * 127),
    ],
)
def test_a_clients_name_leads_nowhere_else(told: str, name: str) -> None:
    assert client_name(PictureKey("demo", "cat", "key.jpg"), {"name": told}) == name


def test_nothing_is_written_where_a_link_leads_out(curator: Curator, kept: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "o").symlink_to(tmp_path / "elsewhere")

    done = curator("export", "--folder", str(tmp_path / "out"))

    assert done.code == 1
    assert sums(done.out) == "images: 12, skipped: 0, processed: 0, errors: 12"
    assert files(tmp_path / "elsewhere") == {}


def test_bytes_that_are_not_those_of_the_checksum_are_told(
    curator: Curator, storage: Storage, kept: dict[str, bytes], tmp_path: Path
) -> None:
    key = sorted(kept)[0]
    s3 = storage.client()
    metadata = s3.head_object(Bucket=PICTURES, Key=key)["Metadata"]
    s3.put_object(Bucket=PICTURES, Key=key, Body=b"other", Metadata=metadata)

    done = curator("export", "--folder", str(tmp_path / "out"))

    assert sums(done.out) == "images: 12, skipped: 0, processed: 11, errors: 1"
    assert f"error: {key}: Its bytes are not those" in done.err
    assert not (tmp_path / "out" / key).exists()


def test_a_dry_run_writes_nothing_and_one_place_must_be_named(curator: Curator, kept: object, tmp_path: Path) -> None:
    dry = curator("export", "--folder", str(tmp_path / "out"), "--dry-run")

    assert sums(dry.out).endswith("images: 12, skipped: 0, processed: 12, errors: 0")
    assert not (tmp_path / "out").exists()
    assert curator("export").code == 2
    assert curator("export", "--tar", str(tmp_path)).code == 2


class FullDisk(io.BytesIO):
    """What it costs root to have: a disk that is full in the middle of a file."""

    def read(self, size: int | None = -1) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_without_room_ends_it_and_keeps_nothing_half(tmp_path: Path) -> None:
    target = FolderTarget(tmp_path / "out", by_client=False)

    with pytest.raises(NoRoom, match="No space left"):
        target.put(PictureKey("demo", "cat", "1_a.jpg"), {}, FullDisk(b"picture"))

    assert not target.has(PictureKey("demo", "cat", "1_a.jpg"))


def test_a_tar_that_cannot_be_written_on_is_given_up(curator: Curator, kept: object) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "curator", "export", "--tar", "-", "-j", "1"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(curator.variables),
            check=False,
        )

    assert done.returncode == 3
    assert "ended early: The tar cannot be written: No space left on device." in done.stderr
    assert "Traceback" not in done.stderr


def test_no_other_apps_pictures_are_taken(curator: Curator, kept: dict[str, bytes], tmp_path: Path) -> None:
    keys = json.dumps([{"app": "shop", "public_key": "p" * 24, "private_key": "q" * 24}])
    arguments = ("export", "--folder", str(tmp_path / "out"), "--app", "shop")

    by_prefix = curator(*arguments, "--prefix", "o/demo/", API_KEYS=keys)
    by_key = curator(*arguments, "-k", sorted(kept)[0], API_KEYS=keys)

    assert (by_prefix.code, by_key.code) == (2, 3)
    assert "leads out of the app shop" in by_prefix.err
    assert "No such picture of the app shop" in by_key.err
    assert files(tmp_path / "out") == {}

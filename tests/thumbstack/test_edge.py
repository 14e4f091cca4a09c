"""What leaves this node's edge when a picture is deleted."""

import hashlib
from pathlib import Path

import pytest

from thumbstack.edge import Edge
from thumbstack.picture_key import PictureKey
from thumbstack.signing import signed_path

PICTURE = PictureKey("demo", "cat", "1763600000_0123456789abcdef.jpg")
OTHER = PictureKey("demo", "dog", "1763600000_0123456789abcdef.jpg")
MI = "fit-in/400x400/filters:quality(90)"


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    """An edge with two security keys, the older still valid."""
    return Edge(tmp_path / "cache", tmp_path / "tombstones", ("new-key", "old-key"), {"MI": MI, "SI": "200x200"})


def entry(edge: Edge, cache_key: str) -> Path:
    """Put a cache entry where nginx would: ``levels=1:2``, the MD5 of the key as its name."""
    name = hashlib.md5(cache_key.encode()).hexdigest()  # noqa: S324 - nginx names its files so
    file = edge.cache / name[31] / name[29:31] / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"KEY")
    return file


def test_every_known_url_is_forgotten_in_every_format(edge: Edge) -> None:
    files = [
        entry(edge, f"|/{PICTURE}|"),
        entry(edge, f"avif|{signed_path(PICTURE, MI, 'new-key')}|"),
        entry(edge, f"webp|{signed_path(PICTURE, MI, 'old-key')}|"),
        entry(edge, f"|/t/MI/u/{PICTURE}|"),
        entry(edge, f"avif|/t/{MI}/u/{PICTURE}|"),
        entry(edge, f"|/website/m/{PICTURE}/1x1-fit.jpg|"),
    ]
    other = entry(edge, f"|/t/MI/u/{OTHER}|")

    assert edge.forget(PICTURE, [MI], [f"m/{PICTURE}/1x1-fit.jpg"]) == len(files)
    assert not any(file.exists() for file in files)
    assert other.exists()


def test_forgetting_twice_finds_nothing(edge: Edge) -> None:
    entry(edge, f"|/{PICTURE}|")

    assert [edge.forget(PICTURE, []), edge.forget(PICTURE, [])] == [1, 0]


def test_a_buried_picture_has_a_tombstone_of_its_name(edge: Edge) -> None:
    edge.bury([PICTURE])
    edge.bury([PICTURE])

    assert (edge.tombstones / str(PICTURE)).is_file()
    assert not (edge.tombstones / str(OTHER)).exists()

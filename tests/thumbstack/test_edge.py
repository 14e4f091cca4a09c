"""What leaves this node's edge when a picture is deleted."""

import hashlib
import os
import time
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
    file.write_bytes(b"\5\0" * 168 + f"\nKEY: {cache_key}\n".encode() + b"HTTP/1.1 200 OK\r\n")
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


def test_a_sweep_finds_what_no_list_of_urls_has(edge: Edge) -> None:
    files = [
        entry(edge, f"|/{PICTURE}|"),
        entry(edge, f"webp|/sig/any(thing)/{PICTURE}|"),
        entry(edge, f"avif|/t/MI/u/{PICTURE}|2"),
        entry(edge, f"|/website/m/{PICTURE}/1x1-fit.jpg|"),
    ]
    kept = [
        entry(edge, f"|/{OTHER}|"),
        entry(edge, f"|/{PICTURE}x|"),
        entry(edge, f"|/sig/o/x/y/{OTHER}|"),
        entry(edge, f"link|/e/1/k/s/300x200/{PICTURE}"),
    ]
    assert edge.sweep() == 0
    edge.bury([PICTURE])

    assert edge.sweep() == len(files)
    assert [file for file in files if file.exists()] == []
    assert all(file.exists() for file in kept)


def test_what_was_made_anew_is_forgotten_and_no_original(edge: Edge) -> None:
    files = [entry(edge, f"webp|{signed_path(PICTURE, MI, 'old-key')}|"), entry(edge, f"|/t/MI/u/{PICTURE}|")]
    kept = [entry(edge, f"|/{PICTURE}|"), entry(edge, f"|/t/SI/u/{PICTURE}|")]

    assert edge.forget(PICTURE, [MI], original=False) == len(files)
    assert [file for file in files if file.exists()] == []
    assert all(file.exists() for file in kept)
    assert not edge.is_buried(PICTURE)


def test_all_variants_of_a_prefix_are_cleared(edge: Edge) -> None:
    versioned = entry(edge, f"avif|/t/MI/u/{PICTURE}|2")
    variants = [
        entry(edge, f"webp|/sig/any(thing)/{PICTURE}|"),
        entry(edge, f"|/website/m/{PICTURE}/1x1-fit.jpg|"),
    ]
    kept = [entry(edge, f"|/{PICTURE}|"), entry(edge, f"|/t/MI/u/{OTHER}|2")]

    assert edge.clear("o/demo/cat/", versions_only=True) == 1
    assert not versioned.exists()
    assert edge.clear("o/demo/cat/") == len(variants)
    assert [file for file in variants if file.exists()] == []
    assert all(file.exists() for file in kept)


def test_a_restored_picture_has_no_tombstone(edge: Edge) -> None:
    edge.bury([PICTURE])

    edge.unbury(PICTURE)
    edge.unbury(PICTURE)

    assert not edge.is_buried(PICTURE)


def test_a_sweep_is_not_done_again_before_its_time(edge: Edge) -> None:
    edge.bury([PICTURE])
    edge.sweep()
    late = entry(edge, f"|/sig/late/{PICTURE}|")

    assert edge.sweep() == 0
    # The delete is young: what was under way may have come after the sweep.
    assert edge.sweep(every_seconds=0) == 1
    assert not late.exists()


def test_without_a_delete_since_there_is_nothing_to_sweep(edge: Edge) -> None:
    edge.bury([PICTURE])
    long_ago = time.time() - 3600
    os.utime(edge.tombstones / "buried", (long_ago, long_ago))
    edge.sweep()
    entry(edge, f"|/sig/late/{PICTURE}|")

    assert edge.sweep(every_seconds=0) == 0

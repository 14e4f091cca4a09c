"""The grammar of picture keys, and the way from a client's file name to a folder."""

import unicodedata

import pytest

from thumbstack.picture_key import PictureKey, folder_for, is_segment, new_file


def test_a_picture_key_is_read_and_written() -> None:
    key = PictureKey.parse("o/demo/bob/1763600000_0123456789abcdef.jpg")

    assert key == PictureKey("demo", "bob", "1763600000_0123456789abcdef.jpg")
    assert str(key) == "o/demo/bob/1763600000_0123456789abcdef.jpg"
    assert key.extension == "jpg"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o/demo/bob",
        "o/demo/bob/a.jpg/b",
        "/o/demo/bob/a.jpg",
        "p/demo/bob/a.jpg",
        "o//bob/a.jpg",
        "o/demo/../a.jpg",
        "o/./bob/a.jpg",
        "o/demo/bob/A.jpg",
        "o/demo/bob/ä.jpg",
        "o/demo/bob/a b.jpg",
        "o/demo/bob/a.jpg\n",
        "o/demo/bob/a%2e.jpg",
        "http://evil.example/o/demo/bob/a.jpg",
        f"o/demo/{'x' * 256}/a.jpg",
    ],
)
def test_anything_else_is_no_picture_key(text: str) -> None:
    assert PictureKey.parse(text) is None


@pytest.mark.parametrize("stem", ["bob", "my-photo", "v1.2", "2026-11-20"])
def test_a_plain_name_is_its_own_folder(stem: str) -> None:
    assert folder_for(stem) == stem


@pytest.mark.parametrize(
    ("stem", "slug"),
    [
        ("Bob", "bob"),
        ("My_Tiger Ä1", "my-tiger-a1"),
        ("a  b__c", "a-b-c"),
        ("a--b", "a-b"),
        ("日本", "riben"),
        ("../../etc/passwd", "etcpasswd"),
        (".hidden", "hidden"),
        ("..", ""),
        ("", ""),
        ("???", ""),
        ("x" * 300, "x" * 241),
    ],
)
def test_another_name_gets_a_slug_and_its_hash(stem: str, slug: str) -> None:
    folder = folder_for(stem)

    assert folder[:-14] == slug
    assert folder[-14:-12] == "--"
    assert is_segment(folder)


def test_no_two_names_share_a_folder() -> None:
    stems = [
        "Bob",
        "bob",
        "BOB",
        "Ä",
        "Ö",
        "A",
        "a",
        "a b",
        "a_b",
        "a-b",
        "a--b",
        "bob--cd9fb1e148cc",
        "",
        ".",
        "..",
        "\udcff",
    ]

    assert len({folder_for(stem) for stem in stems}) == len(stems)


def test_two_spellings_of_one_letter_are_one_name() -> None:
    assert folder_for(unicodedata.normalize("NFD", "Zürich")) == folder_for("Zürich")


def test_files_sort_by_time_also_within_a_second() -> None:
    files = [new_file("jpg", now) for now in (1_763_600_000.1, 1_763_600_000.2, 1_763_600_000.9, 1_763_600_001.0)]

    assert files == sorted(files)
    assert files[0].startswith("1763600000_")
    assert all(is_segment(file) for file in files)


def test_no_file_name_is_made_twice() -> None:
    assert len({new_file("jpg", 1_763_600_000.5) for _ in range(1000)}) == 1000

"""Client file names: what is the stem, what is the claimed type."""

import pytest

from thumbstack.picture_type import JPEG, PDF, PNG, PictureType, split_name


@pytest.mark.parametrize(
    ("name", "stem", "claimed"),
    [
        ("bob.png", "bob", PNG),
        ("X.JPG", "X", JPEG),
        ("a.jpeg", "a", JPEG),
        ("paper.pdf", "paper", PDF),
        ("bob", "bob", None),
        ("v1.2", "v1.2", None),
        ("a.jpg.png", "a.jpg", PNG),
        (".jpg", ".jpg", None),
        ("", "", None),
        ("../../etc/x.png", "x", PNG),
        ("C:\\Pictures\\x.png", "x", PNG),
        ("folder/", "", None),
    ],
)
def test_a_name_is_a_stem_and_perhaps_a_type(name: str, stem: str, claimed: PictureType | None) -> None:
    assert split_name(name) == (stem, claimed)

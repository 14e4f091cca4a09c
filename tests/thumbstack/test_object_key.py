"""Keys of whatever lies in an app's folder: none may lead out of it."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thumbstack.object_key import ObjectKey
from thumbstack.picture_key import PictureKey, folder_for


@pytest.mark.parametrize(
    ("text", "picture"),
    [
        ("o/shop/cat/1_a.jpg", "o/shop/cat/1_a.jpg"),
        ("incoming/shop/cat/1_a.jpg", "o/shop/cat/1_a.jpg"),
        ("o/shop/cat/My Cat Ä1.JPG", None),
        ("o/shop/cat/sub/dir/x.png", None),
        ("o/shop/x.png", None),
        ("o/shop/cat/100%.png", None),
        ("o/shop/cat/a+b&c.png", None),
        ("o/shop/cat/${filename}", None),
        # As macOS calls a picture of its screen, and a family of several characters.
        ("o/shop/cat/Screenshot at 10.31.12\u202fAM.png", None),
        ("o/shop/cat/\U0001f468\u200d\U0001f467.png", None),
    ],
)
def test_any_name_within_the_apps_folder_is_one(text: str, picture: str | None) -> None:
    key = ObjectKey.parse(text)

    assert key is not None
    assert str(key) == text
    assert key.app == "shop"
    assert str(key.picture or "") == (picture or "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o",
        "o/shop",
        "o/shop/",
        "o//cat/x.png",
        "x/shop/cat/x.png",
        "o/Shop/cat/x.png",
        "/o/shop/cat/x.png",
        "o/../shop/cat/x.png",
        "o/shop/../club/x.png",
        "o/shop/cat/..",
        "o/shop/./x.png",
        "o/shop/cat//x.png",
        "o/shop/cat/",
        "o/shop/cat/x.png/",
        "o/shop/..%2fclub/x.png",
        "o/shop/%2e%2e/club/x.png",
        "o/shop/%252e%252e/club/x.png",
        "o/shop/cat%2Fx.png",
        "o/shop/cat%252Fx.png",
        "o/shop/..\\club\\x.png",
        "o/shop/cat/..%5c..%5cx.png",
        "o/shop/cat/a\x00b.png",
        "o/shop/cat/a%00b.png",
        "o/shop/cat/a\nb.png",
        "o/shop/cat/a\x85b.png",
        "o/shop/cat/a\ufffeb.png",
        # Some take it for a slash.
        "o/shop/cat/a\\b.png",
        "o/shop/cat/a%5cb.png",
        "o/shop/cat/\ud800.png",
        "o/shop/cat/" + "x" * 1020,
        "results/shop/cat/x.png",
    ],
)
def test_what_might_lead_elsewhere_is_none(text: str) -> None:
    assert ObjectKey.parse(text) is None


@given(st.text(alphabet=st.sampled_from("ab./\\%2efF5cC"), min_size=1, max_size=30))
def test_no_decoding_leads_out(path: str) -> None:
    key = ObjectKey.parse(f"o/shop/{path}")
    if key is None:
        return
    for _ in range(5):
        assert ".." not in path.replace("\\", "/").split("/")
        assert path.count("/") == key.path.count("/")
        path = unquote(path)


def test_a_picture_in_its_place_is_the_same_however_often_it_is_asked_for() -> None:
    key = ObjectKey.parse("o/shop/fresh/My Cat.JPG")
    assert key is not None

    picture = key.renewed("jpg", 1795161488.7)

    assert PictureKey.parse(str(picture)) == picture == key.renewed("jpg", 1795161488.2)
    assert str(picture).startswith("o/shop/fresh/1795161488_")
    assert key.is_renewed_by(picture)
    assert key.renewed("jpg", 1795161489) != picture
    assert not ObjectKey("shop", "fresh/My cat.JPG").is_renewed_by(picture)
    assert not ObjectKey("shop", "fresh/My Cat.JPG", waits=True).is_renewed_by(picture)
    assert not ObjectKey("club", "fresh/My Cat.JPG").is_renewed_by(picture)


def test_what_has_no_proper_folder_gets_the_one_of_its_name() -> None:
    assert ObjectKey("shop", "Some Folder/cat.png").folder == folder_for("cat")
    assert ObjectKey("shop", "cat.png").folder == "cat"
    assert ObjectKey("shop", "cat/sub/x.png").folder == "cat"

"""Links that end: made by the newest key, taken from every key, refused when anything of them is other than it was."""

import base64
import hashlib
import hmac

import pytest

from thumbstack.link import Link, Links
from thumbstack.picture_key import PictureKey
from thumbstack.refusal import BadSignature, Expired
from thumbstack.signing import signed_path

NEW, OLD = "the-new-key-of-the-tests-0123456789", "the-old-key-of-the-tests-0123456789"
PICTURE = PictureKey("shop", "cat", "1763600000_0123456789abcdef.jpg")
NOW = 1_800_000_000
LINK = Link(PICTURE, "fit-in/400x400/filters:quality(90)", NOW + 60)
links = Links([NEW, OLD])


@pytest.mark.parametrize("options", ["fit-in/400x400/filters:quality(90)", "300x200/smart", ""])
def test_a_link_says_what_it_was_made_of(options: str) -> None:
    link = Link(PICTURE, options, NOW + 60)

    assert links.read(links.path(link), NOW) == link


def test_the_signature_is_what_the_documents_say() -> None:
    derived = hmac.new(NEW.encode(), b"thumbstack expiring link", hashlib.sha256).digest()
    text = f"{NOW + 60}/{LINK.options}/{PICTURE}"
    signature = base64.urlsafe_b64encode(hmac.new(derived, text.encode(), hashlib.sha256).digest()).decode().rstrip("=")

    assert links.path(LINK) == (
        f"/e/{NOW + 60}/{hashlib.sha256(derived).hexdigest()[:8]}/{signature}/{LINK.options}/{PICTURE}"
    )


def test_a_known_link_stays_one() -> None:
    # So that links that are out there hold after an upgrade.
    known = (
        "/e/1800000060/ed69816a/"
        "L0mB8mg5xef7kDgbsHr8_xYMCbddXNlN7ssjNSxRJoY/fit-in/400x400/filters:quality(90)/o/shop/cat/1763600000_0123456789abcdef.jpg"
    )

    assert links.path(LINK) == known


def test_a_link_of_an_older_key_opens_while_keys_overlap() -> None:
    old = Links([OLD]).path(LINK)

    assert links.read(old, NOW) == LINK
    assert links.path(LINK) != old
    with pytest.raises(BadSignature):
        Links([NEW]).read(old, NOW)


@pytest.mark.parametrize("late", [0, 0.001, 1, 10**9])
def test_a_link_ends_with_the_second_that_it_names(late: float) -> None:
    path = links.path(LINK)

    assert links.read(path, LINK.expires - 0.001) == LINK
    with pytest.raises(Expired):
        links.read(path, LINK.expires + late)


PATH = links.path(LINK)
EXPIRES, KEY_ID, SIGNATURE = PATH.split("/")[2:5]


@pytest.mark.parametrize(
    "path",
    [
        PATH.replace(SIGNATURE, "A" * 43),
        PATH.replace(SIGNATURE, SIGNATURE[:-1]),
        PATH.replace(SIGNATURE, SIGNATURE + "="),
        PATH.replace(SIGNATURE, SIGNATURE.lower()),
        PATH.replace(f"/{SIGNATURE}", ""),
        PATH.replace(KEY_ID, "00000000"),
        PATH.replace(KEY_ID, KEY_ID.upper()),
        PATH.replace(KEY_ID, Links([OLD]).path(LINK).split("/")[3]),
        PATH.replace("400x400", "400x401"),
        PATH.replace("fit-in/", ""),
        PATH.replace("fit-in/400x400/filters:quality(90)/", ""),
        PATH.replace("/fit-in", "//fit-in"),
        PATH.replace("/o/shop", "//o/shop"),
        PATH.replace("o/shop/cat/", "o/shop/dog/"),
        PATH.replace("o/shop/", "o/other/"),
        PATH.replace(".jpg", ".png"),
        PATH.replace(".jpg", ".jpg/"),
        PATH.replace(".jpg", ".jpg\n"),
        PATH.replace("o/shop/cat", "o/shop/cat/../cat"),
        PATH.replace("/e/", "/E/"),
        PATH.replace("/e/", "/e//"),
        PATH.replace("/e/", "/"),
        *(
            PATH.replace(EXPIRES, other)
            for other in (
                str(NOW + 61),
                f"0{EXPIRES}",
                f"+{EXPIRES}",
                f"-{EXPIRES}",
                f" {EXPIRES}",
                f"{EXPIRES}.0",
                "1e10",
                "0",
                "-1",
                "9" * 11,
                "9" * 400,
                "\u0661" * 10,  # digits, in Arabic
                "",
            )
        ),
        signed_path(PICTURE, LINK.options, NEW),
        f"/e/{NOW + 60}{signed_path(PICTURE, LINK.options, NEW)}",
        "/e/",
        "",
    ],
)
def test_anything_else_is_forged(path: str) -> None:
    assert path != PATH
    for now in (NOW, NOW + 1000):
        with pytest.raises(BadSignature):
            links.read(path, now)


@pytest.mark.parametrize("options", ["5000x5000", "unsafe/300x200", "300x200/../..", "filters:watermark(http://a/b)"])
def test_what_the_signer_would_not_sign_is_no_link_either(options: str) -> None:
    path = links.path(Link(PICTURE, options, NOW + 60))

    with pytest.raises(BadSignature):
        links.read(path, NOW)

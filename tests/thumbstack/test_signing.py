"""Thumbor's signatures are ours, by the vectors that others test themselves with."""

import pytest
from libthumbor import CryptoURL

from thumbstack.picture_key import PictureKey
from thumbstack.signing import derived_key, signed_path, thumbor_signature, unsigned_path

IMAGE = "my.server.com/some/path/to/image.jpg"
PICTURE = PictureKey("demo", "bob", "1763600000_0123456789abcdef.jpg")
KEY = "k" * 32


# Vectors of Thumbor's documents and of libthumbor's tests:
# https://thumbor.readthedocs.io/en/latest/libraries.html, tests/test_cryptourl.py
@pytest.mark.parametrize(
    ("options", "signature"),
    [
        ("300x200/", "8ammJH8D-7tXy6kU3lTvoXlhu4o="),
        ("meta/", "Ps3ORJDqxlSQ8y00T29GdNAh2CY="),
        ("smart/", "-2NHpejRK2CyPAm61FigfQgJBxw="),
        ("fit-in/", "uvLnA6TJlF-Cc-L8z9pEtfasO3s="),
        ("filters:brightness(10):contrast(20)/", "ZZtPCw-BLYN1g42Kh8xTcRs0Qls="),
        ("10x10:200x200/300x200/", "B35oBEIwztbc3jm7vsdqLez2C78="),
        ("10x10:200x200/300x200/filters:brightness(20):contrast(10)/", "as8U2DbUUtTMgvPF26LkjS3MocY="),
    ],
)
def test_libthumbors_vectors(options: str, signature: str) -> None:
    assert thumbor_signature(options + IMAGE, "my-security-key") == signature


def test_the_vector_of_the_original_proxy() -> None:
    # https://github.com/renuo/renuo-thumbs-proxy
    text = "200x300/smart/ao3ief5j.cloudfront.com/o/app-env/abcd/x.jpg"

    assert thumbor_signature(text, "UJwHAZLsRejTyLI88lAriHL7xAXa6q0umiwwpPcP") == "1F9lm7tvzty050d8dRMOrDujQjA="


@pytest.mark.parametrize(
    ("asked", "options"),
    [
        ({"width": 300, "height": 200, "smart": True}, "300x200/smart"),
        ({"width": 300, "fit_in": True}, "fit-in/300x0"),
        ({"width": 300, "height": 200, "flip": True, "halign": "left"}, "-300x200/left"),
        (
            {"crop": ((10, 20), (30, 40)), "filters": ["quality(90)", "rgb(1,2,3)"]},
            "10x20:30x40/filters:quality(90):rgb(1,2,3)",
        ),
        ({}, ""),
    ],
)
def test_a_signed_path_is_what_libthumbor_makes(asked: dict[str, object], options: str) -> None:
    theirs = CryptoURL(key=KEY).generate(image_url=str(PICTURE), **asked)

    assert signed_path(PICTURE, options, KEY) == theirs
    assert theirs.endswith("/" + unsigned_path(PICTURE, options))


def test_a_derived_key_is_for_one_purpose_of_one_key() -> None:
    keys = {derived_key(key, purpose) for key in (KEY, "l" * 32) for purpose in ("one", "other")}

    assert len(keys) == 4
    assert derived_key(KEY, "one") in keys

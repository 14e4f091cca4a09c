"""URLs of the newest key and of older ones, and of no other."""

from typing import TYPE_CHECKING

import pytest
from libthumbor.url_signers import base64_hmac_sha1
from url_signer import UrlSigner

from thumbstack.signing import signed_path

if TYPE_CHECKING:
    from tests.thumbor.conftest import S3, Thumbor, Thumbors, WaitUntil

NEW, OLD, OLDEST = (f"the-{age}-key-of-the-tests-0123456789" for age in ("new", "old", "oldest"))
URL = "300x200/smart/o/demo/cat/1_a.jpg"


@pytest.mark.parametrize("keys", [f"{NEW},{OLD},{OLDEST}", f"{NEW},{OLD},{OLDEST}".encode()], ids=["text", "bytes"])
def test_every_key_verifies_and_the_newest_signs(keys: str | bytes) -> None:
    signer = UrlSigner(keys)

    assert signer.signature(URL) == base64_hmac_sha1.UrlSigner(NEW).signature(URL)
    for key in (NEW, OLD, OLDEST):
        assert signer.validate(base64_hmac_sha1.UrlSigner(key).signature(URL), URL)
        assert not signer.validate(base64_hmac_sha1.UrlSigner(key).signature(URL), URL.replace("300", "301"))


@pytest.mark.parametrize(
    "signature", [b"", b"A" * 28, "Ä".encode(), base64_hmac_sha1.UrlSigner(f"{NEW},{OLD}").signature(URL)]
)
def test_nothing_else_verifies(signature: bytes) -> None:
    assert not UrlSigner(f"{NEW},{OLD}").validate(signature, URL)


def test_while_keys_overlap_old_and_new_urls_open_the_results_that_are_there(
    thumbors: "Thumbors", s3: "S3", coffee: bytes, wait_until: "WaitUntil"
) -> None:
    picture = s3.put(coffee, "jpg")
    before, overlap, after = (
        thumbors.start({**s3.environment(), "SECURITY_KEYS": keys}) for keys in (OLD, f"{NEW},{OLD}", NEW)
    )
    rendered = before.get_path(signed_path(picture, "60x40", OLD))
    wait_until(lambda: s3.has_result(f"{picture}/60x40.jpg"))

    def statuses(thumbor: "Thumbor") -> list[int]:
        return [thumbor.get_path(signed_path(picture, "60x40", key)).status_code for key in (NEW, OLD, OLDEST)]

    assert rendered.status_code == 200
    assert statuses(before) == [400, 200, 400]
    assert statuses(overlap) == [200, 200, 400]
    assert overlap.counted() == ["result hit", "result hit"]
    assert statuses(after) == [200, 400, 400]
    assert after.counted() == ["result hit"]

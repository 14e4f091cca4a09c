"""Signed picture URLs, exactly Thumbor's: ``/<signature>/<options>/<picture key>``."""

import hmac

from libthumbor.url_signers.base64_hmac_sha1 import UrlSigner

from thumbstack.picture_key import PictureKey


def unsigned_path(picture: PictureKey, options: str) -> str:
    """What a signature is made of: ``<options>/<picture key>``, without a slash at its begin."""
    return f"{options}/{picture}" if options else str(picture)


def signed_path(picture: PictureKey, options: str, security_key: str) -> str:
    """The path of a variant, signed as stock Thumbor verifies it.

    The signature is the URL-safe base64 of the HMAC-SHA1 of ``<options>/<picture key>``
    (https://thumbor.readthedocs.io/en/latest/security.html).
    """
    text = unsigned_path(picture, options)
    signature: bytes = UrlSigner(security_key).signature(text)
    return f"/{signature.decode()}/{text}"


def readable_path(picture: PictureKey, options: str) -> str:
    """The unsigned path of a variant, ``/t/<options or preset>/u/<picture key>``."""
    return f"/t/{options}/u/{picture}"


def derived_key(security_key: str, purpose: str) -> bytes:
    """A key for one purpose, so that a signature made for it is none for any other."""
    return hmac.digest(security_key.encode(), purpose.encode(), "sha256")

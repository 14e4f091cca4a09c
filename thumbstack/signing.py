"""Signed picture URLs, exactly Thumbor's: ``/<signature>/<options>/<picture key>``."""

import hmac

from libthumbor.url_signers.base64_hmac_sha1 import UrlSigner

from thumbstack.picture_key import PictureKey


def unsigned_path(picture: PictureKey, options: str) -> str:
    """What a signature is made of: ``<options>/<picture key>``, without a slash at its begin."""
    return f"{options}/{picture}" if options else str(picture)


def signed_path(picture: PictureKey, options: str, security_key: str) -> str:
    """The path of a variant, signed as stock Thumbor verifies it."""
    text = unsigned_path(picture, options)
    return f"/{thumbor_signature(text, security_key)}/{text}"


def thumbor_signature(text: str, security_key: str) -> str:
    """The URL-safe base64 of the HMAC-SHA1 of a text (https://thumbor.readthedocs.io/en/latest/security.html)."""
    signature: bytes = UrlSigner(security_key).signature(text)
    return signature.decode()


def readable_path(picture: PictureKey, options: str) -> str:
    """The unsigned path of a variant, ``/t/<options or preset>/u/<picture key>``."""
    return f"/t/{options}/u/{picture}"


def derived_key(security_key: str, purpose: str) -> bytes:
    """A key for one purpose, so that a signature made for it is none for any other."""
    return hmac.digest(security_key.encode(), purpose.encode(), "sha256")

"""Thumbor's URL signer with several keys, so that a new one can come while URLs of an old one are still about."""

import hmac

from libthumbor.url_signers import base64_hmac_sha1


class UrlSigner(base64_hmac_sha1.UrlSigner):  # type: ignore[misc]
    """Thumbor makes one for each request, with its SECURITY_KEY: here several, comma separated; the first signs."""

    def __init__(self, security_key: str | bytes) -> None:
        text = security_key.decode() if isinstance(security_key, bytes) else security_key
        newest, *older = text.split(",")
        super().__init__(newest)
        self._older = [base64_hmac_sha1.UrlSigner(key) for key in older]

    def validate(self, actual_signature: bytes, url: str) -> bool:
        """Say whether any of the keys made the signature; the time tells nothing about which, or how nearly."""
        matches = [hmac.compare_digest(signer.signature(url), actual_signature) for signer in (self, *self._older)]
        return any(matches)

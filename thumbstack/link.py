"""Picture URLs that end: ``/e/<expires>/<key id>/<signature>/<options>/<picture key>``.

Stock Thumbor knows no expiry, so these carry a signature of their own: HMAC-SHA256 over ``<expires>/<options>/<picture
key>``, with a key that is derived from a security key, so that no signature of the one kind is ever one of the other.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from thumbstack.options import read_options
from thumbstack.picture_key import PictureKey
from thumbstack.refusal import BadOptions, BadSignature, Expired
from thumbstack.signing import derived_key, unsigned_path

_PURPOSE = "thumbstack expiring link"
# One spelling a second, and none that does not fit a date.
_LINK = re.compile(
    r"/e/(?P<expires>[1-9][0-9]{0,10})/(?P<key_id>[0-9a-f]{8})/(?P<signature>[A-Za-z0-9_-]{43})"
    r"/(?P<options>(?:.+/)?)(?P<picture>o/[^/]+/[^/]+/[^/]+)",
    re.ASCII,
)
_MAX_SECONDS = 365 * 24 * 60 * 60
_LIFE = f"expires must be a whole number of seconds from now, from 1 to {_MAX_SECONDS} (a year)."
_NOT_OURS = "This is no link of this service, or it was changed: ask for a new one."


@dataclass(frozen=True)
class Link:
    """What a link shows, and when it ends, in seconds since 1970."""

    picture: PictureKey
    options: str
    expires: int


def read_end(expires: object, now: float) -> int | None:
    """The second in which a link ends, from how many it shall last; None: never. Raises BadOptions."""
    if expires is None or expires == "":
        return None
    if isinstance(expires, bool) or not re.fullmatch(r"[0-9]{1,8}", str(expires), re.ASCII):
        raise BadOptions(_LIFE)
    seconds = int(str(expires))
    if not 0 < seconds <= _MAX_SECONDS:
        raise BadOptions(_LIFE)
    return int(now) + seconds


class Links:
    """Makes links with the newest of the security keys, and knows those of all."""

    def __init__(self, security_keys: Sequence[str]) -> None:
        self._keys = [_Key(derived_key(key, _PURPOSE)) for key in security_keys]

    def path(self, link: Link) -> str:
        """The path of a link."""
        key = self._keys[0]
        text = unsigned_path(link.picture, link.options)
        return f"/e/{link.expires}/{key.id}/{key.signature(link.expires, text)}/{text}"

    def read(self, path: str, now: float) -> Link:
        """What a path of this service shows; refused where it is none, and from the second on that it names."""
        match = _LINK.fullmatch(path)
        picture = PictureKey.parse(match["picture"]) if match else None
        if match is None or picture is None:
            raise BadSignature(_NOT_OURS)
        link = Link(picture, match["options"].removesuffix("/"), int(match["expires"]))
        text = unsigned_path(picture, link.options)
        keys = [key for key in self._keys if key.id == match["key_id"]]
        if not any(hmac.compare_digest(key.signature(link.expires, text), match["signature"]) for key in keys):
            raise BadSignature(_NOT_OURS)
        try:
            read_options(link.options)
        except BadOptions:
            raise BadSignature(_NOT_OURS) from None
        if now >= link.expires:
            raise Expired("This link has expired: ask for a new one.")
        return link


class _Key:
    def __init__(self, derived: bytes) -> None:
        self._derived = derived
        # Tells which key it was, and nothing else about it.
        self.id = hashlib.sha256(derived).hexdigest()[:8]

    def signature(self, expires: int, text: str) -> str:
        digest = hmac.digest(self._derived, f"{expires}/{text}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

"""The picture key, ``o/<app>/<folder>/<file>``: the S3 key of an original and the end of every picture URL."""

import hashlib
import re
import secrets
import unicodedata
from dataclasses import dataclass
from typing import Self

from anyascii import anyascii

# An S3 server that keeps objects as files allows 255 bytes a name.
_MAX_SEGMENT_BYTES = 255
_SEGMENT = re.compile(r"(?!\.{1,2}\Z)[a-z0-9._-]{1,255}\Z")
_SECONDS = re.compile(r"[0-9]{10}")
_HASH_MARK = "--"
_HASH_HEX = 12
_INCOMING = "incoming"


def is_segment(text: str) -> bool:
    """Say whether `text` may stand between two slashes of a picture key."""
    return _SEGMENT.match(text) is not None


@dataclass(frozen=True, order=True)
class PictureKey:
    """One picture: `app` owns it, `folder` comes from the name it was sent under, `file` is unique in the folder."""

    app: str
    folder: str
    file: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read ``o/<app>/<folder>/<file>``; None for anything else, whatever it is."""
        segments = text.split("/")
        if len(segments) != 4 or segments[0] != "o" or not all(map(is_segment, segments)):
            return None
        return cls(*segments[1:])

    @classmethod
    def parse_incoming(cls, text: str) -> Self | None:
        """Read an incoming key, ``incoming/<app>/<folder>/<file>``: uploaded, not yet published."""
        start, slash, rest = text.partition("/")
        return cls.parse(f"o/{rest}") if slash and start == _INCOMING else None

    @property
    def incoming(self) -> str:
        """Where this picture waits until it is published."""
        return f"{_INCOMING}/{self.app}/{self.folder}/{self.file}"

    @property
    def extension(self) -> str:
        """The extension without its dot; empty when the file has none."""
        return self.file.rpartition(".")[2] if "." in self.file else ""

    @property
    def seconds(self) -> int | None:
        """When it came, in seconds since 1970; None where its file name does not say."""
        seconds, _, _ = self.file.partition("_")
        return int(seconds) if _SECONDS.fullmatch(seconds) else None

    def __str__(self) -> str:
        return f"o/{self.app}/{self.folder}/{self.file}"


def app_prefix(app: str) -> str:
    """The prefix of all of an app's pictures; it ends in a slash, so app `foo` never reaches `foo-develop`."""
    return f"o/{app}/"


def folder_prefix(app: str, folder: str) -> str:
    """The prefix of all the pictures that came under one name."""
    return f"o/{app}/{folder}/"


def folder_for(stem: str) -> str:
    """The folder of a client's file name without its extension. Injective: two stems (after NFC) never share one.

    The slug is lower case ASCII; where it differs from the stem, ``--`` and 12 hex digits of the stem's SHA-256 follow.
    A slug itself never holds ``--``, so no plain name can be mistaken for a hashed one.
    """
    stem = unicodedata.normalize("NFC", stem)
    slug = re.sub(r"[ _]+", "-", anyascii(stem).lower())
    slug = re.sub(r"[^a-z0-9.-]", "", slug)
    slug = re.sub(r"-+", "-", slug).lstrip(".")
    if slug and slug == stem and len(slug) <= _MAX_SEGMENT_BYTES:
        return slug
    # surrogatepass: a name may hold bytes that were no UTF-8, and must still have its own folder.
    digest = hashlib.sha256(stem.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_HEX]
    return slug[: _MAX_SEGMENT_BYTES - len(_HASH_MARK) - _HASH_HEX].rstrip("-") + _HASH_MARK + digest


def incoming_prefix(prefix: str) -> str:
    """The prefix under which the pictures of a published prefix wait."""
    return f"{_INCOMING}/{prefix.removeprefix('o/')}"


def new_file(extension: str, now: float) -> str:
    """A new file name, ``<unix seconds>_<20 hex>.<extension>``: it sorts by time and cannot be guessed.

    `now` is in seconds since 1970. The first four hex digits are the fraction of the second, so that names made in one
    second sort too; the other sixteen are random.
    """
    seconds, fraction = divmod(now, 1)
    return f"{int(seconds)}_{int(fraction * 0x10000):04x}{secrets.token_hex(8)}.{extension}"

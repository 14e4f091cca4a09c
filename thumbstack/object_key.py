"""The key of anything that lies in an app's folder: what is posted straight to S3 may be called anything."""

import hashlib
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote

from thumbstack.picture_key import PictureKey, folder_for, is_segment
from thumbstack.picture_type import split_name

# S3's own limit.
_MAX_KEY_BYTES = 1024
_MARK_HEX = 20
# What XML cannot hold, in which S3 lists and deletes; and the backslash, which some servers take for a slash.
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\\]")


@dataclass(frozen=True)
class ObjectKey:
    """``o/<app>/<path>``, or ``incoming/<app>/<path>`` where it waits to be inspected."""

    app: str
    path: str
    waits: bool = False

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a key; None for one that is no app's, or that might mean another place to whoever decodes it."""
        start, _, rest = text.partition("/")
        app, _, path = rest.partition("/")
        if start not in ("o", "incoming") or not is_segment(app) or not _is_path(path, text):
            return None
        return cls(app, path, start == "incoming")

    def __str__(self) -> str:
        return f"{'incoming' if self.waits else 'o'}/{self.app}/{self.path}"

    @property
    def name(self) -> str:
        """What the file is called: the end of its path."""
        return self.path.rpartition("/")[2]

    @property
    def picture(self) -> PictureKey | None:
        """The picture that it is, or will be when it is published; None where it is not called like one."""
        return PictureKey.parse(f"o/{self.app}/{self.path}")

    @property
    def folder(self) -> str:
        """The folder of the picture that it is, or of the one that is stored in its place."""
        first, slash, _ = self.path.partition("/")
        return first if slash and is_segment(first) else folder_for(split_name(self.name)[0])

    def renewed(self, extension: str, posted: float) -> PictureKey:
        """The picture that takes the place of what was put here at that time: the same one, however often asked."""
        return PictureKey(self.app, self.folder, f"{int(posted)}_{self._mark}.{extension}")

    def is_renewed_by(self, picture: PictureKey) -> bool:
        """Whether a picture took the place of something that was put here."""
        return (picture.app, picture.folder) == (self.app, self.folder) and bool(
            re.fullmatch(rf"\d+_{self._mark}\.\w+", picture.file)
        )

    @property
    def _mark(self) -> str:
        return hashlib.sha256(str(self).encode()).hexdigest()[:_MARK_HEX]


def is_plain(path: str) -> bool:
    """Say whether a path stays where it is as it stands, and S3 could hold it.

    Its letters may be any: macOS puts a narrow blank into names, and some emoji are several characters.
    """
    segments = path.split("/")
    return all(segments) and not {".", ".."} & set(segments) and not _UNFIT.search(path)


def _is_path(path: str, key: str) -> bool:
    """Say whether a path stays where it is, however often it is decoded, and S3 could hold it."""
    slashes, decoded = path.count("/"), path
    while is_plain(decoded) and decoded.count("/") == slashes:
        if (further := unquote(decoded)) == decoded:
            return len(key.encode()) <= _MAX_KEY_BYTES
        decoded = further
    return False

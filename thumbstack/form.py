"""A form with a file in it, as it is sent: read piece by piece, and its checksum known before."""

import base64
import hashlib
import io
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from urllib3.fields import RequestField

from thumbstack.refusal import Missing

# A path, the bytes themselves, or a file that is open for reading bytes: so are those of a form in Flask and in Django.
Source = str | os.PathLike[str] | bytes | IO[bytes]

_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class OutgoingFile:
    """A file to be sent, from where it stands to its end."""

    name: str
    file: IO[bytes]
    start: int
    bytes: int
    # As Content-Digest (RFC 9530) has it.
    digest: str


@contextmanager
def opened(source: Source, name: str | None) -> Iterator[OutgoingFile]:
    """Open what is to be sent and read it through once, for its checksum; a file of the caller's stays open."""
    with ExitStack() as ends:
        if isinstance(source, bytes):
            file: IO[bytes] = io.BytesIO(source)
        elif isinstance(source, str | os.PathLike):
            file = ends.enter_context(Path(source).open("rb"))
            name = name or Path(source).name
        else:
            # Of a form's file the name that the client gave, as Flask and Django have it; else that on the disk.
            found = getattr(source, "filename", None) or getattr(source, "name", None)
            name = name or (Path(found).name if isinstance(found, str) else None)
            file = source if source.seekable() else ends.enter_context(_spooled(source))
        if not name:
            raise Missing("The file has no name: give it one, it is how you ask for the picture later.")
        start, digest = file.tell(), hashlib.sha256()
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
        size = file.tell() - start
        yield OutgoingFile(name, file, start, size, f"sha-256=:{base64.b64encode(digest.digest()).decode()}:")


@contextmanager
def _spooled(source: IO[bytes]) -> Iterator[IO[bytes]]:
    """What comes from a pipe or a socket, where it can be read twice: for its checksum, and to be sent."""
    with tempfile.SpooledTemporaryFile(_PIECE_BYTES) as copy:
        shutil.copyfileobj(source, copy, _PIECE_BYTES)
        copy.seek(0)
        yield copy


class Form(io.RawIOBase):
    """A multipart form whose last field is a file, as a file: requests' own would hold all of it in memory."""

    def __init__(self, form: Mapping[str, str], file: OutgoingFile) -> None:
        super().__init__()
        frontier = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={frontier}"
        values = [(RequestField(name, ""), value) for name, value in form.items()]
        parts = [*values, (RequestField("file", "", file.name), "")]
        head = "\r\n".join(f"--{frontier}\r\n{_headers(part)}{value}" for part, value in parts)
        # A name on a disk may hold bytes that are no UTF-8: they go as they are.
        self._head = head.encode("utf-8", "surrogateescape")
        self._tail = f"\r\n--{frontier}--\r\n".encode()
        self._file = file
        self.seek(0)

    def __len__(self) -> int:
        return len(self._head) + self._file.bytes + len(self._tail)

    def readable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """How much was read."""
        return self._at

    def seek(self, at: int, whence: int = os.SEEK_SET) -> int:
        """Go on reading there, counted from the start: a request that is sent again begins anew."""
        self._at = at
        self._file.file.seek(self._file.start + max(0, at - len(self._head)))
        return at

    def readinto(self, buffer: Any) -> int:
        """Read some: at most to where the next of head, file and tail begins."""
        in_file = self._at - len(self._head)
        left = self._file.bytes - in_file
        if in_file < 0:
            piece = self._head[self._at : self._at + len(buffer)]
        elif left > 0:
            piece = self._file.file.read(min(left, len(buffer)))
            if not piece:
                raise OSError("The file became shorter while it was sent.")
        else:
            piece = self._tail[-left : len(buffer) - left]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def _headers(part: RequestField) -> str:
    part.make_multipart()
    return part.render_headers()

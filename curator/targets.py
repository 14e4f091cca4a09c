"""Where pictures are taken: a folder, or a tar that is written as they come."""

import errno
import os
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeVar, cast
from urllib.parse import unquote

import click

from thumbstack.picture_key import PictureKey
from thumbstack.refusal import NoRoom, Refused

T = TypeVar("T")

_MAX_NAME_BYTES = 255
# What is not whole yet: in the folder, so that it can be moved into its place at once.
_UNFINISHED = ".unfinished"
# What the next picture would meet, too.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Target:
    """Where to; a name of it is a path with slashes, of parts that lead nowhere else."""

    def has(self, picture: PictureKey) -> bool:
        """Whether a picture is there already, whole."""
        raise NotImplementedError

    def put(self, picture: PictureKey, metadata: Mapping[str, str], body: BinaryIO) -> None:
        """Put an open file there, whole or not at all."""
        raise NotImplementedError


def _by_key(picture: PictureKey) -> PurePosixPath:
    return PurePosixPath(str(picture))


def _by_client(picture: PictureKey) -> PurePosixPath:
    """The folder of its own that holds it under its client's name."""
    return PurePosixPath(picture.folder, picture.file.rpartition(".")[0] or picture.file)


def client_name(picture: PictureKey, metadata: Mapping[str, str]) -> str:
    """What the client called it, as far as that is the name of a file and nothing else."""
    name = unquote(metadata.get("name", "")).replace("\\", "/").rpartition("/")[2]
    name = "".join(letter for letter in name if letter.isprintable()).strip()
    if not name.strip(".") or name.startswith("."):
        return picture.file
    stem, dot, extension = name.rpartition(".")
    while len(name.encode()) > _MAX_NAME_BYTES:
        stem, extension = (stem[:-1], extension) if stem else ("", extension[:-1])
        name = f"{stem}{dot}{extension}"
    return name


class FolderTarget(Target):
    """A folder. A picture is moved into its place when it is whole, so what is there is whole."""

    def __init__(self, root: Path, *, by_client: bool) -> None:
        # Path.resolve() raises at links that lead in a circle.
        self._root = Path(os.path.realpath(root))
        self._by_client = by_client
        self._unfinished = self._root / _UNFINISHED
        try:
            # What an earlier run left when it was killed.
            shutil.rmtree(self._unfinished, ignore_errors=True)
            self._unfinished.mkdir(parents=True)
        except OSError as error:
            raise click.UsageError(f"--folder {root}: {error.strerror}") from error

    def has(self, picture: PictureKey) -> bool:
        if not self._by_client:
            return (self._root / _by_key(picture)).is_file()
        folder = self._root / _by_client(picture)
        return folder.is_dir() and any(folder.iterdir())

    def put(self, picture: PictureKey, metadata: Mapping[str, str], body: BinaryIO) -> None:
        target = self._root / _by_key(picture)
        if self._by_client:
            target = self._root / _by_client(picture) / client_name(picture, metadata)
        try:
            # A link that somebody has put there.
            if not Path(os.path.realpath(target.parent)).is_relative_to(self._root):
                raise Refused("A link leads out of the folder there: nothing is written.")
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, part = tempfile.mkstemp(dir=self._unfinished)
            with os.fdopen(handle, "wb") as file:
                shutil.copyfileobj(body, file)
            # As other files of whoever runs it, not for him alone.
            os.chmod(part, 0o666 & ~_UMASK)
            if picture.seconds:
                os.utime(part, (picture.seconds, picture.seconds))
            os.replace(part, target)
        except OSError as error:
            sort = NoRoom if error.errno in _FULL else Refused
            raise sort(f"It cannot be written: {error.strerror}.") from error

    def close(self) -> None:
        """Leave nothing but pictures."""
        shutil.rmtree(self._unfinished, ignore_errors=True)


def _umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now


# It can only be asked by setting it, which is not for threads.
_UMASK = _umask()


class _Stream:
    """What a tar is written to. Once it fails it takes everything: tarfile goes on to write the end of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.trouble = ""

    def write(self, data: bytes) -> int:
        return len(data) if self.trouble else self._tried(lambda: self._file.write(data))

    def flush(self) -> None:
        self._tried(self._file.flush)

    def _tried(self, write: Callable[[], T]) -> T:
        try:
            return write()
        except OSError as error:
            self.trouble = f"The tar cannot be written: {error.strerror}."
            raise NoRoom(self.trouble) from error


class TarTarget(Target):
    """A tar, written from its begin to its end. Where an entry was written by half, nothing can follow it."""

    def __init__(self, file: BinaryIO, *, by_client: bool) -> None:
        self._stream = _Stream(file)
        self._tar = tarfile.open(  # noqa: SIM115 - closed by close()
            fileobj=cast(BinaryIO, self._stream), mode="w|", format=tarfile.PAX_FORMAT
        )
        self._by_client = by_client
        self._lock = threading.Lock()

    def has(self, picture: PictureKey) -> bool:
        return False

    def put(self, picture: PictureKey, metadata: Mapping[str, str], body: BinaryIO) -> None:
        name = _by_client(picture) / client_name(picture, metadata) if self._by_client else _by_key(picture)
        entry = tarfile.TarInfo(str(name))
        entry.size = body.seek(0, os.SEEK_END)
        entry.mtime = picture.seconds or 0
        body.seek(0)
        with self._lock:
            if self._stream.trouble:
                raise NoRoom(self._stream.trouble)
            self._tar.addfile(entry, body)

    def close(self) -> None:
        """Write its end; raises NoRoom where that, or anything before it, could not be written."""
        self._tar.close()
        if self._stream.trouble:
            raise NoRoom(self._stream.trouble)
        self._stream.flush()

"""Where pictures are migrated from: another bucket, a folder, a list of addresses. Each is walked one by one."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, BinaryIO, Protocol

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from thumbstack.refusal import NoRoom, NoSuchPicture, Refused, TooLarge

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PIECE_BYTES = 256 * 1024


class SourceTrouble(Refused):
    """The place that pictures come from does not do its part."""

    status = 502
    code = "source_unavailable"


class SourceGone(SourceTrouble):
    """It is not there at all, just now, for none of its pictures."""

    status = 503


@dataclass(frozen=True)
class Found:
    """Something in a source, before anything of it was fetched."""

    # What it is called there, whole: its key, its path below the folder, its address.
    path: str
    # What says that it is the same bytes as last time; empty where only fetching would tell.
    version: str = ""
    # When it was put there, in seconds since 1970; 0 where nobody says.
    seconds: int = 0
    # The name to store it under, where the source says another than its file's.
    name: str = ""
    # What it is known by, wherever it lies: the same picture in a copy of the source is the same.
    identity: str = ""
    # What is wrong with it already, in a sentence: a folder that cannot be read.
    trouble: str = ""

    @property
    def mark(self) -> str:
        """What stands for it in a picture's key: its place, and then its version."""
        place = self.identity or self.path
        return _digest(place) + _digest(f"{place}\0{self.version}")

    @property
    def place_mark(self) -> str:
        """The first half, which all of its versions share."""
        return _digest(self.identity or self.path)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]


class Source(Protocol):
    """One place."""

    def walk(self, prefix: str = "", key: str | None = None) -> Iterator[Found]:
        """What there is whose path begins so, or only the one of that path; in constant memory."""

    def fetch(self, found: Found, into: BinaryIO, max_bytes: int) -> Mapping[str, str]:
        """Copy the bytes into a file; returns what is kept with them. Raises Refused."""


@dataclass(frozen=True)
class BucketSource:
    """A bucket at any provider, read with its own credentials."""

    client: "S3Client"
    bucket: str
    # Which variables hold the credentials, to say so.
    credentials: str

    def walk(self, prefix: str = "", key: str | None = None) -> Iterator[Found]:
        """Its objects, a page at a time; what ends in a slash is a console's idea of a folder."""
        with self._told():
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=key or prefix):
                for item in page.get("Contents", ()):
                    if key in (None, item["Key"]) and not item["Key"].endswith("/"):
                        yield Found(item["Key"], item["ETag"].strip('"'), int(item["LastModified"].timestamp()))

    def fetch(self, found: Found, into: BinaryIO, max_bytes: int) -> Mapping[str, str]:
        """Read an object; its metadata, if we have written them ourselves."""
        with self._told():
            answer = self.client.get_object(Bucket=self.bucket, Key=found.path)
            if answer["ContentLength"] > max_bytes:
                answer["Body"].close()
                raise TooLarge(f"The file is larger than {max_bytes} bytes.")
            for piece in answer["Body"].iter_chunks(_PIECE_BYTES):
                keep(piece, into)
        return answer["Metadata"]

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in ("NoSuchKey", "404"):
                raise NoSuchPicture("It is not in the source any more.") from error
            if code == "NoSuchBucket":
                raise SourceTrouble("The source has no bucket of that name.") from error
            if status in (401, 403):
                raise SourceTrouble(
                    f"The source refuses: look at {self.credentials}_ACCESS_KEY_ID and {self.credentials}_SECRET_KEY,"
                    " and what they may read."
                ) from error
            raise SourceGone(f"The source does not answer as it should: {code or status}.") from error
        # A body that breaks off is urllib3's, wrapped or not.
        except (BotoCoreError, HTTPClientError, OSError) as error:
            raise SourceGone(f"The source cannot be read: {type(error).__name__}.") from error


@dataclass(frozen=True)
class FolderSource:
    """A folder of this machine, with those in it. What begins with a dot is left out; no link leads out of it."""

    root: Path

    def walk(self, prefix: str = "", key: str | None = None) -> Iterator[Found]:
        """Its files, a folder at a time, by name."""
        if key is not None:
            if (self.root / key).is_file():
                yield self._found(Path(key))
            return
        for found in self._below(Path()):
            if found.path.startswith(prefix) or (found.trouble and prefix.startswith(f"{found.path}/")):
                yield found

    def _below(self, folder: Path) -> Iterator[Found]:
        try:
            with os.scandir(self.root / folder) as entries:
                named = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        except OSError as error:
            trouble = f"The folder cannot be read: {error.strerror}."
            if folder == Path():
                raise SourceTrouble(trouble) from error
            yield Found(folder.as_posix(), trouble=trouble)
            return
        for name, is_folder in named:
            if name.startswith("."):
                continue
            if is_folder:
                yield from self._below(folder / name)
            else:
                yield self._found(folder / name)

    def _found(self, path: Path) -> Found:
        try:
            known = (self.root / path).stat()
        except OSError:  # gone, or a link to nowhere: told when it is fetched
            return Found(path.as_posix())
        # To the nanosecond: a file that was written twice in a second is another one.
        return Found(path.as_posix(), f"{known.st_size}-{known.st_mtime_ns}", int(known.st_mtime))

    def fetch(self, found: Found, into: BinaryIO, max_bytes: int) -> Mapping[str, str]:
        """Read a file."""
        path = self.root / found.path
        try:
            # Path.resolve() raises at links that lead in a circle.
            if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.root)):
                raise SourceTrouble("It is a link that leads out of the folder: it is not followed.")
            known = path.stat()
            if S_ISDIR(known.st_mode):
                raise SourceTrouble("It is a link to a folder: it is not followed.")
            if not S_ISREG(known.st_mode):
                raise SourceTrouble("It is no file.")
            if known.st_size > max_bytes:
                raise TooLarge(f"The file is larger than {max_bytes} bytes.")
            with path.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    keep(piece, into)
        except OSError as error:
            raise SourceTrouble(f"It cannot be read: {error.strerror}.") from error
        return {}


def keep(piece: bytes, into: BinaryIO) -> None:
    """Write on; raises NoRoom where it is our own disk that is full, and not the source that fails."""
    try:
        into.write(piece)
    except OSError as error:
        raise NoRoom(f"There is no room to fetch it to: {error.strerror}. Make some, or set TMPDIR.") from error


def shown(text: str) -> str:
    """Text of a stranger, as a terminal may be shown it."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)

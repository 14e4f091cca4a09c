"""The buckets: originals, which are the only truth; results and the website's variants, which can be made again."""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import filterfalse, islice
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from thumbstack.picture_key import PictureKey, incoming_prefix
from thumbstack.picture_type import BY_EXTENSION
from thumbstack.refusal import NoSuchPicture, StorageUnavailable
from thumbstack.resize_url import variant_prefix

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

# S3's own limit for one DeleteObjects call.
_DELETE_BATCH = 1000
_PIECE_BYTES = 256 * 1024
# Letters of keys that XML cannot say, in which S3 is told what to delete.
_NOT_IN_XML = re.compile(r"[\x00-\x1f\ufffe\uffff]")


def s3_client(
    endpoint: str | None,
    region: str,
    *,
    patience_seconds: int = 10,
    attempts: int = 2,
    credentials: tuple[str, str] | None = None,
) -> "S3Client":
    """An S3 client that gives up in seconds: a caller waits for it, and a thread of ours with him.

    `patience_seconds` is the longest silence, not the longest transfer; a second attempt hides one lost connection, or
    one answer of S3's that it is busy. `credentials` are a key's id and its secret, where they are not the room's own.
    """
    key_id, secret = credentials or (None, None)
    client = boto3.client(
        "s3",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        endpoint_url=endpoint or None,
        region_name=region,
        config=Config(
            connect_timeout=2,
            read_timeout=patience_seconds,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=64,
            signature_version="s3v4",
            # The one form that a server on a laptop, AWS and the proxy in front of both understand; and for us-east-1 a
            # name as all other regions have it, because nginx asks there with the address that is signed here.
            s3={"addressing_style": "path", "us_east_1_regional_endpoint": "regional"},
        ),
    )
    client.meta.events.register_first("needs-retry.s3", _do_not_wait_twice)
    return client


def _do_not_wait_twice(caught_exception: Exception | None, **_: object) -> None:
    """Raise what botocore would try again: what was silent for so long would be silent again."""
    if isinstance(caught_exception, ReadTimeoutError):
        raise caught_exception


@contextmanager
def _translated() -> Iterator[None]:
    """What S3 says, in our words; the cause stays attached for the log."""
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey"):
            raise NoSuchPicture("No such picture") from error
        raise StorageUnavailable("The storage does not answer as it should: try again in a few seconds.") from error
    except BotoCoreError as error:
        raise StorageUnavailable("The storage cannot be reached just now: try again in a few seconds.") from error


def _is_there(error: BaseException | None) -> bool:
    """Whether S3 found another object than the condition says; also where that one is just being stored."""
    codes = ("PreconditionFailed", "ConditionalRequestConflict")
    return isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in codes


@dataclass(frozen=True)
class Stored:
    """What S3 knows of a picture."""

    content_type: str
    bytes: int
    modified: datetime
    metadata: Mapping[str, str]
    # Which bytes these are, in S3's words.
    etag: str = ""


@dataclass(frozen=True)
class Listed:
    """What a listing tells of anything in a bucket."""

    key: str
    bytes: int
    modified: datetime


@dataclass(frozen=True)
class Deleted:
    """An original that was deleted, and whose bytes S3 still has as an old version."""

    key: str
    bytes: int
    when: datetime
    version: str


@dataclass(frozen=True)
class Buckets:
    """Every call raises StorageUnavailable when S3 does not do its part."""

    client: "S3Client"
    pictures: str
    results: str
    # What S3 itself, or a CDN straight before it, says of a picture.
    cache_control: str = "public, max-age=31536000, immutable"
    # Variants under readable names, for everybody (resize_url.py); not every installation has one.
    website: str | None = None

    def put(self, key: str, body: BinaryIO, sha256: str, content_type: str, metadata: dict[str, str]) -> None:
        """Store a picture whole or not at all, and never over another; S3 compares the checksum (hex) of the bytes."""
        if not self.put_if(key, body, sha256, content_type, metadata):
            raise StorageUnavailable("The storage has something else under this name: try again.")

    def put_if(
        self,
        key: str,
        body: BinaryIO,
        sha256: str,
        content_type: str,
        metadata: dict[str, str],
        *,
        over: str | None = None,
    ) -> bool:
        """Store a picture where nothing is, or over the bytes of that ETag; False where that is not what is there."""
        only: dict[str, Any] = {"IfNoneMatch": "*"} if over is None else {"IfMatch": over}
        try:
            with _translated():
                self.client.put_object(
                    Bucket=self.pictures,
                    Key=key,
                    Body=body,
                    ContentType=content_type,
                    CacheControl=self.cache_control,
                    Metadata=metadata,
                    ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
                    **only,
                )
        except NoSuchPicture:
            if over is None:
                raise
            return False
        except StorageUnavailable as refusal:
            if not _is_there(refusal.__cause__):
                raise
            return False
        return True

    def fetch(self, key: str, etag: str, into: BinaryIO) -> bool:
        """Copy the bytes of that ETag into a file, from its start; False where they are gone."""
        try:
            with _translated():
                body = self.client.get_object(Bucket=self.pictures, Key=key, IfMatch=etag)["Body"]
                for piece in body.iter_chunks(_PIECE_BYTES):
                    into.write(piece)
        except NoSuchPicture:
            return False
        except StorageUnavailable as refusal:
            if not _is_there(refusal.__cause__):
                raise
            return False
        into.seek(0)
        return True

    def stored(self, key: str) -> Stored:
        """What is known of a stored picture; raises NoSuchPicture."""
        try:
            with _translated():
                head = self.client.head_object(Bucket=self.pictures, Key=key)
        except NoSuchPicture:
            # The answer to a HEAD has no words: a bucket that is gone looks the same.
            self._check(self.pictures)
            raise
        return Stored(head["ContentType"], head["ContentLength"], head["LastModified"], head["Metadata"], head["ETag"])

    def has(self, picture: PictureKey) -> bool:
        """Whether an original is there."""
        try:
            self.stored(str(picture))
        except NoSuchPicture:
            return False
        return True

    def deleted(self, prefix: str) -> Iterator[Deleted]:
        """The deleted originals whose keys begin so, in their order, each as it was last, while S3 keeps that."""
        pages = self.client.get_paginator("list_object_versions")
        newest: dict[str, tuple[str, int]] = {}
        markers: dict[str, datetime] = {}

        def settled(last: str | None) -> Iterator[Deleted]:
            # A page may end within a key, and only the key knows whether it is there, or was.
            for key in [key for key in markers if key != last]:
                when = markers.pop(key)
                if key in newest and PictureKey.parse(key):
                    yield Deleted(key, newest[key][1], when, newest[key][0])
            for key in [key for key in newest if key != last]:
                del newest[key]

        with _translated():
            for page in pages.paginate(Bucket=self.pictures, Prefix=prefix):
                for version in page.get("Versions", ()):
                    newest.setdefault(version["Key"], (version["VersionId"], version["Size"]))
                for marker in page.get("DeleteMarkers", ()):
                    if marker["IsLatest"]:
                        markers[marker["Key"]] = marker["LastModified"]
                yield from settled(max((*newest, *markers), key=str.encode, default=None))
            yield from settled(None)

    def read_version(self, key: str, version: str | None = None) -> tuple[bytes, Stored]:
        """An original as it is, or as it was: its bytes, and what is known of it; raises NoSuchPicture."""
        which: dict[str, Any] = {"VersionId": version} if version else {}
        with _translated():
            found = self.client.get_object(Bucket=self.pictures, Key=key, **which)
            known = Stored(
                found["ContentType"], found["ContentLength"], found["LastModified"], found["Metadata"], found["ETag"]
            )
            return found["Body"].read(), known

    def read(self, key: str) -> bytes:
        """The bytes of a stored picture; raises NoSuchPicture."""
        with _translated():
            return self.client.get_object(Bucket=self.pictures, Key=key)["Body"].read()

    def holds(self, key: str, sha256: str) -> bool:
        """Whether the bytes of a stored picture are those: read again, not believed."""
        return hashlib.sha256(self.read(key)).hexdigest() == sha256

    def copy(self, source: str, target: str, metadata: dict[str, str]) -> None:
        """Copy a picture within its bucket, with other metadata; onto itself it only changes them."""
        with _translated():
            self.client.copy_object(
                Bucket=self.pictures,
                Key=target,
                CopySource={"Bucket": self.pictures, "Key": source},
                ContentType=self.stored(source).content_type,
                CacheControl=self.cache_control,
                Metadata=metadata,
                MetadataDirective="REPLACE",
            )

    def files(self, prefix: str) -> Iterator[Listed]:
        """Everything whose key begins so, whatever it is called; only what waits is elsewhere."""
        for item in self._items(self.pictures, prefix):
            yield Listed(item["Key"], item["Size"], item["LastModified"])

    def originals(self, prefix: str, after: str = "") -> Iterator[PictureKey]:
        """The keys of all originals under a prefix that ends in a slash, in the order of their names."""
        return (picture for key in self._keys(self.pictures, prefix, after) if (picture := PictureKey.parse(key)))

    def incoming(self, prefix: str) -> Iterator[PictureKey]:
        """The pictures that wait under a published prefix."""
        keys = self._keys(self.pictures, incoming_prefix(prefix))
        return (picture for key in keys if (picture := PictureKey.parse_incoming(key)))

    def result_keys(self, prefix: str) -> Iterator[str]:
        """The keys of all results under a prefix that ends in a slash."""
        return self._keys(self.results, prefix)

    def result_files(self, prefix: str) -> Iterator[Listed]:
        """All results under a prefix that ends in a slash."""
        for item in self._items(self.results, prefix):
            yield Listed(item["Key"], item["Size"], item["LastModified"])

    def put_notice(self, name: str, text: str) -> None:
        """Store a notice (notices.py)."""
        with _translated():
            self.client.put_object(Bucket=self.results, Key=name, Body=text.encode(), ContentType="application/json")

    def notice_names(self, after: str) -> Iterator[str]:
        """The names of notices behind a name, in their order."""
        return self._keys(self.results, after.partition("/")[0] + "/", after)

    def notice(self, name: str) -> str:
        """The text of a notice."""
        with _translated():
            return self.client.get_object(Bucket=self.results, Key=name)["Body"].read().decode()

    def has_variant(self, key: str) -> bool:
        """Whether the website bucket holds a variant."""
        try:
            with _translated():
                self.client.head_object(Bucket=self._website, Key=key)
        except NoSuchPicture:
            self._check(self._website)
            return False
        return True

    def put_variant(self, key: str, body: bytes, content_type: str) -> None:
        """Store a variant in the website bucket; one that is there already is the same one."""
        try:
            with _translated():
                self.client.put_object(
                    Bucket=self._website,
                    Key=key,
                    Body=body,
                    ContentType=content_type,
                    CacheControl=self.cache_control,
                    IfNoneMatch="*",
                )
        except StorageUnavailable as unavailable:
            if not _is_there(unavailable.__cause__):
                raise

    def variant_keys(self, prefix: str) -> Iterator[str]:
        """The keys of the variants, in the website bucket, of all pictures under a prefix that ends in a slash."""
        return self._keys(self.website, variant_prefix(prefix)) if self.website else iter(())

    def delete_variants(self, keys: Iterable[str]) -> int:
        """Delete variants from the website bucket; says how many."""
        return self._delete(self.website, keys) if self.website else 0

    @property
    def _website(self) -> str:
        if self.website is None:
            raise NoSuchPicture("No such picture: this installation has no website bucket")
        return self.website

    def delete_pictures(self, keys: Iterable[str]) -> int:
        """Delete originals, or pictures that wait, by their keys; says how many."""
        return self._delete(self.pictures, keys)

    def delete_results(self, keys: Iterable[str]) -> int:
        """Delete results by their keys; says how many."""
        return self._delete(self.results, keys)

    def download_path(self, picture: PictureKey, seconds: int = 60) -> str:
        """Path and query on the S3 endpoint under which an original can be fetched for some seconds."""
        kind = BY_EXTENSION.get(picture.extension)
        url = self.client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self.pictures,
                "Key": str(picture),
                # Direct uploads may have been stored as octet-stream; a browser would save such a picture, not show it.
                "ResponseContentType": kind.content_type if kind else "application/octet-stream",
            },
            ExpiresIn=seconds,
        )
        parts = urlsplit(url)
        return f"{parts.path}?{parts.query}"

    def check(self) -> None:
        """Raise unless all buckets answer."""
        for bucket in filter(None, (self.pictures, self.results, self.website)):
            self._check(bucket)

    def _check(self, bucket: str) -> None:
        try:
            with _translated():
                self.client.head_bucket(Bucket=bucket)
        except NoSuchPicture as error:
            raise StorageUnavailable("The storage does not answer as it should: try again in a few seconds.") from error

    def _keys(self, bucket: str, prefix: str, after: str = "") -> Iterator[str]:
        return (item["Key"] for item in self._items(bucket, prefix, after))

    def _items(self, bucket: str, prefix: str, after: str = "") -> Iterator["ObjectTypeDef"]:
        pages = self.client.get_paginator("list_objects_v2")
        with _translated():
            for page in pages.paginate(Bucket=bucket, Prefix=prefix, StartAfter=after):
                yield from page.get("Contents", ())

    def _delete(self, bucket: str, keys: Iterable[str]) -> int:
        deleted, keys = 0, iter(keys)
        while batch := list(islice(keys, _DELETE_BATCH)):
            with _translated():
                # One of these would have the whole batch refused, and whoever holds a ticket may post one.
                for key in filter(_NOT_IN_XML.search, batch):
                    self.client.delete_object(Bucket=bucket, Key=key)
                if named := list(filterfalse(_NOT_IN_XML.search, batch)):
                    answer = self.client.delete_objects(
                        Bucket=bucket, Delete={"Objects": [{"Key": key} for key in named], "Quiet": True}
                    )
                    if answer.get("Errors"):
                        raise StorageUnavailable("The storage did not delete everything: delete again.")
            deleted += len(batch)
        return deleted

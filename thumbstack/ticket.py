"""Upload tickets: whoever holds one may post one file, or files into one folder, straight to S3 for a while.

A ticket is an S3 POST policy. It is signed here without a word to S3, which lets nothing through that differs from it:
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

import base64
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.auth import S3SigV4PostAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from thumbstack.apps import Rules
from thumbstack.metadata import ascii_text
from thumbstack.picture_key import folder_for, folder_prefix, incoming_prefix, new_file
from thumbstack.picture_type import ALL_TYPES, PictureType, split_name
from thumbstack.refusal import Missing, NotAPicture, TooLarge, TypeNotAllowed

# Metadata of all that was posted with a ticket and not yet inspected. S3 lets no client write it otherwise.
MARK = "ticket"
# What S3 says of a file whose type was not told: nothing that a browser would open.
_UNKNOWN = "application/octet-stream"
_FOLDER_BYTES = 16
_FILE_NAME = "${filename}"


@dataclass(frozen=True)
class Terms:
    """What all tickets of an installation have in common."""

    bucket: str
    region: str
    max_bytes: int
    seconds: int


@dataclass(frozen=True)
class Wish:
    """What a client says of the file that it is going to post; what it says must be so."""

    name: str = ""
    content_type: str = ""
    size: int | None = None
    sha256: bytes | None = None


@dataclass(frozen=True)
class Ticket:
    """The fields of the form, by their names in JSON: in the form each ``_`` is a ``-``."""

    folder: str
    expires: datetime
    data: dict[str, str]


def issue(terms: Terms, credentials: ReadOnlyCredentials, app: str, rules: Rules, wish: Wish, now: datetime) -> Ticket:
    """A ticket for what is wished; refused where such a file would not be taken in.

    Two tickets never let two files meet: the key is a new one, or its folder is, and neither can be guessed.
    """
    kind = _claimed(wish, rules)
    folder, file = _place(wish, kind, now)
    prefix = folder_prefix(app, folder)
    key = (incoming_prefix(prefix) if rules.hold else prefix) + file
    expires = now.replace(microsecond=0) + timedelta(seconds=terms.seconds)
    fields = {
        "content-type": kind.content_type if kind else _UNKNOWN,
        f"x-amz-meta-{MARK}": str(int(expires.timestamp())),
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": _signer(credentials, terms.region).scope(_at(now)),
        "x-amz-date": _timestamp(now),
    }
    if wish.name:
        fields["x-amz-meta-name"] = ascii_text(wish.name)
    if wish.sha256 is not None:
        fields["x-amz-checksum-sha256"] = base64.b64encode(wish.sha256).decode()
    if credentials.token:
        fields["x-amz-security-token"] = credentials.token
    conditions = [
        {"bucket": terms.bucket},
        {"key": key} if wish.name else ["starts-with", "$key", key.removesuffix(_FILE_NAME)],
        ["content-length-range", *_sizes(wish.size, terms.max_bytes)],
        *({name: value} for name, value in fields.items()),
    ]
    policy = encoded(expires, conditions)
    data = {
        "key": key,
        **fields,
        "policy": policy,
        "x-amz-signature": signature(policy, credentials, terms.region, now),
    }
    return Ticket(folder, expires, {name.replace("-", "_"): value for name, value in data.items()})


def encoded(expires: datetime, conditions: list[Any]) -> str:
    """A policy as S3 wants to be given it."""
    policy = {"expiration": f"{expires.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", "conditions": conditions}
    return base64.b64encode(json.dumps(policy, separators=(",", ":"), ensure_ascii=False).encode()).decode()


def signature(policy: str, credentials: ReadOnlyCredentials, region: str, now: datetime) -> str:
    """The SigV4 signature of an encoded policy, in hex."""
    signed: str = _signer(credentials, region).signature(policy, _at(now))
    return signed


def _claimed(wish: Wish, rules: Rules) -> PictureType | None:
    """The type that the file must have, as its Content-Type or else its name says it; None: any."""
    kind = split_name(wish.name)[1]
    if wish.content_type:
        kind = next((known for known in ALL_TYPES if known.content_type == wish.content_type.lower()), None)
        if kind is None:
            raise NotAPicture(f"No picture has this content_type: send one of {_told(ALL_TYPES)}.")
    elif wish.name and kind is None:
        raise Missing("The type is missing: send content_type, or a filename that ends in .jpg, .png, ...")
    allowed = rules.types or ALL_TYPES
    if kind and kind not in allowed:
        raise TypeNotAllowed(f"Pictures of type {kind.content_type} are not taken here: send one of {_told(allowed)}.")
    return kind


def _told(kinds: frozenset[PictureType]) -> str:
    return ", ".join(sorted(kind.content_type for kind in kinds))


def _sizes(size: int | None, max_bytes: int) -> tuple[int, int]:
    """The least and the most bytes that the file may have."""
    if size is not None and size > max_bytes:
        raise TooLarge(f"The file is larger than {max_bytes} bytes: send a smaller one.", max_bytes)
    return (1, max_bytes) if size is None else (size, size)


def _place(wish: Wish, kind: PictureType | None, now: datetime) -> tuple[str, str]:
    """Folder and file: as of an upload of that name, or a new folder for files that name themselves."""
    if not wish.name:
        return secrets.token_hex(_FOLDER_BYTES), _FILE_NAME
    stem, _ = split_name(wish.name)
    if not stem or kind is None:
        raise Missing("The filename has no name in it: it is how you ask for the picture later.")
    return folder_for(stem), new_file(kind.extension, now.timestamp())


def _signer(credentials: ReadOnlyCredentials, region: str) -> S3SigV4PostAuth:
    return S3SigV4PostAuth(credentials, "s3", region)


def _at(now: datetime) -> AWSRequest:
    request = AWSRequest()
    request.context["timestamp"] = _timestamp(now)
    return request


def _timestamp(now: datetime) -> str:
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"

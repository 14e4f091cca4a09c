"""An S3 bucket that answers in seconds or says plainly that it does not.

Four calls of fixed shape, signed by botocore and sent by aiohttp, without botocore's serializers, parsers and hooks:
those took half of a call, and a render makes four (docs/decisions/0020-four-calls-of-s3.md).
"""

import asyncio
import atexit
import os
import random
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
from aiobotocore.session import get_session
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, NoCredentialsError
from botocore.httpsession import get_cert_path
from botocore.loaders import create_loader
from botocore.regions import EndpointResolver
from thumbor.config import Config
from thumbor.engines import BaseEngine
from yarl import URL

from thumbstack.json_log import request_id
from thumbstack.metrics import s3_call

_CONNECT_SECONDS = 2
# The longest silence within an answer; how long a whole call may take, its caller says.
_READ_SECONDS = 5
_CONNECTIONS = 64
# Shorter than S3 keeps an idle one.
_KEPT_SECONDS = 12
# Before the second try: for a hiccup of S3's, and for the connection that it closed just when we used it again.
_PAUSE_SECONDS = 0.2
_HICCUPS = frozenset((429, 500, 502, 503, 504))
_CODE = re.compile(rb"<Code>([A-Za-z]{1,64})</Code>")
# No more of an answer that is no picture.
_ERROR_BYTES = 8192
# As S3 calls them, and as they are counted.
_OPERATIONS = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}


class Trouble(Exception):  # noqa: N818 (reads as what it is)
    """S3 did not do its part."""

    # What it is counted as; None: an answer like any other.
    error: str | None = "connection"


class NotThere(Trouble):
    """There is no such object: S3 said 404."""

    error = None


class TooSlow(Trouble):
    """S3 did not answer in time."""

    error = "timeout"


class TooLarge(Trouble):
    """The object has more bytes than its reader takes."""

    error = None


class Unchanged(Trouble):
    """The object is still the one that its reader knows."""

    error = None


class _Hiccup(Trouble):
    """S3 says of itself that it may do better next time."""


class Found(NamedTuple):
    """An object, whole; and what changes when it does."""

    body: bytes
    etag: str


class Bucket:
    """One of the two buckets."""

    def __init__(self, name: str, region: str, endpoint: str | None) -> None:
        self._s3 = _s3(region)
        self.address = f"{endpoint.rstrip('/')}/{name}" if endpoint else _aws(name, region)

    @classmethod
    def of_pictures(cls, config: Config) -> "Bucket":
        """The originals."""
        return _bucket(config.TC_AWS_LOADER_BUCKET, config.TC_AWS_REGION, config.TC_AWS_ENDPOINT)

    @classmethod
    def of_results(cls, config: Config) -> "Bucket":
        """What was rendered from them."""
        return _bucket(config.TC_AWS_RESULT_STORAGE_BUCKET, config.TC_AWS_REGION, config.TC_AWS_ENDPOINT)

    async def read(self, key: str, seconds: float, max_bytes: int | None = None, known: str | None = None) -> Found:
        """Read an object whole, in so many seconds; TooLarge where it is more, Unchanged where its ETag is known."""
        return await self._call("GET", key, seconds, headers={"If-None-Match": known} if known else {}, most=max_bytes)

    async def lacks(self, key: str, seconds: float) -> bool:
        """Say whether S3 answers 404 for the key; anything else that is not a yes is Trouble."""
        try:
            await self._call("HEAD", key, seconds)
        except NotThere:
            return True
        return False

    async def store(self, key: str, body: bytes, seconds: float) -> None:
        """Store an object with the content type of its bytes."""
        kind = BaseEngine.get_mimetype(body) or "application/octet-stream"
        await self._call("PUT", key, seconds, body, {"Content-Type": kind})

    async def remove(self, key: str, seconds: float) -> None:
        """Delete an object, whether it is there or not."""
        await self._call("DELETE", key, seconds)

    async def _call(
        self,
        method: str,
        key: str,
        seconds: float,
        body: bytes = b"",
        headers: Mapping[str, str] = MappingProxyType({}),
        most: int | None = None,
    ) -> Found:
        address = f"{self.address}/{quote(key, safe='/-_.~')}"
        async with _plainly(_OPERATIONS[method], seconds):
            try:
                return await self._s3.call(method, address, body, headers, most)
            except (_Hiccup, aiohttp.ClientConnectionError) as error:
                # What was silent once would be silent again.
                if isinstance(error, TimeoutError):
                    raise
            await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS))  # noqa: S311 (it parts those that failed together)
            return await self._s3.call(method, address, body, headers, most)


class _S3:
    """Connections and credentials, for all requests of the process."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._session = get_session()
        self._asking = asyncio.Lock()
        self._connections: aiohttp.ClientSession | None = None

    async def call(self, method: str, address: str, body: bytes, headers: Mapping[str, str], most: int | None) -> Found:
        # S3's own log names the request by it; it is not signed.
        headers = {"User-Agent": f"thumbstack request/{request_id.get()}", **headers}
        request = AWSRequest(method, address, headers, body)
        S3SigV4Auth(await self._credentials(), "s3", self._region).add_auth(request)
        connections = self._connections or self._open()
        # Signed as it is written, so it must be sent as it is written.
        url = URL(address, encoded=True)
        sent = dict(request.headers.items())
        async with connections.request(method, url, data=body or None, headers=sent, allow_redirects=False) as answer:
            if answer.status >= 300:
                raise _refusal(answer.status, await answer.content.read(_ERROR_BYTES))
            if most is not None and (answer.content_length or 0) > most:
                raise TooLarge(f"{answer.content_length} bytes are more than are taken")
            return Found(await answer.read(), answer.headers.get("ETag", ""))

    async def _credentials(self) -> Any:
        # The first requests ask together, and an instance's role answers slowly: one question is enough.
        async with self._asking:
            found = await self._session.get_credentials()
        if found is None:
            raise NoCredentialsError
        # Those of a role change every few hours; this renews them.
        return await found.get_frozen_credentials()

    def _open(self) -> aiohttp.ClientSession:
        tls = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or get_cert_path(True))
        self._connections = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEPT_SECONDS, ssl=tls),
            timeout=aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=_READ_SECONDS),
            # Bytes are stored and read as they are; there are no cookies.
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        atexit.register(self._close, asyncio.get_running_loop(), self._connections)
        return self._connections

    @staticmethod
    def _close(loop: asyncio.AbstractEventLoop, connections: aiohttp.ClientSession) -> None:
        """Close the connections when the process ends: Thumbor has no hook for that, and aiohttp complains."""
        if not loop.is_closed():
            loop.run_until_complete(connections.close())


_bucket = cache(Bucket)
_s3 = cache(_S3)


def _aws(bucket: str, region: str) -> str:
    """Where AWS keeps a bucket: under a host name of its own where it may have one, else in the path."""
    known = EndpointResolver(create_loader().load_data("endpoints")).construct_endpoint("s3", region) or {}
    host = known.get("hostname", f"s3.{region}.amazonaws.com")
    # A dot in it, and it does not match the certificate.
    return f"https://{bucket}.{host}" if re.fullmatch(r"[a-z0-9-]+", bucket) else f"https://{host}/{bucket}"


def _refusal(status: int, body: bytes) -> Trouble:
    if status == 304:
        return Unchanged("S3 answered 304")
    code = found[1].decode() if (found := _CODE.search(body)) else ""
    # A bucket that is gone is no picture that is gone: that 404 must not be believed, nor cached.
    if status == 404 and code != "NoSuchBucket":
        return NotThere("S3 answered 404")
    trouble = (_Hiccup if status in _HICCUPS else Trouble)(f"S3 answered {status} {code}")
    trouble.error = str(status)
    return trouble


@asynccontextmanager
async def _plainly(operation: str, seconds: float) -> AsyncIterator[None]:
    """Whatever goes wrong within is Trouble; the cause stays attached."""
    with s3_call(operation):
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise TooSlow("S3 did not answer in time") from error
        except (BotoCoreError, aiohttp.ClientError, OSError) as error:
            raise Trouble(f"S3 cannot be reached, or broke off: {type(error).__name__}") from error

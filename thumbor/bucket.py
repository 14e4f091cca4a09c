"""An S3 bucket that answers in seconds or says plainly that it does not: tc_aws's, with time-outs.

Stock, it waits 60 s for a hung S3, and lets a dozen kinds of exception through, most of which Thumbor answers with 500.
"""

import asyncio
import atexit
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

import aiohttp
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError
from tc_aws.aws.bucket import Bucket as TcBucket
from thumbor.config import Config

_CONNECT_SECONDS = 2
# The longest silence within an answer; how long a whole call may take, its caller says.
_READ_SECONDS = 5
_CONNECTIONS = 64


class Trouble(Exception):  # noqa: N818 (reads as what it is)
    """S3 did not do its part."""


class NotThere(Trouble):
    """There is no such object: S3 said 404."""


class TooSlow(Trouble):
    """S3 did not answer in time."""


class Found(NamedTuple):
    """An object, whole."""

    body: bytes
    last_modified: datetime


class Bucket(TcBucket):  # type: ignore[misc]
    """One of the two buckets; one client, with its connections, for all requests of the process."""

    # tc_aws hands out one instance a bucket, region and endpoint, and keeps them here.
    _instances: ClassVar[dict[Any, Any]] = {}

    def __init__(self, bucket: str, region: str, endpoint: str | None) -> None:
        if hasattr(self, "_initialized"):
            return
        super().__init__(bucket, region, endpoint)
        self._config = AioConfig(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            max_pool_connections=_CONNECTIONS,
            # One more try, for the connection that S3 closed just when we used it again.
            retries={"mode": "standard", "total_max_attempts": 2},
            # A server under one name or address has no host name for each bucket; AWS does.
            s3={"addressing_style": "path" if endpoint else "auto"},
        )
        self._opening = asyncio.Lock()

    @classmethod
    def of_pictures(cls, config: Config) -> "Bucket":
        """The originals."""
        return cls(config.TC_AWS_LOADER_BUCKET, config.TC_AWS_REGION, config.TC_AWS_ENDPOINT)

    @classmethod
    def of_results(cls, config: Config) -> "Bucket":
        """What was rendered from them."""
        return cls(config.TC_AWS_RESULT_STORAGE_BUCKET, config.TC_AWS_REGION, config.TC_AWS_ENDPOINT)

    async def read(self, key: str, seconds: float) -> Found:
        """Read an object whole, within so many seconds."""
        async with _plainly(seconds):
            answer = await self.get(key)
            async with answer["Body"] as stream:
                return Found(await stream.read(), answer["LastModified"])

    async def lacks(self, key: str, seconds: float) -> bool:
        """Say whether S3 answers 404 for the key; anything else that is not a yes is Trouble."""
        try:
            async with _plainly(seconds):
                client = await self._get_client()
                await client.head_object(Bucket=self._bucket, Key=key)
        except NotThere:
            return True
        return False

    async def store(self, key: str, body: bytes, seconds: float) -> None:
        """Store an object with the content type of its bytes."""
        async with _plainly(seconds):
            await self.put(key, body)

    async def remove(self, key: str, seconds: float) -> None:
        """Delete an object, whether it is there or not."""
        async with _plainly(seconds):
            await self.delete(key)

    async def _get_client(self) -> Any:
        if self._client is None:
            # One client, not one for each of the first requests.
            async with self._opening:
                if self._client is None:
                    await super()._get_client()
                    atexit.register(self._close, asyncio.get_running_loop())
        return self._client

    def _close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the connections when the process ends: Thumbor has no hook for that, and aiohttp complains."""
        if not loop.is_closed():
            loop.run_until_complete(self._close_client())


@asynccontextmanager
async def _plainly(seconds: float) -> AsyncIterator[None]:
    """Whatever goes wrong within is Trouble; the cause stays attached."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        code = error.response.get("Error", {}).get("Code")
        # A bucket that is gone is no picture that is gone: that 404 must not be believed, nor cached.
        if status == 404 and code != "NoSuchBucket":
            raise NotThere("S3 answered 404") from error
        raise Trouble(f"S3 answered {status} {code}") from error
    except (TimeoutError, ConnectTimeoutError, ReadTimeoutError) as error:
        raise TooSlow("S3 did not answer in time") from error
    except (BotoCoreError, aiohttp.ClientError, OSError) as error:
        raise Trouble(f"S3 cannot be reached, or broke off: {type(error).__name__}") from error

"""A proxy in front of an S3 that can be told to go wrong."""

import asyncio
import itertools
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Literal

import aiohttp
from aiohttp import web
from yarl import URL

from s3.serve import LOOPBACK, ROOM_PORTS, free_ports

Fault = Literal["", "stopped", "slow", "every third 503"]
_SLOW_SECONDS = 5
# Hop by hop: of this connection, not of the next one.
_OWN = {"connection", "keep-alive", "transfer-encoding", "expect"}


class FaultProxy:
    """Passes on what is asked of it, unchanged, so that signatures hold; and goes wrong as it is told."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._port = free_ports(1, ROOM_PORTS)[0]
        self._numbers = itertools.count()
        self._fault: Fault = ""
        self._loop = asyncio.new_event_loop()
        self._session: aiohttp.ClientSession
        self._runner: web.AppRunner

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://{LOOPBACK}:{self._port}"

    def fail(self, fault: Fault) -> None:
        """From now on go wrong like this; empty: no more."""
        was, self._fault = self._fault, fault
        if was == "stopped":
            self._call(self._listen())
        elif fault == "stopped":
            self._call(self._close())

    @contextmanager
    def running(self) -> Iterator["FaultProxy"]:
        """Serve in a thread of its own."""
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        self._call(self._open())
        try:
            yield self
        finally:
            self._call(self._close())
            self._call(self._session.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    def _call(self, what: Coroutine[object, object, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession(
            auto_decompress=False, connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(60)
        )
        await self._listen()

    async def _listen(self) -> None:
        application = web.Application(client_max_size=0)
        application.router.add_route("*", "/{rest:.*}", self._answer)
        # Whoever is in the middle of something is cut off.
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self._port, reuse_address=True).start()

    async def _close(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self._fault == "slow":
            await asyncio.sleep(_SLOW_SECONDS)
        elif self._fault == "every third 503" and next(self._numbers) % 3 == 0:
            await request.read()
            body = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
            return web.Response(status=503, text=body, content_type="application/xml")
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _OWN]
        try:
            async with self._session.request(
                request.method,
                URL(f"{self._endpoint}{request.raw_path}", encoded=True),
                headers=headers,
                data=request.content if request.can_read_body else None,
                allow_redirects=False,
                skip_auto_headers=["Accept", "Accept-Encoding", "Content-Type", "User-Agent"],
            ) as answer:
                passed = web.StreamResponse(status=answer.status, reason=answer.reason)
                for name, value in answer.headers.items():
                    if name.lower() not in _OWN:
                        passed.headers.add(name, value)
                await passed.prepare(request)
                async for part in answer.content.iter_any():
                    await passed.write(part)
                await passed.write_eof()
                return passed
        except aiohttp.ClientConnectionError:
            return web.Response(status=502)

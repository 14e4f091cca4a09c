"""The rooms behind nginx as stubs that say their name and what they saw, and the house that they stand in."""

import http.client
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MAX_REQUEST_BYTES = 100_000
MAX_DIRECT_BYTES = 90_000


@dataclass(frozen=True)
class Seen:
    """A request as a room saw it."""

    room: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What a room answers, or what the client got."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Room:
    """A stub: answers what the test wants, by default its name, and remembers what it was asked."""

    def __init__(self, name: str, tls: ssl.SSLContext | None = None) -> None:
        self.name = name
        self._tls = tls
        self.seen: list[Seen] = []
        self.answer: Callable[[Seen], Answer | None] = self.own_name
        self.address = "127.0.0.1:0"
        self.accepted = 0
        # Released when a request's headers are here and its body is not yet read.
        self.beginning = threading.Semaphore(0)
        self._sockets: set[socket.socket] = set()
        self._server: ThreadingHTTPServer | None = None
        self.start()

    def own_name(self, seen: Seen) -> Answer:
        return Answer(200, {"Content-Type": "image/jpeg", "ETag": '"etag-of-room"'}, self.name.encode())

    def reset(self) -> None:
        self.seen, self.answer = [], self.own_name
        self.beginning = threading.Semaphore(0)
        self.start()

    def start(self) -> None:
        """Listen, on the same port as before."""
        if self._server:
            return
        host, port = self.address.split(":")
        self._server = _Server((host, int(port)), self)
        if self._tls:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self.address = f"{host}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def die(self) -> None:
        """As kill -9 does: nobody listens any more, open connections end in the middle."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in list(self._sockets):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], room: Room) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version = "SecretBanner/1.0"

            def handle_any(self) -> None:
                room.beginning.release()
                seen = Seen(room.name, self.command, self.path, dict(self.headers), self._body())
                room.seen.append(seen)
                answer = room.answer(seen)
                if answer is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.status != 304:
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD" and answer.status != 304:
                    self.wfile.write(answer.body)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0))) + self._unannounced()
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def _unannounced(self) -> bytes:
                """Bytes behind the request that its headers do not speak of: the next request would begin with them."""
                self.connection.setblocking(False)
                try:
                    return bytes(self.rfile.peek())  # type: ignore[attr-defined]
                except ssl.SSLWantReadError:
                    return b""
                finally:
                    self.connection.setblocking(True)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.room = room
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.room.accepted += 1
        self.room._sockets.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news here."""


@dataclass
class House:
    """nginx, the rooms behind it, and the directories that it shares."""

    port: int
    directory: Path
    uploader: Room
    signer: Room
    thumbors: list[Room]
    s3: Room
    nginx: subprocess.Popen[bytes]
    metrics: str

    @property
    def rooms(self) -> list[Room]:
        return [self.uploader, self.signer, *self.thumbors, self.s3]

    @property
    def seen(self) -> list[Seen]:
        """What all the rooms saw."""
        return [seen for room in self.rooms for seen in room.seen]

    @property
    def rendered(self) -> list[Seen]:
        """What the Thumbor processes saw, whichever it was."""
        return [seen for thumbor in self.thumbors for seen in thumbor.seen]

    def reset(self) -> None:
        """All rooms up, with nothing in their memory, and answering with their names."""
        for room in self.rooms:
            room.reset()

    def render_with(self, answer: Callable[[Seen], Answer | None]) -> None:
        for thumbor in self.thumbors:
            thumbor.answer = answer

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterator[bytes] | None = None,
    ) -> Answer:
        """One request, its path as written."""
        connection = self.connect()
        try:
            connection.request(method, path, body=body, headers=headers or {}, encode_chunked=body is not None)
            response = connection.getresponse()
            # Read before the headers are looked at: HTTPMessage stays, the body does not.
            content = response.read()
            assert len(response.headers) == len({name.lower() for name in response.headers}), "a header came twice"
            return Answer(response.status, response.headers, content)  # type: ignore[arg-type]
        finally:
            connection.close()

    def entry(self, key: str) -> Path:
        """The cache file of a cache key, found as the uploader finds it."""
        name = md5(key.encode(), usedforsecurity=False).hexdigest()
        return self.directory / "cache" / name[-1] / name[-3:-1] / name

    def bury(self, picture: str) -> None:
        """Leave a tombstone as the uploader does."""
        stone = self.directory / "tombstones" / picture
        stone.parent.mkdir(parents=True, exist_ok=True)
        stone.touch()

    def log(self, request_id: str, count: int = 1) -> list[dict[str, Any]]:
        """The access log's lines of one request, the edge's last; each worker keeps them back for up to a second."""
        for _ in range(1000):
            lines = [json.loads(line) for line in (self.directory / "stdout").read_text().splitlines()]
            mine = [line for line in lines if line["request_id"] == request_id]
            if len(mine) >= count:
                return sorted(mine, key=lambda line: str(line["server"]), reverse=True)
            time.sleep(0.01)
        raise AssertionError(f"fewer than {count} lines in the log about {request_id}")

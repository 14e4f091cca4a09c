"""Requests as an attacker writes them: byte by byte, since every client library puts something right."""

import http.client
import io
import itertools
import json
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.stack.stacks import PATIENCE_SECONDS, Stack


@dataclass(frozen=True)
class Answer:
    """One answer; the names of its headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _Received(io.BytesIO):
    """What came, where http.client expects a socket; it stays open, since another answer may stand behind the first."""

    def makefile(self, *_: object) -> "_Received":
        return self

    def close(self) -> None:
        pass


# A client may miss so many pictures and no more; an attacker has many addresses.
_addresses = itertools.cycle(f"127.0.1.{number}" for number in range(1, 255))


def talk(stack: Stack, sent: bytes, method: str = "GET", patience: float = PATIENCE_SECONDS) -> list[Answer]:
    """Send these bytes and read until the service closes, or waits for more: all its answers, however many."""
    parts = urlsplit(stack.url)
    received = b""
    with socket.create_connection((parts.hostname, parts.port), patience, (next(_addresses), 0)) as connection:
        # It may refuse before it has read everything, and what it said until then counts.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        with suppress(ConnectionResetError, TimeoutError):
            while piece := connection.recv(65536):
                received += piece
    stream, answers = _Received(received), list[Answer]()
    while stream.tell() < len(received):
        response = http.client.HTTPResponse(stream, method=method)  # type: ignore[arg-type]
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        answers.append(Answer(response.status, headers, response.read()))
    return answers


def ask(
    stack: Stack, target: str | bytes, method: str = "GET", headers: Iterable[str | bytes] = (), body: bytes = b""
) -> Answer:
    """Ask for a target as it stands; whatever was sent must be answered exactly once."""
    target = target.encode() if isinstance(target, str) else target
    lines = [
        b"%s %s HTTP/1.1" % (method.encode(), target),
        b"Host: " + urlsplit(stack.url).netloc.encode(),
        b"Connection: close",
        *(header.encode() if isinstance(header, str) else header for header in headers),
    ]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    (answer,) = talk(stack, b"\r\n".join(lines) + b"\r\n\r\n" + body, method)
    return answer

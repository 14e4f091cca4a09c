"""The virus scan between inspection and storing: clamd, an HTTP service, or a command. One that is down stops all."""

import subprocess
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

import requests
from clamav_client.clamd import ClamdNetworkSocket, ClamdUnixSocket, CommunicationError

from thumbstack.refusal import Infected, ScannerUnavailable

# clamd takes about a second for 30 MB; who takes longer is not well.
_PATIENCE_SECONDS = 15
_INFECTED = "The scanner refused this file: it is not stored."
_DOWN = "Uploads cannot be scanned just now: try again in half a minute."


class Scanner(Protocol):
    """Looks at a whole file; raises Infected, or ScannerUnavailable when it cannot say."""

    def check(self, body: BinaryIO) -> None:
        """Look at an open file from its start; wherever it is left, the caller goes back to the start."""


class NoScanner:
    """Where none is configured."""

    def check(self, body: BinaryIO) -> None:
        """Let everything through."""


class Clamd:
    """ClamAV's daemon, over TCP or a local socket."""

    def __init__(self, client: ClamdNetworkSocket | ClamdUnixSocket) -> None:
        self._client = client

    def check(self, body: BinaryIO) -> None:
        """Send the file through clamd's INSTREAM."""
        body.seek(0)
        try:
            verdict, _ = self._client.instream(body)["stream"]
        except (CommunicationError, OSError, ValueError, KeyError, TypeError) as error:
            raise ScannerUnavailable(_DOWN) from error
        if verdict == "FOUND":
            raise Infected(_INFECTED)
        if verdict != "OK":
            raise ScannerUnavailable(_DOWN)


class HttpHook:
    """A service that is sent the file as the body of a POST: 2xx lets it through, 4xx refuses it."""

    def __init__(self, url: str) -> None:
        self._url = url

    def check(self, body: BinaryIO) -> None:
        """Ask the service; anything but a clear answer is none."""
        body.seek(0)
        try:
            status = requests.post(self._url, data=body, timeout=_PATIENCE_SECONDS, allow_redirects=False).status_code
        except requests.RequestException as error:
            raise ScannerUnavailable(_DOWN) from error
        if 400 <= status < 500:
            raise Infected(_INFECTED)
        if not 200 <= status < 300:
            raise ScannerUnavailable(_DOWN)


class Command:
    """A program that reads the file from its standard input and ends with 0 to let it through, with 1 to refuse it."""

    def __init__(self, program: str) -> None:
        self._program = program

    def check(self, body: BinaryIO) -> None:
        """Run the program; any other exit code, and silence, is no answer."""
        body.seek(0)
        try:
            done = subprocess.run(
                [self._program], input=body.read(), capture_output=True, timeout=_PATIENCE_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ScannerUnavailable(_DOWN) from error
        if done.returncode == 1:
            raise Infected(_INFECTED)
        if done.returncode != 0:
            raise ScannerUnavailable(_DOWN)


def read_scanner(address: str | None) -> Scanner:
    """A scanner by its address: ``clamd://host:3310``, ``clamd:///socket``, ``http(s)://...``, ``/path/to/program``."""
    if not address:
        return NoScanner()
    parts = urlsplit(address)
    if parts.scheme == "clamd":
        if parts.hostname:
            return Clamd(ClamdNetworkSocket(parts.hostname, parts.port or 3310, _PATIENCE_SECONDS))
        if parts.path:
            return Clamd(ClamdUnixSocket(parts.path, _PATIENCE_SECONDS))
    elif parts.scheme in ("http", "https") and parts.hostname:
        return HttpHook(address)
    elif not parts.scheme and address.startswith("/"):
        return Command(address)
    raise ValueError("must be clamd://host:port, clamd:///socket, an http(s) address, or the path of a program")

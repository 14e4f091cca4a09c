"""The virus scan between inspection and storing: clamd, an HTTP service, or a command. One that is down stops all."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

import requests
from clamav_client.clamd import BufferTooLongError, ClamdNetworkSocket, ClamdUnixSocket

from thumbstack.refusal import Infected, ScannerUnavailable, TooLarge

# clamd takes about a second for 30 MB; who takes longer is not well.
_PATIENCE_SECONDS = 15
_INFECTED = "The scanner refused this file: it is not stored."
_DOWN = "Uploads cannot be scanned just now: try again in half a minute."
_TOO_LARGE = "The file is larger than the scanner takes: send a smaller one."
_CONTENT_TOO_LARGE = 413
# A hook that says one of these speaks of how it was asked, or of itself, and not of the file.
_NOT_ABOUT_THE_FILE = frozenset((401, 404, 405, 407, 408, 411, 429))


class Scanner(Protocol):
    """Looks at a whole file; raises Infected, TooLarge, or ScannerUnavailable when it cannot say."""

    def check(self, body: BinaryIO) -> None:
        """Look at an open file from its start; wherever it is left, the caller goes back to the start."""


class NoScanner:
    """Where none is configured."""

    def check(self, body: BinaryIO) -> None:
        """Let everything through."""


class Clamd:
    """ClamAV's daemon, over TCP or a local socket."""

    def __init__(self, client: Callable[[], ClamdNetworkSocket]) -> None:
        self._client = client

    def check(self, body: BinaryIO) -> None:
        """Send the file through clamd's INSTREAM."""
        body.seek(0)
        # One for each file: a client keeps its socket in itself, and two threads would read each other's verdicts.
        client = self._client()
        try:
            verdict, _ = client.instream(body)["stream"]
        except (
            Exception
        ) as error:  # no verdict, whatever the reason: the client raises many things, also AttributeError
            if _hung_up(error) and self._is_there():
                raise TooLarge(_TOO_LARGE) from error
            raise ScannerUnavailable(_DOWN) from error
        if verdict == "FOUND":
            raise Infected(_INFECTED)
        if verdict != "OK":
            raise ScannerUnavailable(_DOWN)

    def _is_there(self) -> bool:
        try:
            return self._client().ping() == "PONG"
        except Exception:  # likewise
            return False


def _hung_up(error: Exception) -> bool:
    """clamd hangs up where a file passes its StreamMaxLength; whether its last word is still read is a race."""
    lost = (BrokenPipeError, ConnectionResetError)
    return isinstance(error, (BufferTooLongError, *lost)) or isinstance(error.__cause__, lost)


class HttpHook:
    """A service that is sent the file as the body of a POST: 2xx lets it through, 4xx refuses it."""

    def __init__(self, url: str, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._url = url
        self._patience_seconds = patience_seconds

    def check(self, body: BinaryIO) -> None:
        """Ask the service; anything but a clear answer is none."""
        body.seek(0)
        try:
            # Streamed, so that its body is left where it is: the status says all.
            with requests.post(
                self._url, data=body, timeout=self._patience_seconds, allow_redirects=False, stream=True
            ) as answer:
                status = answer.status_code
        except requests.RequestException as error:
            raise ScannerUnavailable(_DOWN) from error
        if status == _CONTENT_TOO_LARGE:
            raise TooLarge(_TOO_LARGE)
        if 400 <= status < 500 and status not in _NOT_ABOUT_THE_FILE:
            raise Infected(_INFECTED)
        if not 200 <= status < 300:
            raise ScannerUnavailable(_DOWN) from ValueError(f"the hook answers {status}")


class Command:
    """A program that reads the file from its standard input and ends with 0 to let it through, with 1 to refuse it."""

    def __init__(self, program: str, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._program = program
        self._patience_seconds = patience_seconds

    def check(self, body: BinaryIO) -> None:
        """Run the program; any other exit code, and silence, is no answer."""
        body.seek(0)
        try:
            with tempfile.TemporaryFile() as file:
                shutil.copyfileobj(body, file)
                file.seek(0)
                code = self._run(file)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ScannerUnavailable(_DOWN) from error
        if code == 1:
            raise Infected(_INFECTED)
        if code != 0:
            raise ScannerUnavailable(_DOWN) from ValueError(f"the program ends with {code}")

    def _run(self, file: BinaryIO) -> int:
        # Our environment holds our keys.
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        with subprocess.Popen(
            [self._program],
            stdin=file,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        ) as process:
            try:
                return process.wait(self._patience_seconds)
            except subprocess.TimeoutExpired:
                # With all that it started: a shell that is killed alone leaves what it waits for.
                os.killpg(process.pid, signal.SIGKILL)
                raise


def read_scanner(address: str | None, patience_seconds: int = _PATIENCE_SECONDS) -> Scanner:
    """A scanner by its address: ``clamd://host:3310``, ``clamd:///socket``, ``http(s)://...``, ``/path/to/program``."""
    if not address:
        return NoScanner()
    parts = urlsplit(address)
    if parts.scheme == "clamd":
        host, port, path = parts.hostname, parts.port or 3310, parts.path
        if host:
            return Clamd(lambda: ClamdNetworkSocket(host, port, patience_seconds))
        if path:
            return Clamd(lambda: ClamdUnixSocket(path, patience_seconds))
    elif parts.scheme in ("http", "https") and parts.hostname:
        return HttpHook(address, patience_seconds)
    elif not parts.scheme and address.startswith("/"):
        return Command(address, patience_seconds)
    raise ValueError("must be clamd://host:port, clamd:///socket, an http(s) address, or the path of a program")

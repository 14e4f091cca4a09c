"""A list of addresses to migrate from: asked with time-outs and limits, and none leads into this network."""

import ipaddress
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import urllib3

from curator.sources import Found, SourceTrouble, keep
from thumbstack.refusal import NoSuchPicture, TooLarge

_PIECE_BYTES = 256 * 1024
_CONNECT_SECONDS, _SILENCE_SECONDS, _WHOLE_SECONDS = 5, 30, 300
_REDIRECTS = 5


class _Private(urllib3.exceptions.HTTPError):
    """An address led to a machine of no public network."""


def _check(connected: socket) -> socket:
    """Look whom the name led to, before anything is sent: so no second answer of the name's server counts."""
    peer = ipaddress.ip_address(connected.getpeername()[0].partition("%")[0])
    if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped:
        peer = peer.ipv4_mapped
    if not peer.is_global:
        connected.close()
        raise _Private
    return connected


class _GuardedHttp(urllib3.connection.HTTPConnection):
    def _new_conn(self) -> socket:
        return _check(super()._new_conn())


class _GuardedHttps(urllib3.connection.HTTPSConnection):
    def _new_conn(self) -> socket:
        return _check(super()._new_conn())


class _GuardedHttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _GuardedHttp


class _GuardedHttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _GuardedHttps


def _asking(*, private: bool) -> urllib3.PoolManager:
    again = urllib3.Retry(
        total=2 + _REDIRECTS,
        redirect=_REDIRECTS,
        connect=2,
        read=2,
        status=2,
        status_forcelist=(429, 500, 502, 503, 504),
        backoff_factor=0.5,
        raise_on_status=False,
    )
    pools = urllib3.PoolManager(
        maxsize=64, timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_SILENCE_SECONDS), retries=again
    )
    if not private:
        pools.pool_classes_by_scheme = {"http": _GuardedHttpPool, "https": _GuardedHttpsPool}
    return pools


@dataclass(frozen=True)
class AddressSource:
    """A text file: an address a line, and after a tab the name to store it under, if that is another."""

    file: Path
    # Also machines of this network; whoever runs it decides.
    private: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pools", _asking(private=self.private))

    def walk(self, prefix: str = "", key: str | None = None) -> Iterator[Found]:
        """The addresses, line by line; empty lines and comments (#) are passed over."""
        try:
            with self.file.open(encoding="utf-8") as lines:
                for line in lines:
                    address, _, name = line.strip().partition("\t")
                    if not address or address.startswith("#"):
                        continue
                    if (key is None and address.startswith(prefix)) or key in (address, name or None):
                        yield _found(address.strip(), name.strip())
        except (OSError, UnicodeDecodeError) as error:
            raise SourceTrouble(f"The list of addresses cannot be read: {type(error).__name__}.") from error

    def fetch(self, found: Found, into: BinaryIO, max_bytes: int) -> Mapping[str, str]:
        """Ask for an address, and follow where it leads, a few times."""
        pools: urllib3.PoolManager = self._pools  # type: ignore[attr-defined]
        too_large = TooLarge(f"The file is larger than {max_bytes} bytes.")
        deadline = time.monotonic() + _WHOLE_SECONDS
        if urlsplit(found.path).scheme not in ("http", "https"):
            raise SourceTrouble("It is no http or https address.")
        try:
            answer = pools.request(
                "GET",
                found.path,
                preload_content=False,
                headers={"Accept-Encoding": "identity", "Accept": "image/*,*/*"},
            )
            try:
                if answer.status in (404, 410):
                    raise NoSuchPicture(f"The source answers {answer.status}.")
                if answer.status != 200:
                    raise SourceTrouble(f"The source answers {answer.status}.")
                if int(answer.headers.get("Content-Length", 0)) > max_bytes:
                    raise too_large
                size = 0
                for piece in answer.stream(_PIECE_BYTES):
                    size += len(piece)
                    if size > max_bytes:
                        raise too_large
                    if time.monotonic() > deadline:
                        raise SourceTrouble(f"The source takes longer than {_WHOLE_SECONDS} seconds.")
                    keep(piece, into)
            finally:
                # Not back into the pool: its rest may be any length.
                answer.close()
        except _Private as private:
            raise SourceTrouble(
                "It leads into a private network: --allow-private, if you mean it, asks there as well."
            ) from private
        except urllib3.exceptions.HTTPError as error:
            raise SourceTrouble(f"The source cannot be read: {type(error).__name__}.") from error
        return {}


def _found(address: str, name: str) -> Found:
    """What is known of an address before it is asked."""
    parts = urlsplit(address)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return Found(address, name=name or unquote(parts.path.rpartition("/")[2]), identity=path.lstrip("/") or address)

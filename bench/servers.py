"""Others that make thumbnails, each as its own documentation sets it up, on a port of its own."""

import base64
import hmac
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from ctypes.util import find_library
from dataclasses import dataclass
from hashlib import sha1, sha256
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bench.stack import ROOT, processor_seconds
from s3.serve import LOOPBACK, ROOM_PORTS, die_with_parent, free_ports

# Pictures that each of them makes at a time, on each core: imgproxy's own default.
AT_A_TIME = 2
_CORES = len(os.sched_getaffinity(0))
_KEY, _SALT = "bench-bench-bench-bench-bench", "salt"
_START_SECONDS = 30


@dataclass(frozen=True)
class Asked:
    """What is asked: into a box of this width and height, at this quality where the format has one."""

    name: str
    width: int
    height: int
    quality: int | None

    @property
    def options(self) -> str:
        """As Thumbor writes it, and imagor too."""
        box = f"fit-in/{self.width}x{self.height}"
        return f"{box}/filters:quality({self.quality})" if self.quality else box


@dataclass(frozen=True)
class Server:
    """Processes that answer, and how they are asked."""

    ports: Sequence[int]
    pids: Sequence[int]
    path: Callable[[Asked], str]

    def seconds(self) -> float:
        """Processor time, since the start."""
        return sum(map(processor_seconds, self.pids))


@dataclass(frozen=True)
class S3:
    """Where the originals are."""

    endpoint: str
    bucket: str
    prefix: str
    credentials: Mapping[str, str]


def program(name: str) -> str | None:
    """Where a rival's program is: the variable of its name says, or it is on the PATH."""
    return os.environ.get(name.upper()) or shutil.which(name)


@contextmanager
def _running(
    command: Sequence[str], environment: Mapping[str, str], port: int, healthy: str, log: Path
) -> Iterator[int]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **environment},
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent,
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(port, healthy):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[0]} does not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _answers(port: int, path: str) -> bool:
    connection = HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def stock_thumbor(photographs: Path, place: Path) -> Iterator[Server]:
    """A process for each core, each with a port of its own, which is kinder than what --processes does."""
    ports = free_ports(_CORES, ROOM_PORTS)
    environment = {"SECURITY_KEY": _KEY, "PHOTOGRAPHS": str(photographs), "THREADS": str(AT_A_TIME)}
    thumbor = str(Path(sys.executable).parent / "thumbor")
    with ExitStack() as processes:
        pids = [
            processes.enter_context(
                _running(
                    [thumbor, "--ip", LOOPBACK, "--port", str(port), "--conf", "bench/stock_thumbor.conf"],
                    environment,
                    port,
                    "/healthcheck",
                    place / f"thumbor-{port}.log",
                )
            )
            for port in ports
        ]

        def path(asked: Asked) -> str:
            rest = f"{asked.options}/{asked.name}"
            return f"/{_signature(_KEY, rest, 'sha1')}/{rest}"

        yield Server(ports, pids, path)


@contextmanager
def imgproxy(photographs: Path | S3, place: Path) -> Iterator[Server]:
    """imgproxy 4: originals from files or from S3; it stores no results."""
    port = free_ports(1, ROOM_PORTS)[0]
    environment = {
        "IMGPROXY_BIND": f"{LOOPBACK}:{port}",
        "IMGPROXY_KEY": _KEY.encode().hex(),
        "IMGPROXY_SALT": _SALT.encode().hex(),
        "IMGPROXY_WORKERS": str(AT_A_TIME * _CORES),
        "IMGPROXY_LOG_LEVEL": "error",
        # As its image sets them.
        "MALLOC_ARENA_MAX": "2",
        "VIPS_WARNING": "0",
    }
    if isinstance(photographs, S3):
        source = f"s3://{photographs.bucket}/{photographs.prefix}/"
        environment |= {
            **_aws(photographs),
            "IMGPROXY_USE_S3": "true",
            "IMGPROXY_S3_REGION": "us-east-1",
            "IMGPROXY_S3_ENDPOINT": photographs.endpoint,
            "IMGPROXY_ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
        }
    else:
        source = "local:///"
        environment["IMGPROXY_LOCAL_FILESYSTEM_ROOT"] = str(photographs)

    def path(asked: Asked) -> str:
        quality = f"/q:{asked.quality}" if asked.quality else ""
        rest = (
            f"/rs:fit:{asked.width}:{asked.height}{quality}/plain/{source}{asked.name}@{asked.name.rpartition('.')[2]}"
        )
        return f"/{_signature(_KEY, _SALT + rest, 'sha256').rstrip('=')}{rest}"

    with _running([program("imgproxy") or ""], environment, port, "/health", place / f"imgproxy-{port}.log") as pid:
        yield Server([port], [pid], path)


@contextmanager
def imagor(photographs: Path | S3, place: Path, results: str | None = None) -> Iterator[Server]:
    """imagor: originals from files, or from S3 with its results stored there too."""
    port = free_ports(1, ROOM_PORTS)[0]
    environment = {
        "SERVER_ADDRESS": LOOPBACK,
        "PORT": str(port),
        "IMAGOR_SECRET": _KEY,
        "IMAGOR_PROCESS_CONCURRENCY": str(AT_A_TIME * _CORES),
        # 0, its default, refuses whoever would have to wait.
        "IMAGOR_PROCESS_QUEUE_SIZE": "1000",
        "HTTP_LOADER_DISABLE": "1",
        # As its image sets them. Without VIPS_VECTOR libvips is told to do without SIMD, and takes three times as long.
        "MALLOC_ARENA_MAX": "2",
        "VIPS_WARNING": "0",
        "VIPS_VECTOR": "167772160",
    }
    if jemalloc := find_library("jemalloc"):
        environment["LD_PRELOAD"] = jemalloc
    prefix = ""
    if isinstance(photographs, S3):
        prefix = f"{photographs.prefix}/"
        environment |= {
            **_aws(photographs),
            "AWS_REGION": "us-east-1",
            "S3_ENDPOINT": photographs.endpoint,
            "S3_FORCE_PATH_STYLE": "1",
            "S3_LOADER_BUCKET": photographs.bucket,
            **({"S3_RESULT_STORAGE_BUCKET": results} if results else {}),
        }
    else:
        environment["FILE_LOADER_BASE_DIR"] = str(photographs)

    def path(asked: Asked) -> str:
        rest = f"{asked.options}/{prefix}{asked.name}"
        return f"/{_signature(_KEY, rest, 'sha1')}/{rest}"

    command = [program("imagor") or ""]
    with _running(command, environment, port, "/healthcheck", place / f"imagor-{port}.log") as pid:
        yield Server([port], [pid], path)


def _aws(s3: S3) -> Mapping[str, str]:
    return {name: s3.credentials[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}


def _signature(key: str, text: str, digest: str) -> str:
    made = hmac.digest(key.encode(), text.encode(), {"sha1": sha1, "sha256": sha256}[digest])
    return base64.urlsafe_b64encode(made).decode()

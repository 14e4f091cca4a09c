"""The embedded stack, started and stopped as its user does, on a data folder of its own."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from bench.load import Client
from deploy.keys import keys as read_keys
from s3.serve import LOOPBACK, ROOM_PORTS, die_with_parent, free_ports
from thumbstack.buckets import Buckets
from thumbstack.picture_key import PictureKey
from thumbstack.signing import signed_path

ROOT = Path(__file__).resolve().parent.parent
# A bound, never a measure: the first start may install packages.
_PATIENCE_SECONDS = 300
# What the command lines of a room's processes hold; what is left over is the process manager.
_MARKS = {
    "nginx": "nginx",
    "uploader": "uploader.wsgi",
    "signer": "signer.wsgi",
    "thumbor": "thumbor.conf",
    "s3": "weed",
}
# What one client may ask for would be the first thing to be measured.
UNLIMITED: Mapping[str, str] = {
    "MISSES_PER_SECOND": "100000",
    "MISSES_AT_ONCE": "60000",
    "MISSES_BURST": "60000",
    "RENDERS_AT_ONCE": "60000",
}


class Stack:
    """`make run` with a port and data of its own; on some cores only, and with some variables, where that is said."""

    def __init__(
        self, folder: Path, variables: Mapping[str, str] = UNLIMITED, cores: Collection[int] | None = None
    ) -> None:
        folder.mkdir()
        self._variables = dict(variables)
        self._cores = cores
        self._data = folder / "data"
        self._output = folder / "output"
        self.port = free_ports(1, ROOM_PORTS)[0]
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count()

    @property
    def keys(self) -> Path:
        """The file with all keys, which nodes of one service share."""
        return self._data / "secrets.env"

    def share(self, keys: Path, s3_endpoint: str) -> None:
        """Before the start: use these keys, and an S3 that runs already."""
        self._data.mkdir(mode=0o700)
        shutil.copyfile(keys, self.keys)
        self._variables["S3_ENDPOINT"] = s3_endpoint

    def start(self) -> float:
        """Start; the seconds until it is ready."""
        environment = {**os.environ, **self._variables, "PORT": str(self.port), "DATA": str(self._data)}
        began = time.monotonic()
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                ["make", "run"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # A terminal's Ctrl-C is for this process, which stops that one.
                start_new_session=True,
                preexec_fn=self._begin,
            )
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() - began > _PATIENCE_SECONDS:
                raise SystemExit(f"The stack does not start:\n{self._output.read_text()}")
            time.sleep(0.02)
        return time.monotonic() - began

    def _begin(self) -> None:
        die_with_parent()
        if self._cores:
            os.sched_setaffinity(0, self._cores)

    def is_ready(self) -> bool:
        """Whether it says so."""
        connection = HTTPConnection(LOOPBACK, self.port, timeout=10)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> float:
        """Stop as Ctrl-C does; the seconds until nothing of it is left."""
        if self._process is None:
            return 0
        began = time.monotonic()
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)
        self._process.wait(_PATIENCE_SECONDS)
        self._process = None
        return time.monotonic() - began

    @cached_property
    def _security_key(self) -> str:
        return read_keys(self.keys)["SECURITY_KEYS"].partition(",")[0]

    @property
    def s3_credentials(self) -> Mapping[str, str]:
        """AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the embedded S3."""
        return read_keys(self.keys)

    @property
    def s3_endpoint(self) -> str:
        """Where the embedded S3 is, from the one file that always says so."""
        facts = (self._data / "run" / "nginx" / "conf" / "templates" / "facts.conf").read_text()
        return "http://" + facts.partition("http://")[2].partition('"')[0]

    def s3(self) -> Any:
        """A client of the embedded S3."""
        credentials = self.s3_credentials
        return boto3.client(
            "s3",
            endpoint_url=self.s3_endpoint,
            region_name="us-east-1",
            aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}, signature_version="s3v4"),
        )

    @property
    def signer_port(self) -> int:
        """Where the signer's gunicorn listens, without nginx."""
        upstreams = (self._data / "run" / "nginx" / "conf" / "templates" / "upstreams.conf").read_text()
        return int(upstreams.partition("upstream signer")[2].partition(f"{LOOPBACK}:")[2].partition(";")[0])

    @property
    def keepers(self) -> Mapping[str, str]:
        """What the curator is told."""
        told: dict[str, str] = json.loads((self._data / "run" / "curator.json").read_text())
        return told

    @property
    def thumbor_ports(self) -> list[int]:
        """Where Thumbor's processes listen, without nginx."""
        return [int(server.rpartition(":")[2]) for server in self.keepers["THUMBOR_SERVERS"].split(",")]

    def empty_results(self) -> None:
        """Have everything rendered again that is asked for past the edge."""
        told = self.keepers
        buckets = Buckets(self.s3(), told["PICTURES_BUCKET"], told["RESULTS_BUCKET"])
        buckets.delete_results(list(buckets.result_keys("o/")))

    def upload(self, client: Client, body: bytes) -> PictureKey:
        """Upload a JPEG as `curl -F` does; stored again though its bytes are known."""
        head = (
            b'--frontier\r\nContent-Disposition: form-data; name="again"\r\n\r\n1\r\n'
            b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="%d.jpg"\r\n\r\n'
        ) % next(self._names)
        headers = {"Content-Type": "multipart/form-data; boundary=frontier"}
        _, said = client.ask("/", headers, method="POST", body=head + body + b"\r\n--frontier--\r\n")
        picture = PictureKey.parse(json.loads(said)["pictures"][0]["key"])
        assert picture is not None
        return picture

    def signed(self, picture: PictureKey, options: str) -> str:
        """The path of a variant."""
        return signed_path(picture, options, self._security_key)

    def nginx_seconds(self) -> float:
        """Processor time of nginx, since the start."""
        return self.processor_seconds()["nginx"]

    def processor_seconds(self) -> dict[str, float]:
        """Processor time by room, since the start; what else `make run` takes is `manager`."""
        used = dict.fromkeys((*_MARKS, "manager"), 0.0)
        for room, pids in self.processes().items():
            used[room] += sum(map(processor_seconds, pids))
        return used

    def processes(self) -> dict[str, list[int]]:
        """Process ids by room."""
        found: dict[str, list[int]] = {}
        for pid in descendants(self._process.pid) if self._process else ():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            room = next((room for room, mark in _MARKS.items() if mark in command), "manager")
            found.setdefault(room, []).append(pid)
        return found


def processor_seconds(pid: int) -> float:
    """Processor time that one process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """A process and all that it started."""
    try:
        lists = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [pid, *(below for pids in lists for child in pids for below in descendants(int(child)))]


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for as long as it takes; TMPDIR moves it."""
    with tempfile.TemporaryDirectory(prefix="thumbstack-bench-") as path:
        yield Path(path)


@contextmanager
def running(
    place: Path, variables: Mapping[str, str] = UNLIMITED, cores: Collection[int] | None = None
) -> Iterator[Stack]:
    """A ready stack; stopped at the end, whatever happens meanwhile."""
    stack = Stack(place, variables, cores)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()

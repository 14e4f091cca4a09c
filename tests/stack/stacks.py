"""The running service, embedded or as containers, as far as a test may look at it. Nothing of ours is imported here."""

import json
import os
import secrets
import shlex
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import requests
from botocore.config import Config
from testcontainers.compose import DockerCompose

ROOT = Path(__file__).resolve().parents[2]
# How long to wait for what must come; a bound, never a measure.
PATIENCE_SECONDS = 60
# nginx keeps an entry's file open for a second after it looked at it (nginx/snippets/cache.conf).
_KEPT_OPEN_SECONDS = 1.2


def free_port() -> int:
    """A port that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# An app beside the open one, with keys.
SHOP = {"app": "shop", "public_key": "shops-public-key-0123456789", "private_key": "shops-private-key-0123456789"}


@dataclass(frozen=True)
class Picture:
    """An uploaded picture, as the service told of it."""

    name: str
    key: str
    url: str
    urls: Mapping[str, str]


class Stack(ABC):
    """The service at `url`."""

    url: str
    pictures_bucket = "thumbstack-pictures"
    results_bucket = "thumbstack-results"
    website_bucket = "thumbstack-website"
    s3_endpoint: str
    s3_credentials: Mapping[str, str]
    security_keys: str

    def upload(self, body: bytes, name: str) -> Picture:
        """Upload a picture that must be taken."""
        answer = requests.post(f"{self.url}/", files={"file": (name, body)}, timeout=PATIENCE_SECONDS)
        assert answer.status_code == 201, answer.text
        entry = answer.json()["pictures"][0]
        return Picture(name.rpartition(".")[0], entry["key"], entry["url"], entry["urls"])

    def originals(self, prefix: str) -> list[str]:
        """Keys of originals, from S3 itself."""
        return self._keys(self.pictures_bucket, prefix)

    def results(self, prefix: str) -> list[str]:
        """Keys of results, from S3 itself."""
        return self._keys(self.results_bucket, prefix)

    def variants(self, prefix: str) -> list[str]:
        """Keys of the website's variants of a picture or a prefix, from S3 itself."""
        return self._keys(self.website_bucket, f"m/{prefix}")

    def s3(self) -> Any:
        """A client of the service's S3, with its own credentials."""
        return boto3.client(
            "s3",
            endpoint_url=self.s3_endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.s3_credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.s3_credentials["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}),
        )

    def _keys(self, bucket: str, prefix: str) -> list[str]:
        pages = self.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def lines(self, room: str, message: str, text: str = "") -> int:
        """How many lines of a room's JSON log say `message` and hold `text`."""
        found = 0
        for line in self.log(room).splitlines():
            # Compose puts a control sequence before a line here and there, also where nobody looks.
            start = line.find("{")
            if text in line and start >= 0:
                found += json.loads(line[start:]).get("message") == message
        return found

    def eventually(self, what: Callable[[], object]) -> bool:
        """Ask again until the answer is yes."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if what():
                return True
            time.sleep(0.05)
        return False

    def ready(self) -> bool:
        """The service says that it can work."""
        try:
            return requests.get(f"{self.url}/readyz", timeout=10).status_code == 200
        except requests.RequestException:
            return False

    def cpu_seconds(self, room: str) -> float:
        """Processor time that the processes of a room have used."""
        ticks = 0
        for pid in self.processes(room):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send one process a signal."""
        os.kill(pid, number)

    def numbers(self, room: str) -> list[str]:
        """What each process, or group of processes, of a room tells Prometheus; none where one does not answer."""
        try:
            answers = [requests.get(f"http://{address}/metrics", timeout=10) for address in self.metrics(room)]
        except requests.RequestException:
            return []
        return [answer.text for answer in answers if answer.ok]

    def well(self, room: str, processes: int) -> bool:
        """Whether so many processes of a room answer, as who restarts them in turn would wait for it."""
        return len(self.numbers(room)) == processes

    @abstractmethod
    def metrics(self, room: str) -> list[str]:
        """Where a room tells its numbers."""

    @abstractmethod
    def log(self, room: str) -> str:
        """All that a room has logged."""

    @abstractmethod
    def processes(self, room: str) -> list[int]:
        """Process ids of a room, its first process first."""

    @abstractmethod
    def curator(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the curator, as the keeper of this installation does, with more variables."""

    @abstractmethod
    def empty_edge(self) -> None:
        """Remove all entries of the edge cache."""

    @abstractmethod
    @contextmanager
    def without_s3(self) -> Iterator[None]:
        """S3 is away meanwhile."""

    @abstractmethod
    def restart(self) -> None:
        """Stop everything as its user would, and start it again on the same data."""

    @abstractmethod
    def crash(self) -> None:
        """SIGKILL every process at once, and start again on the same data."""


def _descendants(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return [pid, *(below for child in children for below in _descendants(child))]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


class Embedded(Stack):
    """`make run`."""

    # What the command lines of a room's processes hold.
    _MARKS: Mapping[str, tuple[str, ...]] = {
        "nginx": ("nginx",),
        "uploader": ("uploader.wsgi",),
        "signer": ("signer.wsgi",),
        "thumbor": ("thumbor.conf",),
        "s3": ("weed", "s3/serve.py"),
    }

    def __init__(self, folder: Path, **variables: str) -> None:
        self.data = folder / "data"
        self._variables = variables
        self._output = folder / "output"
        self._port = free_port()
        self.url = f"http://localhost:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it is ready."""
        environment = {
            **os.environ,
            "PORT": str(self._port),
            "DATA": str(self.data),
            "API_KEYS": json.dumps([SHOP]),
            **self._variables,
        }
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(["make", "run"], cwd=ROOT, env=environment, stdout=output, stderr=output)
        deadline = time.monotonic() + 5 * PATIENCE_SECONDS  # the first start installs
        while not self.ready():
            assert self._process.poll() is None, self._output.read_text()
            assert time.monotonic() < deadline, self._output.read_text()
            time.sleep(0.1)
        facts = (self.data / "run" / "nginx" / "conf" / "templates" / "facts.conf").read_text()
        self.s3_endpoint = "http://" + facts.partition("http://")[2].partition('"')[0]
        lines = (self.data / "secrets.env").read_text().splitlines()
        self.s3_credentials = dict(line.split("=", 1) for line in lines)
        self.security_keys = self.s3_credentials["SECURITY_KEYS"]

    def stop(self) -> int:
        """Stop as Ctrl-C does; the exit code."""
        assert self._process is not None
        for pid in _descendants(self._process.pid):
            if "deploy.run" in _command(pid):
                os.kill(pid, signal.SIGINT)
        return self._process.wait(2 * PATIENCE_SECONDS)

    def metrics(self, room: str) -> list[str]:
        told = json.loads((self.data / "run" / "targets.json").read_text())
        return [address for one in told if one["labels"]["job"] == room for address in one["targets"]]

    def log(self, room: str) -> str:
        texts = (path.read_text() for path in sorted((self.data / "logs").glob(f"{room}*.log*")))
        # supervisord passes on what it has got, which may end within a line: the rest follows.
        return "".join(text[: text.rfind("\n") + 1] for text in texts)

    def processes(self, room: str) -> list[int]:
        assert self._process is not None
        return [
            pid for pid in _descendants(self._process.pid) if any(mark in _command(pid) for mark in self._MARKS[room])
        ]

    def curator(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "DATA": str(self.data), **variables}
        command = ["make", "curator", f"ARGS={shlex.join(arguments)}"]
        return subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=5 * PATIENCE_SECONDS,
            check=False,
        )

    def empty_edge(self) -> None:
        for file in (self.data / "cache").rglob("*"):
            if file.is_file():
                file.unlink()
        time.sleep(_KEPT_OPEN_SECONDS)

    @contextmanager
    def without_s3(self) -> Iterator[None]:
        # Stopped, not killed: it would be started again at once. Its port is open and says nothing: the worse fault.
        stopped = self.processes("s3")
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(stopped):
                os.kill(pid, signal.SIGCONT)
            assert self.eventually(self.ready)

    def restart(self) -> None:
        assert self.stop() == 0, self._output.read_text()
        self.start()

    def crash(self) -> None:
        assert self._process is not None
        # A stopped process cannot start another one meanwhile.
        everything = _descendants(self._process.pid)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in everything:
                os.kill(pid, number)
        self._process.wait(PATIENCE_SECONDS)
        self.start()


class Containers(Stack):
    """Docker Compose, as `make up` starts it."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self.url = f"http://localhost:{self._port}"
        self.s3_credentials = {
            "AWS_ACCESS_KEY_ID": secrets.token_hex(10),
            "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(32),
        }
        self.security_keys = secrets.token_urlsafe(32)
        self.project = f"thumbstack-test-{os.getpid()}"
        variables = {
            **self.s3_credentials,
            "SECURITY_KEYS": self.security_keys,
            "OPEN_APP": "demo",
            "API_KEYS": f"'{json.dumps([SHOP])}'",
            "WEBSITE_BUCKET": self.website_bucket,
            "PORT": str(self._port),
            "COMPOSE_PROJECT_NAME": self.project,
            **{
                name: os.environ[name]
                for name in ("BASE", "BUILD_NETWORK", "GIT_COMMIT", "CREATED")
                if name in os.environ
            },
        }
        file = folder / "compose.env"
        file.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        self._compose = DockerCompose(ROOT, build=True, env_file=str(file), profiles=["local"])

    def start(self) -> None:
        """Build what is not built, start, wait until it is ready."""
        self._compose.start()
        assert self.eventually(self.ready), self.log("")
        address = self._inspect("s3", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")[0]
        self.s3_endpoint = f"http://{address}:8333"

    def stop(self) -> int:
        """Remove everything, the data too."""
        self._compose.stop()
        return 0

    def _run(self, *arguments: str) -> str:
        command = [*self._compose.docker_compose_command(), *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3 * PATIENCE_SECONDS)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _inspect(self, room: str, what: str) -> list[str]:
        ids = self._run("ps", "--quiet", room).split()
        done = subprocess.run(
            ["docker", "inspect", "--format", what, *ids], check=True, capture_output=True, text=True, timeout=30
        )
        return done.stdout.split()

    def well(self, room: str, processes: int) -> bool:
        # Docker looks after 5 s first; by then nginx knows the new address.
        healthy = self._inspect(room, "{{.State.Health.Status}}") == ["healthy"] * processes
        return healthy and super().well(room, processes)

    def metrics(self, room: str) -> list[str]:
        port = {"nginx": 5002, "uploader": 8000, "signer": 8001, "thumbor": 8888, "s3": 9327}[room]
        network = f"{self.project}_{'storage' if room == 's3' else 'rooms'}"
        addresses = self._inspect(room, f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}')
        return [f"{address}:{port}" for address in addresses]

    def log(self, room: str) -> str:
        return self._run("logs", "--no-log-prefix", *([room] if room else []))

    def processes(self, room: str) -> list[int]:
        # Past each container's init: its own process comes first.
        return [below for pid in self._inspect(room, "{{.State.Pid}}") for below in _descendants(int(pid))[1:]]

    def curator(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        told = [part for name, value in variables.items() for part in ("-e", f"{name}={value}")]
        # By its name alone: every command is in the container's PATH.
        command = [*self._compose.docker_compose_command(), "exec", "-T", *told, "curator", *arguments]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=5 * PATIENCE_SECONDS, check=False
        )

    def empty_edge(self) -> None:
        self._run("exec", "-T", "nginx", "find", "/var/cache/thumbstack/edge", "-type", "f", "-delete")
        time.sleep(_KEPT_OPEN_SECONDS)

    @contextmanager
    def without_s3(self) -> Iterator[None]:
        self._run("stop", "s3")
        try:
            yield
        finally:
            self._run("start", "s3")
            assert self.eventually(self.ready)

    def restart(self) -> None:
        self._run("stop")
        self.start()

    def crash(self) -> None:
        self._run("kill")
        self.start()


@contextmanager
def running(stack: Embedded | Containers) -> Iterator[Stack]:
    """Start; at the end stop, whatever happened meanwhile."""
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()

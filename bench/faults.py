"""What fails, what is served and what recovers when S3, a process or the disk goes wrong, or a client does?

In each drill some clients read cached pictures, some ask for thumbnails that nobody asked for, one uploads, one asks
/healthz. What must hold in all of them: whoever reads a cached picture gets it, nobody gets a 500, what was answered
201 is there afterwards, and a minute after the fault everything works again. Ends with 1 where it does not.
"""

import hashlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bench.fault_proxy import Fault, FaultProxy
from bench.load import Client
from bench.photographs import photograph
from bench.rounds import arguments
from bench.stack import ROOT, Stack, folder
from deploy.keys import keys
from s3.serve import LOOPBACK, ROOM_PORTS, die_with_parent, free_ports
from thumbstack.picture_key import PictureKey

_ACCEPT = {"Accept": "image/jpeg"}
# Another client than the flood's: all of 127.0.0.0/8 is this machine.
_SOMEBODY_ELSE = "127.0.0.2"
_ANSWERED_WITHIN_SECONDS = 90
_RECOVERED_WITHIN_SECONDS = 60
# nginx looks every 10 s whether enough is free: what grows meanwhile must fit.
_DISK_MEGABYTES, _FREE_MEGABYTES = 96, 32
_LOOKED_AFTER_SECONDS = 30
_SLOW_READERS = 1000
# More than one client may have under way.
_FLOOD = 300
# Between two of one client: whoever reads as fast as Python can takes the processor from the rest.
_PAUSE_SECONDS = {"hits": 0.01, "others' misses": 0.3, "uploads": 0.2, "healthz": 0.1}
_BUCKETS = {f"{name.upper()}_BUCKET": f"thumbstack-{name}" for name in ("pictures", "results", "website")}


@dataclass
class Seen:
    """Answers of one kind: how many of each status (0: no answer, or a broken one), and how long they took."""

    statuses: Counter[int] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)

    def figures(self) -> Mapping[str, object]:
        """For people and programs."""
        times = sorted(self.milliseconds) or [0.0]
        shares = {"p50 ms": times[len(times) // 2], "p99 ms": times[len(times) * 99 // 100], "most ms": times[-1]}
        return {
            "statuses": dict(sorted(self.statuses.items())),
            **{name: round(value, 1) for name, value in shares.items()},
        }


class Traffic:
    """What goes on during a drill."""

    def __init__(self, stack: Stack, cached: list[str], pictures: list[PictureKey], small: bytes) -> None:
        self._stack = stack
        self._cached = cached
        self._pictures = pictures
        self._small = small
        self._numbers = itertools.count()
        self.uploaded: dict[str, str] = {}

    def _ask(self, path: str, source: str = LOOPBACK) -> tuple[int, bytes]:
        connection = HTTPConnection(
            LOOPBACK, self._stack.port, timeout=_ANSWERED_WITHIN_SECONDS, source_address=(source, 0)
        )
        try:
            connection.request("GET", path, headers=_ACCEPT)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException):
            return 0, b""
        finally:
            connection.close()

    def hit(self) -> int:
        """A cached picture, for somebody else than who asks for the misses."""
        return self._ask(self._cached[next(self._numbers) % len(self._cached)], _SOMEBODY_ELSE)[0]

    def new_path(self) -> str:
        """What nobody asked for before."""
        number = next(self._numbers)
        picture = self._pictures[number % len(self._pictures)]
        return self._stack.signed(picture, f"fit-in/{200 + number % 300}x{301 + number // 300}")

    def miss(self) -> int:
        """A thumbnail that is not there yet."""
        return self._ask(self.new_path())[0]

    def other_miss(self) -> int:
        """Likewise, for somebody else who asks for few."""
        return self._ask(self.new_path(), _SOMEBODY_ELSE)[0]

    def large_miss(self) -> int:
        """A variant of half a megabyte, not more often than disks are looked after."""
        time.sleep(0.15)
        number = next(self._numbers)
        picture = self._pictures[number % len(self._pictures)]
        return self._ask(self._stack.signed(picture, f"1500x{300 + number % 700}/filters:quality(97)"))[0]

    def upload(self) -> int:
        """A picture of its own, as `curl -F` does."""
        name = f"drill-{next(self._numbers)}"
        # A comment after the first marker makes the bytes new.
        body = self._small[:2] + b"\xff\xfe" + (len(name) + 2).to_bytes(2, "big") + name.encode() + self._small[2:]
        head = f'--frontier\r\nContent-Disposition: form-data; name="file"; filename="{name}.jpg"\r\n\r\n'.encode()
        headers = {"Content-Type": "multipart/form-data; boundary=frontier"}
        connection = HTTPConnection(LOOPBACK, self._stack.port, timeout=_ANSWERED_WITHIN_SECONDS)
        try:
            connection.request("POST", "/", body=head + body + b"\r\n--frontier--\r\n", headers=headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status == 201:
                self.uploaded[json.loads(said)["pictures"][0]["key"]] = hashlib.sha256(body).hexdigest()
            return answer.status
        except (OSError, HTTPException, ValueError):
            return 0
        finally:
            connection.close()

    def health(self) -> int:
        """Whether it is alive."""
        return self._ask("/healthz")[0]

    def lost(self) -> int:
        """How many of the pictures that were answered 201 do not come back byte for byte."""
        return sum(
            hashlib.sha256(self._ask(f"/{key}")[1]).hexdigest() != digest for key, digest in self.uploaded.items()
        )

    def recovered(self) -> float | None:
        """Seconds until it says that it is ready, and a new thumbnail and an upload succeed; None: never."""
        began = time.monotonic()
        while time.monotonic() - began < _RECOVERED_WITHIN_SECONDS:
            if self._ask("/readyz")[0] == 200 and self.miss() == 200 and self.upload() == 201:
                return round(time.monotonic() - began, 1)
            time.sleep(0.1)
        return None

    @contextmanager
    def going_on(self, clients: int, miss: Callable[[], int]) -> Iterator[dict[str, Seen]]:
        """All kinds at the same time, in threads, until the end; so many clients ask for what is not there."""
        done = threading.Event()
        kinds = {"hits": self.hit, "misses": miss, "others' misses": self.other_miss}
        kinds |= {"uploads": self.upload, "healthz": self.health}
        seen = {kind: Seen() for kind in kinds}

        def repeat(kind: str, what: Callable[[], int]) -> None:
            while not done.is_set():
                began = time.perf_counter()
                status = what()
                seen[kind].statuses[status] += 1
                seen[kind].milliseconds.append((time.perf_counter() - began) * 1000)
                time.sleep(_PAUSE_SECONDS.get(kind, 0))

        work = [*kinds.items(), ("hits", self.hit), *[("misses", miss)] * (clients - 1)]
        threads = [threading.Thread(target=repeat, args=each) for each in work]
        for thread in threads:
            thread.start()
        try:
            yield seen
        finally:
            done.set()
            for thread in threads:
                thread.join()


@contextmanager
def _s3(place: Path) -> Iterator[str]:
    """The embedded S3 on its own, with the keys of place/secrets.env; its address."""
    port = free_ports(1, ROOM_PORTS)[0]
    credentials = {name: value for name, value in keys(place / "secrets.env").items() if name.startswith("AWS_")}
    command = [sys.executable, "s3/serve.py", "--data", str(place / "s3"), "--port", str(port)]
    with (place / "s3.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **credentials, **_BUCKETS},
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,
        )
    try:
        while b"ready on" not in (place / "s3.log").read_bytes():
            if process.poll() is not None:
                raise SystemExit((place / "s3.log").read_text())
            time.sleep(0.05)
        yield f"http://{LOOPBACK}:{port}"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _small_disk(path: Path) -> Iterator[bool]:
    """Mount a small file system at the path; False where that is not allowed."""
    path.mkdir(mode=0o700, parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MEGABYTES}m,mode=700", "tmpfs", str(path)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        yield False
        return
    if done.returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", str(path)], check=True)


class Drills:
    """Each makes its fault, for some seconds, and ends it."""

    def __init__(self, stack: Stack, proxy: FaultProxy, cache: Path, seconds: float) -> None:
        self._stack = stack
        self._proxy = proxy
        self._cache = cache
        self._seconds = seconds

    def s3(self, fault: Fault) -> str:
        """S3 goes wrong."""
        self._proxy.fail(fault)
        try:
            time.sleep(self._seconds)
            return ""
        finally:
            self._proxy.fail("")

    def killed_thumbor(self, every: float = 5) -> str:
        """SIGKILL to one Thumbor process every few seconds."""
        kills = 0
        for _ in range(max(2, round(self._seconds / every))):
            time.sleep(every)
            for pid in self._stack.processes().get("thumbor", [])[:1]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    kills += 1
        return f"{kills} kills"

    def full_disk(self, left_megabytes: int) -> str:
        """Somebody else takes the disk where the edge keeps its pictures, but for so much."""
        # Without a name: nginx removes from its cache what it does not know.
        with tempfile.TemporaryFile(dir=self._cache, buffering=0) as filler:
            with suppress(OSError):
                while shutil.disk_usage(self._cache).free > left_megabytes << 20 or not left_megabytes:
                    filler.write(bytes(1 << 16))
            time.sleep(max(self._seconds, _LOOKED_AFTER_SECONDS) if left_megabytes else self._seconds)
        return ""

    def quiet(self) -> str:
        """No fault but what the clients do: what the others are compared with."""
        time.sleep(self._seconds)
        return ""

    def slow_readers(self, path: str) -> str:
        """Connections that ask for a large picture and take a few bytes of it each second."""
        readers = []
        request = f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        refused = 0
        for _ in range(_SLOW_READERS):
            reader = socket.socket()
            # Else the kernel would take the picture off nginx's hands at once.
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            try:
                reader.connect((LOOPBACK, self._stack.port))
                reader.sendall(request)
                readers.append(reader)
            except OSError:
                refused += 1
        until = time.monotonic() + self._seconds
        while time.monotonic() < until:
            for reader in readers:
                reader.setblocking(False)
                with suppress(OSError):
                    reader.recv(64)
            time.sleep(1)
        started = 0
        for reader in readers:
            started += _still_open(reader)
            reader.close()
        return f"{len(readers)} slow readers, {refused} refused, {started} still served at the end"


def _still_open(reader: socket.socket) -> bool:
    try:
        return bool(reader.recv(64))
    except BlockingIOError:
        return True
    except OSError:
        return False


def main() -> None:
    """Run the drills one after another, on one stack behind a proxy that makes S3's faults."""
    parser = arguments("faults", __doc__ or "", rounds=1)
    names = [
        "quiet",
        "S3 stopped",
        "S3 slow",
        "S3 503",
        "Thumbor killed",
        "disk small",
        "disk full",
        "flood",
        "slow readers",
    ]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these drills (all)")
    parser.add_argument("--seconds", type=float, default=15, help="how long a fault lasts (%(default)s)")
    options = parser.parse_args()
    results: dict[str, object] = {}
    good = True
    with ExitStack() as ends:
        place = ends.enter_context(folder())
        endpoint = ends.enter_context(_s3(place))
        proxy = ends.enter_context(FaultProxy(endpoint).running())
        # As shipped: with its limits on misses. Of a small disk less can be kept free.
        stack = Stack(place / "stack", {"EDGE_CACHE_MIN_FREE": f"{_FREE_MEGABYTES}m"})
        stack.share(place / "secrets.env", proxy.endpoint)
        cache = stack.keys.parent / "cache"
        small = {"disk small", "disk full"}
        mounted = ends.enter_context(_small_disk(cache)) if small & set(options.only) else False
        ends.callback(stack.stop)
        stack.start()
        client = Client(stack.port)
        pictures = [stack.upload(client, photograph(number, 1600, 1067, grain=6)) for number in range(3)]
        large = stack.upload(client, photograph(0, 3600, 2400, grain=14))
        cached = [stack.signed(picture, f"{width}x0") for picture in pictures for width in (300, 320, 340)]
        for path in [*cached, f"/{large}"]:
            client.ask(path, _ACCEPT)
        traffic = Traffic(stack, cached, pictures, photograph(1, 640, 427, grain=4))
        drills = Drills(stack, proxy, cache, options.seconds)
        known: dict[str, Callable[[], str]] = {
            "quiet": drills.quiet,
            "S3 stopped": partial(drills.s3, "stopped"),
            "S3 slow": partial(drills.s3, "slow"),
            "S3 503": partial(drills.s3, "every third 503"),
            "Thumbor killed": drills.killed_thumbor,
            "disk small": partial(drills.full_disk, _FREE_MEGABYTES),
            "disk full": partial(drills.full_disk, 0),
            "flood": drills.quiet,
            "slow readers": partial(drills.slow_readers, str(large)),
        }
        for name in options.only:
            if name in small and not mounted:
                print(f"LEFT OUT: {name}. A small file system cannot be mounted here; root may.", file=sys.stderr)
                continue
            drill = known[name]
            miss = traffic.large_miss if name == "disk small" else traffic.miss
            with traffic.going_on(_FLOOD if name == "flood" else 2, miss) as seen:
                note = drill()
            recovered = traffic.recovered()
            lost = traffic.lost()
            kinds = {kind: each.figures() for kind, each in seen.items()}
            held = (
                set(seen["hits"].statuses) | set(seen["healthz"].statuses) == {200}
                and not any(each.statuses[500] for each in seen.values())
                and recovered is not None
                and not lost
            )
            good = good and held
            results[name] = {**kinds, "note": note, "recovered s": recovered, "lost": lost, "held": held}
            print(f"{name}: {'held' if held else 'DID NOT HOLD'}" + (f"; {note}" if note else ""), end="; ")
            print(f"works again after {recovered} s; {lost} of {len(traffic.uploaded)} uploads so far lost")
            for kind, figures in kinds.items():
                print(f"  {kind:14} " + "   ".join(f"{name} {value}" for name, value in figures.items()), flush=True)
    print(json.dumps({"bench": "faults", "cores": os.cpu_count(), "good": good, "drills": results}))
    sys.exit(not good)


if __name__ == "__main__":
    main()

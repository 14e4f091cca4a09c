"""The curator as its keeper calls it, on a real S3 server; and a second one, another provider's, to migrate from."""

import hashlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from curator import cli
from s3.serve import ROOM_PORTS, free_ports
from tests.curator.collection import collection

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60
SECURITY_KEY = "security-key-of-the-tests-0123456789"
PICTURES, RESULTS, WEBSITE = "curator-pictures", "curator-results", "curator-website"


@dataclass(frozen=True)
class Storage:
    """An S3 server, and who may use it."""

    endpoint: str
    key_id: str
    secret: str

    def client(self) -> Any:
        """A client with its credentials."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.key_id,
            aws_secret_access_key=self.secret,
            config=Config(s3={"addressing_style": "path"}, max_pool_connections=32),
        )

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """All keys of a bucket that begin so."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def empty(self, bucket: str, prefix: str = "") -> None:
        """Remove all that a bucket has under a prefix."""
        keys, client = self.keys(bucket, prefix), self.client()
        for start in range(0, len(keys), 1000):
            batch = [{"Key": key} for key in keys[start : start + 1000]]
            client.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})


@contextmanager
def serving(folder: Path, key_id: str, buckets: Mapping[str, str]) -> Iterator[Storage]:
    """An S3 server of its own credentials, with these buckets."""
    (port,) = free_ports(1, ROOM_PORTS)
    storage = Storage(f"http://127.0.0.1:{port}", key_id, f"{key_id}-secret-0123456789")
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": storage.key_id,
        "AWS_SECRET_ACCESS_KEY": storage.secret,
        **buckets,
    }
    command = [sys.executable, "s3/serve.py", "--data", str(folder / "data"), "--ip", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not all(_is_there(storage, bucket) for bucket in buckets.values()):
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield storage
    finally:
        server.terminate()
        server.wait(30)


def _is_there(storage: Storage, bucket: str) -> bool:
    try:
        storage.client().head_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError):
        return False
    return True


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """Ours."""
    buckets = {"PICTURES_BUCKET": PICTURES, "RESULTS_BUCKET": RESULTS, "WEBSITE_BUCKET": WEBSITE}
    with serving(tmp_path_factory.mktemp("ours"), "ours", buckets) as ours:
        yield ours


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """Another provider's, with credentials of its own, and the bucket `old`."""
    buckets = {"PICTURES_BUCKET": "old", "RESULTS_BUCKET": "old-results"}
    with serving(tmp_path_factory.mktemp("theirs"), "theirs", buckets) as theirs:
        yield theirs


@dataclass(frozen=True)
class Done:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Curator:
    """The command line, with the variables of a room."""

    variables: Mapping[str, str]

    def __call__(self, *arguments: str, **more: str) -> Done:
        """Run a command to its end, in this process: a new one takes a second to import what it needs."""
        out, err = io.StringIO(), io.StringIO()
        variables = {"PATH": os.environ["PATH"], **self.variables, **more}
        with (
            patch.dict(os.environ, variables, clear=True),
            # It would remember the credentials of whoever asked first.
            patch("boto3.DEFAULT_SESSION", None),
            redirect_stdout(out),
            redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            cli.main(arguments)
        return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())

    def begun(self, *arguments: str, **more: str) -> "subprocess.Popen[str]":
        """Begin a command, in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "curator", *arguments],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **self.variables, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def curator(storage: Storage, tmp_path: Path) -> Iterator[Curator]:
    """The curator on our S3, with nothing to render; what it stored is gone afterwards."""
    yield Curator(
        {
            "AWS_ACCESS_KEY_ID": storage.key_id,
            "AWS_SECRET_ACCESS_KEY": storage.secret,
            "S3_ENDPOINT": storage.endpoint,
            "PICTURES_BUCKET": PICTURES,
            "RESULTS_BUCKET": RESULTS,
            "SECURITY_KEYS": SECURITY_KEY,
            "OPEN_APP": "demo",
            "EDGE_CACHE": str(tmp_path / "cache"),
            "TOMBSTONES": str(tmp_path / "tombstones"),
        }
    )
    for bucket in (PICTURES, RESULTS, WEBSITE):
        storage.empty(bucket)


@pytest.fixture
def old(elsewhere: Storage) -> Iterator[Storage]:
    """The other provider, its bucket empty."""
    yield elsewhere
    elsewhere.empty("old")


@pytest.fixture
def keeper(curator: Curator, old: Storage) -> Curator:
    """The curator, who has the other provider's credentials as well."""
    theirs = {"EXO_ACCESS_KEY_ID": old.key_id, "EXO_SECRET_KEY": old.secret, "V5_ENDPOINT": old.endpoint}
    return Curator({**curator.variables, **theirs})


def fill(storage: Storage, count: int) -> dict[str, bytes]:
    """Put a collection into the bucket."""
    pictures, client = dict(collection(count)), storage.client()
    for key, body in pictures.items():
        client.put_object(Bucket="old", Key=key, Body=body)
    return pictures


def sums(curator_said: str) -> str:
    """The line of counts."""
    return next(line for line in curator_said.splitlines() if "images: " in line)


def digests(storage: Storage) -> list[str]:
    """What was sent for each original that is here."""
    s3 = storage.client()
    found = []
    for key in storage.keys(PICTURES, "o/"):
        metadata = s3.head_object(Bucket=PICTURES, Key=key)["Metadata"]
        found.append(metadata.get("sha256-sent", metadata["sha256"]))
    return sorted(found)


def digest(body: bytes) -> str:
    """What a body is known by."""
    return hashlib.sha256(body).hexdigest()

"""AWS on loopback: ministack, in a virtual environment of its own because it pins a newer botocore than ours."""

import contextlib
import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from deploy import update_stack
from tests.deploy.environments import ROOT, python_of

REGION = "eu-west-1"


class Aws:
    """One running emulator."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        # A client takes half a second to make, and a session of its own as long again.
        self._session = boto3.Session(region_name=REGION)
        self._clients: dict[object, Any] = {}
        # Nothing of the machine's own account may be reached by mistake.
        self.environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, **credentials: str) -> Any:
        """A client of one service, of the account's owner or with these credentials."""
        who = tuple(sorted(credentials.items()))
        if (service, who) not in self._clients:
            options = credentials or {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
            # Any: the type knows each service by a name of its own.
            make: Any = self._session.client
            self._clients[service, who] = make(service, endpoint_url=self.url, **options)
        return self._clients[service, who]

    def make(self, target: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """What a target of our Makefile says, with these variables on its command line."""
        command = ["make", target, *(f"{name}={value}" for name, value in variables.items())]
        # INSTALLED: the tests' own environment is there, whatever the times of its files say.
        command.append(f"INSTALLED={ROOT / '.venv/bin/python'}")
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)

    def update(self, stack: str, *flags: str, **variables: str) -> tuple[str, str]:
        """What `make update_stack` would say, and its complaint; without a new process, which takes seconds."""
        told, complaint = io.StringIO(), ""
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(told):
            for name, value in {**self.environment, "STACK_NAME": stack, **variables}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["update_stack", *flags])
            try:
                update_stack.main()
            except SystemExit as end:
                complaint = str(end.code)
        return told.getvalue(), complaint

    def resources(self, stack: str) -> dict[str, str]:
        """The physical names of a stack's resources, by their logical ones."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
        return {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for page in pages
            for one in page["StackResourceSummaries"]
        }


@contextlib.contextmanager
def running(log: Path, *, auth: bool = True) -> Iterator[Aws]:
    """An emulator on a free port; with `auth` it enforces rights as AWS does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "GATEWAY_PORT": str(port),
        # Else the load balancer and CloudFront look for themselves in another region.
        "MINISTACK_REGION": REGION,
        "AUTH": str(auth).lower(),
        # It would listen on a fixed port, and two emulators would quarrel about it.
        "IOT_MTLS_ENABLED": "0",
    }
    aws = Aws(port)
    with log.open("w") as out:
        server = subprocess.Popen(
            [python_of("emulators"), "-m", "ministack"], env=environment, cwd=log.parent, stdout=out, stderr=out
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                requests.get(f"{aws.url}/_ministack/health", timeout=2).raise_for_status()
                break
            except requests.RequestException:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(log.read_text()) from None
                time.sleep(0.1)
        yield aws
    finally:
        server.terminate()
        server.wait(10)

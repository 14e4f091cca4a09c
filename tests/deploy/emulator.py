"""AWS on loopback: ministack, in a virtual environment of its own because it pins a newer botocore than ours."""

import base64
import contextlib
import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from deploy import update_stack
from tests.deploy.environments import ROOT, python_of

REGION = "eu-west-1"
# Debian's own parameter is AWS's to fill; the emulator has none.
IMAGE = "/thumbstack/tests/image"
NETWORK = {"VPCCIDRBlock": "10.20.0.0/16", "SubnetACIDRBlock": "10.20.0.0/20", "SubnetBCIDRBlock": "10.20.16.0/20"}
COMMIT = "a" * 40
# All that a stack must be given, here.
GIVEN = {"CommitID": COMMIT, "ImageId": IMAGE, **NETWORK}


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


def launch_data(aws: Aws, resources: dict[str, str]) -> Any:
    """What the group's next instance would be started with."""
    (group,) = aws.client("autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=[resources["InstanceGroup"]]
    )["AutoScalingGroups"]
    (version,) = aws.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=group["LaunchTemplate"]["LaunchTemplateId"], Versions=[group["LaunchTemplate"]["Version"]]
    )["LaunchTemplateVersions"]
    return version["LaunchTemplateData"]


def user_data(aws: Aws, resources: dict[str, str]) -> str:
    return base64.b64decode(launch_data(aws, resources)["UserData"]).decode()


class WayIn:
    """A deployed stack's load balancer and CDN, by their names, with one target behind them."""

    def __init__(self, aws: Aws, port: int, stack: str, **variables: str) -> None:
        if not aws.client("ssm").get_parameters(Names=[IMAGE])["Parameters"]:
            aws.client("ssm").put_parameter(Name=IMAGE, Value="ami-0123456789abcdef0", Type="String")
        _, complaint = aws.update(stack, **GIVEN, **variables)
        assert not complaint
        self.resources = aws.resources(stack)
        elb = aws.client("elbv2")
        elb.register_targets(TargetGroupArn=self.resources["TargetGroup"], Targets=[{"Id": "127.0.0.1", "Port": port}])
        described = elb.describe_load_balancers(LoadBalancerArns=[self.resources["LoadBalancer"]])
        self.balancer: str = described["LoadBalancers"][0]["DNSName"]
        (found,) = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}
        self.cdn: str = outputs.get("CdnName", "")
        self._url = aws.url

    def ask(
        self, host: str, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, **options: Any
    ) -> requests.Response:
        """Ask one of them, as it were under its name."""
        headers = {"Host": host, **(headers or {})}
        return requests.request(method, self._url + path, headers=headers, timeout=60, allow_redirects=False, **options)


@contextlib.contextmanager
def running(log: Path, *, auth: bool = True, hosts: Path | None = None) -> Iterator[Aws]:
    """An emulator on a free port; with `auth` it enforces rights as AWS does.

    It sends requests to an instance by its id as a host name. `hosts`, which takes root, is its own /etc/hosts.
    """
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
    # A mount that nobody else sees, and an end with ours, whatever ours is.
    private = ["setpriv", "--pdeathsig", "TERM", "unshare", "--mount", "sh", "-c"]
    private += ['mount --bind "$1" /etc/hosts && shift && exec "$@"', "sh", str(hosts)]
    command = [*(private if hosts else []), str(python_of("emulators")), "-m", "ministack"]
    with log.open("w") as out:
        server = subprocess.Popen(command, env=environment, cwd=log.parent, stdout=out, stderr=out)
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

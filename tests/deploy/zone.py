"""What AWS is to an instance, as far as it takes to boot one: the API, a registry, the metadata service, who starts it
and who ends it, and the load balancer's health checks.
"""

import base64
import contextlib
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import requests

from tests.deploy.emulator import REGION, Aws, running
from tests.deploy.environments import ROOT
from tests.deploy.metadata import ADDRESS

IMAGE = "/thumbstack/tests/image"
MACHINE = "thumbstack-machine"
# Marks all containers and images of ours, so that a later run finds what a killed one left, and nobody else's.
_OURS = "thumbstack-boot"
# All that systemd and a Docker engine need; --privileged would ask for more than some machines have.
_RIGHTS = (
    *("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYS_NICE", "IPC_LOCK", "MKNOD"),
    *("SYS_CHROOT", "AUDIT_WRITE", "DAC_READ_SEARCH", "SYSLOG"),
)


def run(*command: str, check: bool = True, **options: Any) -> str:
    """What a command prints; its complaint where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    told: str = done.stdout
    return told.strip()


def docker(*arguments: str, check: bool = True, **options: Any) -> str:
    return run("docker", *arguments, check=check, **options)


def compose(*arguments: str, **variables: str) -> str:
    """What Compose says of our file, and of nobody's .env."""
    environment = {**os.environ, "SECURITY_KEYS": "", **variables}
    return docker("compose", "--env-file", os.devnull, *arguments, cwd=ROOT, env=environment)


def wait_until(true: Callable[[], object], within: float = 300) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.25)


class Machine:
    """One instance."""

    def __init__(self, name: str) -> None:
        self.id = name
        self.address = ""

    def run(self, *command: str, check: bool = True) -> str:
        return docker("exec", self.id, *command, check=check)

    def ended(self) -> str:
        """How cloud-init ended, once it has."""
        # As long as the group waits: `start` gives up before, and says why.
        deadline = time.monotonic() + 900
        # It says other things before it has begun.
        while (status := self.run("cloud-init", "status", check=False)) not in ("status: done", "status: error"):
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.5)
        return status

    def signals(self) -> list[str]:
        return self.run("cat", "/var/log/signals", check=False).splitlines()

    def log(self) -> str:
        return self.run("tail", "-n", "60", "/var/log/cloud-init-output.log", check=False)

    def status(self, path: str) -> int:
        """What it answers itself; 0 where it does not."""
        try:
            return requests.get(f"http://{self.address}:5000{path}", timeout=10).status_code
        except requests.RequestException:
            return 0


class HealthChecks:
    """The load balancer's, by the numbers of the deployed target group.

    The emulator asks nobody how he is: it is told here which instances it may send requests to.
    """

    def __init__(self, aws: Aws, group: str) -> None:
        self._elb, self._group = aws.client("elbv2"), group
        (self._checks,) = self._elb.describe_target_groups(TargetGroupArns=[group])["TargetGroups"]
        self._watched: dict[str, tuple[threading.Event, threading.Thread]] = {}
        self.healthy: set[str] = set()

    def add(self, machine: Machine) -> None:
        gone = threading.Event()
        thread = threading.Thread(target=self._watch, args=(machine, gone), daemon=True)
        self._watched[machine.id] = gone, thread
        thread.start()

    def remove(self, machine: Machine) -> None:
        """As the group does before it ends an instance: it gets no new requests from now on."""
        if machine.id in self._watched:
            gone, thread = self._watched.pop(machine.id)
            gone.set()
            thread.join()
            self._judge(machine, well=False)

    def stop(self) -> None:
        for gone, thread in self._watched.values():
            gone.set()
            thread.join()

    def _watch(self, machine: Machine, gone: threading.Event) -> None:
        # One that is new is healthy with its first good answer.
        in_a_row, needed = 0, 1
        while not gone.is_set():
            well = machine.id in self.healthy
            in_a_row = in_a_row + 1 if self._passes(machine) != well else 0
            if in_a_row >= needed:
                self._judge(machine, well=not well)
                in_a_row = 0
                needed = int(self._checks["HealthyThresholdCount" if well else "UnhealthyThresholdCount"])
            gone.wait(self._checks["HealthCheckIntervalSeconds"])

    def _passes(self, machine: Machine) -> bool:
        url = f"http://{machine.address}:{self._checks['Port']}{self._checks['HealthCheckPath']}"
        try:
            status = requests.get(url, timeout=self._checks["HealthCheckTimeoutSeconds"]).status_code
        except requests.RequestException:
            return False
        return str(status) == str(self._checks["Matcher"]["HttpCode"])

    def _judge(self, machine: Machine, *, well: bool) -> None:
        targets = [{"Id": machine.id, "Port": self._checks["Port"]}]
        if well:
            self._elb.register_targets(TargetGroupArn=self._group, Targets=targets)
            self.healthy.add(machine.id)
        else:
            self._elb.deregister_targets(TargetGroupArn=self._group, Targets=targets)
            self.healthy.discard(machine.id)


class Zone:
    """Where instances are; use `zone()`."""

    def __init__(self, aws: Aws, gateway: str, folder: Path, hosts: Path) -> None:
        self.aws = aws
        self._seen_from_instances = f"http://{gateway}:{aws.port}"
        # By a name of ECR, so that user data logs in as it does on AWS.
        self._registry = f"000000000000.dkr.ecr.{REGION}.amazonaws.com:{aws.port}"
        self._gateway, self._folder, self._hosts = gateway, folder, hosts
        self.metadata = folder / "metadata.json"
        self.metadata.write_text("{}")
        # What the metadata service tells each instance.
        self._told: dict[str, Any] = {}
        self._machines: list[Machine] = []
        self._removals: list[subprocess.Popen[bytes]] = []
        # What runs on an instance: all that is in no profile.
        self.rooms = compose("config", "--services").split()

    def build(self, commit: str) -> None:
        """Build the images of this checkout, as `make build` does, and push them under a commit."""
        compose(
            *("--profile", "build", "build", "--quiet", *self.rooms, "instance"),
            GIT_COMMIT=commit,
            CREATED=run("git", "show", "-s", "--format=%cI", cwd=ROOT),
            IMAGE_REPOSITORY=f"127.0.0.1:{self.aws.port}/{_OURS}",
            IMAGE_TAG=commit,
        )
        self._push(commit)

    def spoil(self, commit: str, room: str, *, of: str) -> None:
        """Push a commit whose images are another's, but one room of it is never well."""
        for one in (*self.rooms, "instance"):
            docker("tag", self._image(one, of), self._image(one, commit))
        ill = f"FROM {self._image(room, of)}\nHEALTHCHECK --interval=2s --retries=2 CMD false\n"
        docker("build", "--quiet", "--tag", self._image(room, commit), "-", input=ill)
        self._push(commit)

    def _image(self, room: str, commit: str) -> str:
        return f"127.0.0.1:{self.aws.port}/{_OURS}/{room}:{commit}"

    def _push(self, commit: str) -> None:
        ecr = self.aws.client("ecr")
        for room in (*self.rooms, "instance"):
            with contextlib.suppress(ecr.exceptions.RepositoryAlreadyExistsException):
                ecr.create_repository(repositoryName=f"{_OURS}/{room}")
            docker("push", "--quiet", self._image(room, commit))

    def deploy(self, stack: str, commit: str) -> None:
        _, complaint = self.aws.update(
            stack,
            CommitID=commit,
            ImageId=IMAGE,
            ImageRepository=f"{self._registry}/{_OURS}",
            VPCCIDRBlock="172.17.0.0/16",
            SubnetACIDRBlock="172.17.0.0/20",
            SubnetBCIDRBlock="172.17.16.0/20",
        )
        assert not complaint

    def launch(self, stack: str) -> Machine:
        """Start an instance as the stack's group would: by the newest launch template."""
        resources = self.aws.resources(stack)
        (version,) = self.aws.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=resources["LaunchTemplate"], Versions=["$Latest"]
        )["LaunchTemplateVersions"]
        data = version["LaunchTemplateData"]
        # A name for each run: what an earlier one left would answer in its place.
        machine = Machine(f"i-{os.getpid():08x}{len(self._machines):09x}")
        self._machines.append(machine)
        given = [f"--cap-add={right}" for right in _RIGHTS]
        given += [f"--security-opt={what}" for what in ("seccomp=unconfined", "apparmor=unconfined")]
        given += ["--security-opt=systempaths=unconfined", "--device-cgroup-rule=a *:* rwm"]
        given += ["--cgroupns=private", "--tmpfs=/run", "--tmpfs=/tmp", "--volume=/var/lib/docker"]
        given += [f"--label={_OURS}", f"--add-host={self._registry.partition(':')[0]}:{self._gateway}"]
        docker("create", "--name", machine.id, "--hostname", machine.id, *given, MACHINE)
        self._prepare(machine.id, base64.b64decode(data["UserData"]).decode())
        docker("start", machine.id)
        self._told[machine.id] = {
            "id": machine.id,
            "region": REGION,
            "hops": data["MetadataOptions"]["HttpPutResponseHopLimit"],
            "credentials": self._credentials(resources["InstanceRole"]),
        }
        self.know(machine)
        return machine

    def know(self, machine: Machine, hops: int | None = None) -> None:
        """Let all know an instance by the address that it has now, and perhaps by another hop limit."""
        machine.address = docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", machine.id)
        there = [one for one in self._machines if one.address]
        told = {one.address: dict(self._told[one.id]) for one in there}
        told[machine.address]["hops"] = hops or told[machine.address]["hops"]
        # Somebody may just look: neither is ever half there. The second is written in place, because it is mounted.
        new = self.metadata.with_suffix(".new")
        new.write_text(json.dumps(told))
        new.replace(self.metadata)
        with self._hosts.open("r+") as hosts:
            hosts.write("127.0.0.1 localhost\n" + "".join(f"{one.address} {one.id}\n" for one in there))
            hosts.truncate()

    def end(self, machine: Machine) -> None:
        """Shut it down, as EC2 does at first, and take it away."""
        docker("stop", "--time", "100", machine.id)
        self.remove(machine)

    def remove(self, machine: Machine) -> None:
        """Take it away; nobody waits for its disk."""
        command = ["docker", "rm", "--force", "--volumes", machine.id]
        self._removals.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def leave(self) -> None:
        """Take away all that was made."""
        for removal in self._removals:
            removal.wait()
        _sweep()

    def _prepare(self, name: str, user_data: str) -> None:
        """Hand over the user data, and where AWS is here: a machine image of one's own may say so, too."""
        root = self._folder / name
        url = self._seen_from_instances
        logs = {"logging": {"options": {"awslogs-endpoint": url}}}
        files = {
            "var/lib/cloud/seed/nocloud/user-data": user_data,
            "var/lib/cloud/seed/nocloud/meta-data": f"instance-id: {name}\nlocal-hostname: {name}\n",
            "root/.aws/config": f"[default]\nendpoint_url = {url}\n",
            "etc/docker/daemon.json": json.dumps({"insecure-registries": [self._registry]}),
            "etc/thumbstack/own.env": f"S3_ENDPOINT={url}\nTHUMBOR_PROCESSES=1\n",
            "etc/thumbstack/own.yaml": json.dumps({"services": dict.fromkeys(self.rooms, logs)}),
        }
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        docker("cp", f"{root}/.", f"{name}:/")

    def _credentials(self, role: str) -> dict[str, str]:
        arn = self.aws.client("iam").get_role(RoleName=role)["Role"]["Arn"]
        found = self.aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="instance")["Credentials"]
        return {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "LastUpdated": "2026-01-01T00:00:00Z",
            "AccessKeyId": found["AccessKeyId"],
            "SecretAccessKey": found["SecretAccessKey"],
            "Token": found["SessionToken"],
            "Expiration": found["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


@contextlib.contextmanager
def zone(folder: Path) -> Iterator[Zone]:
    """A zone whose machines can be started; nothing of it is left afterwards."""
    with _alone():
        _sweep()
        network = [] if os.environ.get("BUILD_NETWORK", "default") == "default" else ["--network", "host"]
        base = ["--build-arg", f"BASE={os.environ.get('BASE', 'debian:trixie-slim')}"]
        docker("build", "--quiet", *network, *base, "--tag", MACHINE, str(ROOT / "tests/deploy/machine"))
        gateway = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", "bridge")
        hosts = folder / "hosts"
        hosts.write_text("127.0.0.1 localhost\n")
        # Rights are seen enforced in test_deployed.py; here the bucket policies would refuse plain HTTP.
        with running(folder / "ministack.log", auth=False, hosts=hosts) as aws:
            aws.client("ssm").put_parameter(Name=IMAGE, Value="ami-0123456789abcdef0", Type="String")
            here = Zone(aws, gateway, folder, hosts)
            try:
                with _metadata_service(here.metadata):
                    yield here
            finally:
                here.leave()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """The metadata service's address is the same for all; two runs on one machine take turns."""
    with (Path(tempfile.gettempdir()) / "thumbstack-boot.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sweep() -> None:
    """Take away containers and names of images, also those of a run that was killed."""
    containers = docker("ps", "--all", "--quiet", "--filter", f"label={_OURS}").split()
    if containers:
        docker("rm", "--force", "--volumes", *containers, check=False)
    listed = ["--filter", f"reference=127.0.0.1:*/{_OURS}/*", "--filter", f"reference={MACHINE}"]
    # What was pushed is also known by its digest, be it without a tag.
    name = '{{.Repository}}{{if eq .Tag "<none>"}}@{{.Digest}}{{else}}:{{.Tag}}{{end}}'
    images = docker("image", "ls", "--digests", "--format", name, *listed).split()
    if images:
        docker("image", "rm", *images, check=False)


@contextlib.contextmanager
def _metadata_service(told: Path) -> Iterator[None]:
    # The address is the same on all of AWS; here it is one more of the bridge's.
    run("ip", "addr", "replace", f"{ADDRESS}/32", "dev", "docker0")
    try:
        with ending([sys.executable, str(ROOT / "tests/deploy/metadata.py"), str(told)]):
            yield
    finally:
        run("ip", "addr", "del", f"{ADDRESS}/32", "dev", "docker0", check=False)


@contextlib.contextmanager
def ending(command: Sequence[str]) -> Iterator[None]:
    """A server that ends with us, also where we are killed."""
    server = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command])
    try:
        yield
    finally:
        server.terminate()
        server.wait(10)

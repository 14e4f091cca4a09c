"""An instance, really booted: the deployed launch template's user data, run by cloud-init under systemd in a container
that has a Docker engine of its own and asks a metadata service for its role, as on AWS.

Not real: apt finds its packages installed, S3 and the registry are the emulator's, and it waits for no signals.
"""

import base64
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.deploy.emulator import REGION, Aws, running
from tests.deploy.environments import ROOT
from tests.deploy.metadata import ADDRESS

COMMIT = "0123456789abcdef0123456789abcdef01234567"
IMAGE = "/thumbstack/tests/image"
ROOMS = ("nginx", "uploader", "signer", "thumbor", "instance")
# All that systemd and a Docker engine need; --privileged would ask for more than some machines have.
RIGHTS = (
    *("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYS_NICE", "IPC_LOCK", "MKNOD"),
    *("SYS_CHROOT", "AUDIT_WRITE", "DAC_READ_SEARCH", "SYSLOG"),
)

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine"), pytest.mark.timeout(900)]


def run(*command: str, check: bool = True, **options: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    told: str = done.stdout
    return told.strip()


def docker(*arguments: str, check: bool = True, **options: Any) -> str:
    return run("docker", *arguments, check=check, **options)


@dataclass
class Machine:
    """One instance."""

    id: str
    address: str

    def run(self, *command: str, check: bool = True) -> str:
        return docker("exec", self.id, *command, check=check)

    def ended(self) -> str:
        """How cloud-init ended, once it has."""
        deadline = time.monotonic() + 600
        # It says other things before it has begun.
        while (status := self.run("cloud-init", "status", check=False)) not in ("status: done", "status: error"):
            assert time.monotonic() < deadline, self.log()
            time.sleep(1)
        return status

    def signals(self) -> list[str]:
        return self.run("cat", "/var/log/signals", check=False).splitlines()

    def log(self) -> str:
        return self.run("tail", "-n", "60", "/var/log/cloud-init-output.log", check=False)


class Zone:
    """What AWS is to an instance: the API, a registry, the metadata service, and who starts it."""

    def __init__(self, aws: Aws, gateway: str, folder: Path) -> None:
        self.aws = aws
        self.seen_from_instances = f"http://{gateway}:{aws.port}"
        self.registry = f"{gateway}:{aws.port}"
        self._folder = folder
        # What the metadata service tells each instance.
        self._told: dict[str, Any] = {}
        self._addresses: dict[str, str] = {}
        self._metadata = folder / "metadata.json"
        self._metadata.write_text("{}")

    @contextlib.contextmanager
    def metadata_service(self) -> Iterator[None]:
        # The address is the same on all of AWS; here it is one more of the bridge's.
        run("ip", "addr", "replace", f"{ADDRESS}/32", "dev", "docker0")
        server = subprocess.Popen([sys.executable, str(ROOT / "tests/deploy/metadata.py"), str(self._metadata)])
        try:
            yield
        finally:
            server.terminate()
            server.wait(10)
            run("ip", "addr", "del", f"{ADDRESS}/32", "dev", "docker0", check=False)

    def push_images(self) -> None:
        """What `make build` built, under the commit."""
        ecr = self.aws.client("ecr")
        for room in ROOMS:
            ecr.create_repository(repositoryName=f"thumbstack/{room}")
            name = f"127.0.0.1:{self.aws.port}/thumbstack/{room}:{COMMIT}"
            docker("tag", f"thumbstack/{room}:latest", name)
            docker("push", "--quiet", name)
            docker("rmi", name)

    @contextlib.contextmanager
    def instance(self, stack: str, number: int) -> Iterator[Machine]:
        """One that the stack's group would start."""
        resources = self.aws.resources(stack)
        (version,) = self.aws.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=resources["LaunchTemplate"], Versions=["$Latest"]
        )["LaunchTemplateVersions"]
        data = version["LaunchTemplateData"]
        # A name for each run: what an earlier one left would answer in its place.
        name = f"i-{os.getpid():08x}{number:09x}"
        given = [f"--cap-add={right}" for right in RIGHTS]
        given += [f"--security-opt={what}" for what in ("seccomp=unconfined", "apparmor=unconfined")]
        given += ["--security-opt=systempaths=unconfined", "--device-cgroup-rule=a *:* rwm", "--cgroupns=host"]
        given += ["--tmpfs=/run", "--tmpfs=/tmp", "--volume=/var/lib/docker", "--volume=/sys/fs/cgroup:/sys/fs/cgroup"]
        docker("create", "--name", name, "--hostname", name, *given, "thumbstack-machine")
        try:
            self._prepare(name, base64.b64decode(data["UserData"]).decode())
            docker("start", name)
            machine = Machine(name, "")
            self._told[name] = {
                "id": name,
                "region": REGION,
                "hops": data["MetadataOptions"]["HttpPutResponseHopLimit"],
                "credentials": self._credentials(resources["InstanceRole"]),
            }
            self.know(machine)
            # The group does so as soon as an instance runs.
            self.aws.client("elbv2").register_targets(
                TargetGroupArn=resources["TargetGroup"], Targets=[{"Id": name, "Port": 5000}]
            )
            yield machine
        finally:
            docker("rm", "--force", "--volumes", name, check=False)

    def know(self, machine: Machine, hops: int | None = None) -> None:
        """Let the metadata service know an instance by the address that it has now, and perhaps another hop limit."""
        machine.address = docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", machine.id)
        self._addresses[machine.id] = machine.address
        told = {address: dict(self._told[name]) for name, address in self._addresses.items()}
        told[machine.address]["hops"] = hops or told[machine.address]["hops"]
        self._metadata.write_text(json.dumps(told))

    def _prepare(self, name: str, user_data: str) -> None:
        """Hand over the user data, and where AWS is here: a machine image of one's own may say so, too."""
        root = self._folder / name
        url = self.seen_from_instances
        logs = {"logging": {"options": {"awslogs-endpoint": url}}}
        files = {
            "var/lib/cloud/seed/nocloud/user-data": user_data,
            "var/lib/cloud/seed/nocloud/meta-data": f"instance-id: {name}\nlocal-hostname: {name}\n",
            "root/.aws/config": f"[default]\nendpoint_url = {url}\n",
            "etc/docker/daemon.json": json.dumps({"insecure-registries": [self.registry]}),
            "etc/thumbstack/own.env": f"S3_ENDPOINT={url}\nTHUMBOR_PROCESSES=1\n",
            "etc/thumbstack/own.yaml": json.dumps({"services": dict.fromkeys(ROOMS[:-1], logs)}),
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

    def serve(self, stack: str, *machines: Machine) -> None:
        """Let the stack's load balancer ask these and no other."""
        elb, group = self.aws.client("elbv2"), self.aws.resources(stack)["TargetGroup"]
        health = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        wanted = {machine.address for machine in machines}
        gone = [{"Id": one["Target"]["Id"]} for one in health if one["Target"]["Id"] not in wanted]
        # Those that come, before those that go.
        elb.register_targets(TargetGroupArn=group, Targets=[{"Id": address, "Port": 5000} for address in wanted])
        if gone:
            elb.deregister_targets(TargetGroupArn=group, Targets=gone)

    def deploy(self, stack: str, commit: str) -> None:
        _, complaint = self.aws.update(
            stack,
            CommitID=commit,
            ImageId=IMAGE,
            ImageRepository=f"{self.registry}/thumbstack",
            VPCCIDRBlock="172.17.0.0/16",
            SubnetACIDRBlock="172.17.0.0/20",
            SubnetBCIDRBlock="172.17.16.0/20",
        )
        assert not complaint


@pytest.fixture(scope="module")
def zone(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zone]:
    if os.geteuid() != 0:
        pytest.skip("only root may give the metadata service its address: no instance is booted")
    folder = tmp_path_factory.mktemp("zone")
    network = [] if os.environ.get("BUILD_NETWORK", "default") == "default" else ["--network", "host"]
    base = ["--build-arg", f"BASE={os.environ.get('BASE', 'debian:trixie-slim')}"]
    docker("build", *network, *base, "--tag", "thumbstack-machine", str(ROOT / "tests/deploy/machine"))
    gateway = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", "bridge")
    # Rights are seen enforced in test_update_stack.py; here the bucket policies would refuse plain HTTP.
    with running(folder / "ministack.log", auth=False) as aws:
        zone = Zone(aws, gateway, folder)
        aws.client("ssm").put_parameter(Name=IMAGE, Value="ami-0123456789abcdef0", Type="String")
        zone.push_images()
        with zone.metadata_service():
            yield zone


@pytest.fixture(scope="module")
def booted(zone: Zone) -> Iterator[Machine]:
    """An instance of a commit that is well."""
    zone.deploy("good", COMMIT)
    with zone.instance("good", 1) as machine:
        machine.ended()
        yield machine


def test_a_good_commit_comes_up_and_says_so(booted: Machine) -> None:
    assert booted.ended() == "status: done", booted.log()
    (signal,) = booted.signals()

    assert f"--logical-resource-id InstanceGroup --unique-id {booted.id} --status SUCCESS" in signal
    assert requests.get(f"http://{booted.address}:5000/readyz", timeout=10).status_code == 200
    running_images = booted.run("docker", "ps", "--format", "{{.Image}} {{.Status}}").splitlines()
    assert len(running_images) == 4
    assert all(f":{COMMIT} Up" in line and "(healthy)" in line for line in running_images)


def test_secrets_are_in_files_that_only_their_room_sees(booted: Machine) -> None:
    files = booted.run("sh", "-c", "stat -c '%n %a' /etc/thumbstack/secrets/*")
    containers = booted.run("docker", "ps", "-q").split()
    environments = booted.run("docker", "inspect", "--format", "{{json .Config.Env}}", *containers)
    secret = booted.run("cat", "/etc/thumbstack/secrets/SECURITY_KEYS")

    assert [line.split()[-1] for line in files.splitlines()] == ["400", "400"]
    assert secret not in environments
    assert secret not in booted.run("cat", "/etc/thumbstack/stack.env")


class Service:
    """The stack's service, asked at its load balancer, or at one of its instances."""

    def __init__(self, zone: Zone, stack: str) -> None:
        resources = zone.aws.resources(stack)
        described = zone.aws.client("elbv2").describe_load_balancers(LoadBalancerArns=[resources["LoadBalancer"]])
        secret = zone.aws.client("secretsmanager").get_secret_value(SecretId=resources["ApiKeys"])["SecretString"]
        self._balancer = zone.aws.url
        self._headers = {
            "Host": described["LoadBalancers"][0]["DNSName"],
            "Authorization": f"Bearer {json.loads(secret)[0]['private_key']}",
        }

    def ask(self, method: str, path: str, at: Machine | None = None, **options: Any) -> requests.Response:
        url = f"http://{at.address}:5000" if at else self._balancer
        return requests.request(method, url + path, headers=self._headers, timeout=60, **options)

    def upload(self, body: bytes, name: str, at: Machine | None = None) -> str:
        """The address of a small picture of it."""
        uploaded = self.ask("POST", "/", at, files={"file": (f"{name}.jpg", body)})
        assert uploaded.status_code == 201, uploaded.text
        return f"/t/MI/u/{uploaded.json()['pictures'][0]['key']}"


@pytest.fixture(scope="module")
def service(zone: Zone, booted: Machine) -> Service:
    return Service(zone, "good")


def test_it_answers_through_the_load_balancer(zone: Zone, booted: Machine, service: Service, coffee: bytes) -> None:
    zone.serve("good", booted)

    thumbnail = service.upload(coffee, "violin")

    answer = service.ask("GET", thumbnail)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")
    assert service.ask("DELETE", "/?name=violin").status_code == 200
    assert service.ask("GET", thumbnail).status_code in (404, 410)
    assert requests.post(f"http://{booted.address}:5000", files={"file": b""}, timeout=60).status_code in (401, 403)


def test_it_tells_its_numbers(booted: Machine, zone: Zone) -> None:
    booted.run("systemctl", "is-active", "thumbstack-publish.timer")
    booted.run("systemctl", "start", "thumbstack-publish.service")

    metrics = zone.aws.client("cloudwatch").list_metrics(Namespace="Thumbstack")["Metrics"]

    assert {metric["MetricName"] for metric in metrics} >= {"RenderLoad", "DiskUsed"}


def asks_for_a_token(machine: Machine, inside: bool) -> bool:
    """Whether a token comes to the instance itself, or to a container in a network with a way out."""
    words = (
        f"import urllib.request as u; r = u.Request('http://{ADDRESS}/latest/api/token', method='PUT', "
        "headers={'X-aws-ec2-metadata-token-ttl-seconds': '60'}); u.urlopen(r, timeout=3).read()"
    )
    where = ["docker", "exec", machine.id]
    if inside:
        image = machine.run("docker", "ps", "--filter", "name=uploader", "--format", "{{.Image}}")
        where += ["docker", "run", "--rm", "--entrypoint", "python", image, "-c", words]
    else:
        where += ["python3", "-c", words]
    return subprocess.run(where, capture_output=True, check=False).returncode == 0


def test_containers_get_credentials_with_the_templates_hop_limit_and_not_with_less(zone: Zone, booted: Machine) -> None:
    assert asks_for_a_token(booted, inside=True)

    zone.know(booted, hops=1)
    try:
        assert asks_for_a_token(booted, inside=False)
        assert not asks_for_a_token(booted, inside=True)
    finally:
        zone.know(booted)


def test_an_unknown_commit_says_that_it_failed(zone: Zone) -> None:
    zone.deploy("bad", "f" * 40)

    with zone.instance("bad", 2) as machine:
        assert machine.ended() == "status: error"
        (signal,) = machine.signals()

        assert signal.endswith("--status FAILURE")


# --- Two of them.


@pytest.fixture(scope="module")
def second(zone: Zone, booted: Machine) -> Iterator[Machine]:
    with zone.instance("good", 3) as machine:
        assert machine.ended() == "status: done", machine.log()
        yield machine


@contextlib.contextmanager
def load(service: Service, path: str) -> Iterator[list[tuple[float, int | str]]]:
    """Somebody who asks for a picture again and again: when he asked, and what he got."""
    answers: list[tuple[float, int | str]] = []
    enough = threading.Event()

    def ask() -> None:
        while not enough.wait(0.05):
            asked = time.monotonic()
            try:
                answers.append((asked, service.ask("GET", path).status_code))
            except requests.RequestException as error:
                answers.append((asked, repr(error)))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        enough.set()
        thread.join()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_what_one_takes_the_other_shows_and_what_one_deletes_both_have_forgotten_in_a_minute(
    booted: Machine, second: Machine, service: Service, coffee: bytes
) -> None:
    thumbnail = service.upload(coffee, "guitar", at=booted)
    assert service.ask("GET", thumbnail, at=second).status_code == 200
    assert service.ask("GET", thumbnail, at=booted).status_code == 200

    assert service.ask("DELETE", "/?name=guitar", at=booted).status_code == 200
    deleted = time.monotonic()

    assert service.ask("GET", thumbnail, at=booted).status_code in (404, 410)
    wait_until(lambda: service.ask("GET", thumbnail, at=second).status_code in (404, 410))
    # The one bound that is promised to callers, and so the one time that is asserted.
    assert time.monotonic() - deleted < 60


def test_one_that_is_killed_takes_nothing_along_and_comes_back_by_itself(
    zone: Zone, booted: Machine, second: Machine, service: Service, coffee: bytes
) -> None:
    thumbnail = service.upload(coffee, "banjo", at=second)
    zone.serve("good", booted, second)

    with load(service, thumbnail) as answers:
        wait_until(lambda: len(answers) > 20)
        docker("kill", booted.id)
        # Health checks do this on AWS after three failures; the emulator has none.
        zone.serve("good", second)
        seen_dead = time.monotonic()
        count = len(answers)
        wait_until(lambda: len(answers) > count + 40)

    assert {status for asked, status in answers if asked > seen_dead} == {200}
    # As after a reboot: nothing is started but the machine.
    docker("start", booted.id)
    zone.know(booted)
    wait_until(lambda: readiness(booted) == 200)


def readiness(machine: Machine) -> int:
    try:
        return requests.get(f"http://{machine.address}:5000/readyz", timeout=10).status_code
    except requests.RequestException:
        return 0


def test_an_instance_that_is_replaced_fails_nobody(
    zone: Zone, booted: Machine, second: Machine, service: Service, coffee: bytes
) -> None:
    thumbnail = service.upload(coffee, "lute", at=booted)
    zone.serve("good", booted)

    with load(service, thumbnail) as answers:
        wait_until(lambda: len(answers) > 20)
        zone.serve("good", booted, second)
        zone.serve("good", second)
        # The load balancer waits for what is under way (deregistration_delay), then the machine is shut down.
        time.sleep(2)
        docker("stop", "--time", "100", booted.id)
        count = len(answers)
        wait_until(lambda: len(answers) > count + 40)

    assert {status for _, status in answers} == {200}

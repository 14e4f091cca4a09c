"""Instances, really booted: the deployed launch template's user data, run by cloud-init under systemd in a container
that has a Docker engine of its own and asks a metadata service for its role, as on AWS. The images are this checkout's.

Not real: apt finds its packages installed; S3, the registry and the load balancer are the emulator's, which knows no
health checks and no groups: zone.py plays both, by the numbers of the template.
"""

import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.deploy.environments import ROOT
from tests.deploy.metadata import ADDRESS
from tests.deploy.zone import HealthChecks, Machine, Zone, docker, run, wait_until
from tests.deploy.zone import zone as a_zone

# Of the other commits only the images are there.
UNKNOWN, BROKEN, NEXT = "f" * 40, "b" * 40, "c" * 40
STACK = "pictures"

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine"), pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def zone(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zone]:
    if os.geteuid() != 0:
        pytest.skip("only root may give the metadata service its address: no instance is booted")
    with a_zone(tmp_path_factory.mktemp("zone")) as here:
        yield here


@pytest.fixture(scope="module")
def commit(zone: Zone) -> str:
    """The checkout's, whose images are in the registry: with what is not committed yet, where there is such."""
    head = run("git", "rev-parse", "HEAD", cwd=ROOT)
    zone.build(head)
    zone.deploy(STACK, head)
    return head


class Group:
    """The stack's instances, and the health checks that decide which of them are asked."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self.checks = HealthChecks(zone.aws, zone.aws.resources(STACK)["TargetGroup"])
        self.machines: list[Machine] = []

    def launch(self) -> Machine:
        machine = self._zone.launch(STACK)
        self.machines.append(machine)
        self.checks.add(machine)
        return machine

    def end(self, machine: Machine) -> None:
        """As EC2 does; who was sent to it before has had his answer by then (deregistration_delay)."""
        self.machines.remove(machine)
        self.checks.remove(machine)
        self._zone.end(machine)


@pytest.fixture(scope="module")
def group(zone: Zone, commit: str) -> Iterator[Group]:
    """As many as the template's MinSize, started at once."""
    group = Group(zone)
    try:
        for _ in range(2):
            group.launch()
        for machine in group.machines:
            machine.ended()
        yield group
    finally:
        group.checks.stop()


class Service:
    """The stack's service, asked at its load balancer, or at one of its instances."""

    def __init__(self, zone: Zone) -> None:
        resources = zone.aws.resources(STACK)
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
def service(zone: Zone, group: Group) -> Service:
    return Service(zone)


@pytest.fixture
def one(group: Group) -> Machine:
    """Any instance that is well."""
    return next(machine for machine in group.machines if machine.id in group.checks.healthy)


def test_a_good_commit_comes_up_and_says_so(zone: Zone, group: Group, commit: str) -> None:
    for machine in group.machines:
        assert machine.ended() == "status: done", machine.log()
        (signal,) = machine.signals()

        assert f"--logical-resource-id InstanceGroup --unique-id {machine.id} --status SUCCESS" in signal
        assert machine.status("/readyz") == 200
        containers = machine.run("docker", "ps", "--format", "{{.Image}} {{.Status}}").splitlines()
        assert len(containers) == len(zone.rooms)
        assert all(f":{commit} Up" in line and "(healthy)" in line for line in containers)


def test_what_runs_is_this_checkout(one: Machine, commit: str) -> None:
    images = one.run("docker", "ps", "--format", "{{.Image}}").split()
    revision = '{{index .Config.Labels "org.opencontainers.image.revision"}}'
    folder = ROOT / "deploy/instance"

    assert set(one.run("docker", "image", "inspect", "--format", revision, *images).split()) == {commit}
    assert requests.get(f"http://{one.address}:5000/version", timeout=10).json() == {"commit": commit}
    for file in filter(Path.is_file, folder.iterdir()):
        assert one.run("cat", f"/opt/thumbstack/{file.name}") == file.read_text().strip()


def test_secrets_are_in_files_that_only_their_room_sees(one: Machine) -> None:
    files = one.run("sh", "-c", "stat -c '%n %a %u' /etc/thumbstack/secrets/* /etc/thumbstack/stack.env")
    containers = one.run("docker", "ps", "-q").split()
    described = one.run("docker", "inspect", *containers)
    secret = one.run("cat", "/etc/thumbstack/secrets/SECURITY_KEYS")

    assert [line.split()[1:] for line in files.splitlines()] == [["400", "10001"], ["400", "10001"], ["600", "0"]]
    assert one.run("stat", "-c", "%a", "/etc/thumbstack/secrets") == "700"
    assert secret not in described
    assert secret not in one.run("cat", "/etc/thumbstack/stack.env")
    assert secret not in one.run("cat", "/var/log/cloud-init-output.log")


def test_it_answers_through_the_load_balancer(one: Machine, service: Service, coffee: bytes) -> None:
    thumbnail = service.upload(coffee, "violin")

    answer = service.ask("GET", thumbnail)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")
    assert service.ask("GET", "/healthz").status_code == 200
    assert service.ask("DELETE", "/?name=violin").status_code == 200
    # The one that was not asked hears of it within a minute: below.
    assert requests.post(f"http://{one.address}:5000", files={"file": b""}, timeout=60).status_code in (401, 403)


def test_it_tells_its_numbers(one: Machine, zone: Zone) -> None:
    one.run("systemctl", "is-active", "thumbstack-publish.timer")
    one.run("systemctl", "start", "thumbstack-publish.service")

    metrics = zone.aws.client("cloudwatch").list_metrics(Namespace="Thumbstack")["Metrics"]

    assert {metric["MetricName"] for metric in metrics} >= {"RenderLoad", "DiskUsed"}
    assert all(metric["Dimensions"] == [{"Name": "Stack", "Value": STACK}] for metric in metrics)


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


def test_containers_get_credentials_with_the_templates_hop_limit_and_not_with_less(zone: Zone, one: Machine) -> None:
    assert asks_for_a_token(one, inside=True)

    zone.know(one, hops=1)
    try:
        assert asks_for_a_token(one, inside=False)
        assert not asks_for_a_token(one, inside=True)
    finally:
        zone.know(one)


def test_user_data_run_again_changes_nothing(one: Machine) -> None:
    containers = one.run("docker", "ps", "--quiet", "--no-trunc")
    one.run("sh", "-c", "tar -c /etc/hostname | docker import - left/over")

    one.run("sh", "-c", "/var/lib/cloud/instance/scripts/part-001 >>/var/log/cloud-init-output.log 2>&1")

    assert one.run("docker", "ps", "--quiet", "--no-trunc") == containers
    assert one.signals()[-1].endswith("--status SUCCESS")
    # Nor is there anything on the disk that no container needs.
    assert one.run("docker", "ps", "--all", "--quiet", "--no-trunc") == containers
    assert one.run("docker", "image", "ls", "--quiet", "left/over") == ""


# --- Two of them.


class Load:
    """People who ask for a picture and upload others, again and again: when they asked, and what they got."""

    def __init__(self, service: Service, picture: str, body: bytes) -> None:
        self._service, self._picture, self._body = service, picture, body
        self.answers: list[tuple[float, int | str]] = []
        self._under_way: dict[int, float] = {}
        self._enough = threading.Event()

    def _ask(self, number: int) -> None:
        count = 0
        while not self._enough.wait(0.1):
            asked = self._under_way[number] = time.monotonic()
            count += 1
            try:
                # One of them uploads, under a new name each time.
                answer = (
                    self._service.ask("POST", "/", files={"file": (f"busker-{asked}.jpg", self._body)})
                    if number == 0
                    else self._service.ask("GET", self._picture)
                )
                outcome: int | str = answer.status_code if answer.ok else f"{answer.status_code} {answer.text}"
            except requests.RequestException as error:
                outcome = repr(error)
            self.answers.append((asked, outcome))
            del self._under_way[number]

    def go_on(self, answers: int = 40) -> None:
        """Let so many more be answered."""
        enough = len(self.answers) + answers
        wait_until(lambda: len(self.answers) >= enough)

    def settle(self) -> None:
        """Wait until whoever has asked before now has his answer."""
        now = time.monotonic()
        wait_until(lambda: all(asked > now for asked in list(self._under_way.values())))

    def outcomes(self, since: float = 0) -> set[int | str]:
        return {outcome for asked, outcome in self.answers if asked >= since}

    @contextlib.contextmanager
    def running(self) -> Iterator["Load"]:
        threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        try:
            self.go_on()
            yield self
            self.go_on()
        finally:
            self._enough.set()
            for thread in threads:
                thread.join()


@pytest.fixture
def load(service: Service, coffee: bytes) -> Iterator[Load]:
    with Load(service, service.upload(coffee, "lute"), coffee).running() as load:
        yield load


def test_what_one_takes_the_other_shows_and_what_one_deletes_both_have_forgotten_in_a_minute(
    group: Group, service: Service, coffee: bytes
) -> None:
    first, second = group.machines
    thumbnail = service.upload(coffee, "guitar", at=first)
    assert service.ask("GET", thumbnail, at=second).status_code == 200
    assert service.ask("GET", thumbnail, at=first).status_code == 200

    assert service.ask("DELETE", "/?name=guitar", at=first).status_code == 200
    deleted = time.monotonic()

    assert service.ask("GET", thumbnail, at=first).status_code in (404, 410)
    wait_until(lambda: service.ask("GET", thumbnail, at=second).status_code in (404, 410))
    # The one bound that is promised to callers, and so the one time that is asserted.
    assert time.monotonic() - deleted < 60


def test_a_commit_that_is_unknown_or_broken_says_so_and_why_while_the_old_one_serves(
    zone: Zone, group: Group, commit: str, load: Load
) -> None:
    zone.spoil(BROKEN, "thumbor", of=commit)
    zone.deploy(STACK, BROKEN)
    broken = zone.launch(STACK)
    zone.deploy(STACK, UNKNOWN)
    unknown = zone.launch(STACK)

    for machine, reason in ((unknown, "manifest unknown"), (broken, "start: the rooms do not come up")):
        assert machine.ended() == "status: error", machine.log()
        (signal,) = machine.signals()
        assert f"--unique-id {machine.id} --status FAILURE" in signal
        # The machine does not outlive its failure.
        streams = zone.aws.client("logs").get_log_events(
            logGroupName=f"/thumbstack/{STACK}", logStreamName=f"{machine.id}/start"
        )
        assert reason in streams["events"][0]["message"]
        zone.remove(machine)

    # As CloudFormation then does, which waits for signals; the emulator does not.
    zone.deploy(STACK, commit)
    load.go_on()
    assert load.outcomes() == {200, 201}


@pytest.fixture
def new_commit(zone: Zone) -> str:
    zone.build(NEXT)
    return NEXT


def test_an_instance_of_a_new_commit_takes_the_place_of_an_old_one_and_fails_nobody(
    zone: Zone, group: Group, new_commit: str, load: Load, service: Service
) -> None:
    zone.deploy(STACK, new_commit)

    # One step of the update, which goes on one by one: MaxBatchSize, and MinInstancesInService.
    old = group.machines[0]
    new = group.launch()
    assert new.ended() == "status: done", new.log()
    assert new.signals()[-1].endswith("--status SUCCESS")
    assert new.id in group.checks.healthy
    group.checks.remove(old)
    load.settle()
    group.end(old)

    load.go_on()
    assert load.outcomes() == {200, 201}
    assert service.ask("GET", "/version", at=new).json() == {"commit": new_commit}


def test_one_that_is_killed_is_found_out_and_replaced(group: Group, load: Load, zone: Zone) -> None:
    victim = group.machines[0]

    docker("kill", victim.id)
    wait_until(lambda: victim.id not in group.checks.healthy)
    found_out = time.monotonic()
    group.end(victim)
    replacement = group.launch()

    assert replacement.ended() == "status: done", replacement.log()
    wait_until(lambda: replacement.id in group.checks.healthy)
    load.go_on()
    assert load.outcomes(since=found_out) == {200, 201}
    # Before, some were sent to the dead one, and were told so by the load balancer, or had half an answer.
    lost = load.outcomes() - {200, 201}
    assert all(f"Target {victim.id}:5000" in str(one) or "IncompleteRead" in str(one) for one in lost), lost


def test_after_a_reboot_all_is_there_again_by_itself(zone: Zone, group: Group) -> None:
    machine = group.machines[0]

    docker("restart", "--time", "100", machine.id)
    zone.know(machine)

    wait_until(lambda: machine.status("/readyz") == 200)
    assert machine.run("systemctl", "is-active", "thumbstack-publish.timer") == "active"

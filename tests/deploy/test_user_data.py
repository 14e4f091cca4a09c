"""What an instance does when a step of its start fails: user data and `start` as they are, among programs that fail as
told (machine/stub). Where nothing fails, the programs are real: test_boot.py.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.zone import run

ROOT = Path(__file__).parents[2]
VALUES = {
    "CommitID": "a" * 40,
    "Images": "000000000000.dkr.ecr.eu-west-1.amazonaws.com/thumbstack",
    "LogGroup": "/thumbstack/pictures",
    "Cdn": "false",
    "DiskGigabytes": "30",
}
NAMES = "apt-get aws docker systemctl dpkg sleep timeout"

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine")]


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """User data as CloudFormation renders it, and what stands for the machine's programs."""
    folder = tmp_path_factory.mktemp("stubs")
    found = re.search(r"^ *#!/bin/bash\n.*?(?=^ *- Images:)", (ROOT / "cf_template.yaml").read_text(), re.M | re.S)
    assert found
    lines = [line.strip() for line in found[0].splitlines()]
    text = re.sub(
        r"\$\{(?!!)([A-Za-z:.]+)\}", lambda name: VALUES.get(name[1], name[1].lower()), "\n".join(lines) + "\n"
    )
    (folder / "user-data").write_text(text.replace("${!", "${"))
    (folder / "stub").write_bytes((ROOT / "tests/deploy/machine/stub").read_bytes())
    (folder / "stub").chmod(0o755)
    (folder / "boot").write_text(
        "rm -rf /calls /failures /etc/thumbstack /opt/thumbstack\n"
        f"for name in {NAMES}; do ln -sf /stubs/stub /usr/local/bin/$name; done\n"
        "mkdir -p /var/lib/cloud/data /etc/systemd/system && echo i-1 >/var/lib/cloud/data/instance-id\n"
        "bash /stubs/user-data >/var/log/cloud-init-output.log 2>&1; echo $?; cat /calls; echo ---\n"
        "cat /var/log/cloud-init-output.log\n"
    )
    return folder


@dataclass
class Ended:
    """How a start ended."""

    status: int
    calls: str
    log: str

    @property
    def signals(self) -> list[str]:
        return re.findall(r"^aws cloudformation signal-resource .* --status (\w+)$", self.calls, re.M)


@pytest.fixture(scope="module")
def machine(stubs: Path) -> Iterator[str]:
    """A container that is a machine's file system, and ends by itself should nobody end it."""
    given = ["--volume", f"{stubs}:/stubs:ro", "--volume", f"{ROOT}/deploy/instance:/given:ro", "--network", "none"]
    base = os.environ.get("BASE", "debian:trixie-slim")
    container = run("docker", "run", "--detach", "--rm", "--init", *given, base, "sleep", "600")
    yield container
    run("docker", "rm", "--force", container)


class Start:
    """Starts in that machine, as if it were new each time."""

    def __init__(self, machine: str) -> None:
        self._machine = machine

    def __call__(self, fails: str = "", times: int = 1000, hangs: bool = False) -> Ended:
        given = ["--env", f"FAILS={fails}", "--env", f"TIMES={times}", "--env", f"HANGS={'2' if hangs else ''}"]
        told = run("docker", "exec", *given, self._machine, "bash", "/stubs/boot")
        status, _, rest = told.partition("\n")
        calls, _, log = rest.partition("---\n")
        return Ended(int(status), calls, log)


@pytest.fixture(scope="module")
def start(machine: str) -> Start:
    return Start(machine)


def test_where_nothing_fails_success_is_signalled_once(start: Start) -> None:
    ended = start()

    assert (ended.status, ended.signals) == (0, ["SUCCESS"]), ended.log
    assert "--stack-name aws::stackname --logical-resource-id InstanceGroup --unique-id i-1" in ended.calls
    assert "put-log-events" not in ended.calls
    # Neither a list of processes nor a log holds a secret.
    assert "hush-hush" not in ended.calls + ended.log


@pytest.mark.parametrize(
    "fails",
    [
        pytest.param("apt-get * update", id="a mirror"),
        pytest.param("apt-get * install *", id="another who installs"),
        pytest.param("aws ecr *", id="the registry's token"),
        pytest.param("docker login *", id="the registry's login"),
        pytest.param("docker create *", id="the registry, at first"),
        pytest.param("docker compose * pull *", id="the registry, later"),
        pytest.param("aws secretsmanager *", id="the secrets"),
        pytest.param("healthy *", id="a bucket"),
        pytest.param("aws elbv2 *", id="the load balancer"),
    ],
)
def test_what_is_away_for_a_moment_is_asked_again(start: Start, fails: str) -> None:
    ended = start(fails, times=3)

    assert (ended.status, ended.signals) == (0, ["SUCCESS"]), ended.log


@pytest.mark.parametrize(
    ("fails", "reason"),
    [
        pytest.param("apt-get *", "apt-get -qq update: this fails", id="packages"),
        pytest.param("docker login *", "docker login", id="login"),
        pytest.param("docker create *", "docker create", id="the instance's files"),
        # The logs, too: then CloudFormation is told at least.
        pytest.param("aws [ls]*", "start: secret SECURITY_KEYS securitykeys failed", id="secrets, and the logs"),
        pytest.param("docker compose * pull *", "start: compose pull --quiet failed", id="images"),
        pytest.param("docker compose * up *", "start: the rooms do not come up", id="rooms"),
        pytest.param("systemctl *", "systemctl daemon-reload: this fails", id="the timer"),
        pytest.param("healthy *", "start: the rooms cannot do their work, after 60 tries", id="buckets"),
        pytest.param(
            "aws elbv2 *", "start: the load balancer does not find it healthy, after 60 tries", id="load balancer"
        ),
    ],
)
def test_what_fails_for_good_is_signalled_and_its_reason_logged(start: Start, fails: str, reason: str) -> None:
    ended = start(fails)

    assert ended.status != 0
    assert ended.signals == ["FAILURE"], ended.log
    assert reason in ended.log
    where = "--log-group-name /thumbstack/pictures --log-stream-name i-1/start"
    _, _, sent = ended.calls.partition(f"aws logs put-log-events {where} --log-events timestamp=")
    assert reason.replace(",", " ") in sent
    assert "hush-hush" not in ended.calls + ended.log


def test_what_hangs_is_given_up_in_time_to_say_so(start: Start) -> None:
    ended = start("docker compose * up *", hangs=True)

    assert ended.signals == ["FAILURE"], ended.log
    assert "start: not up after ten minutes" in ended.log


def test_no_session_manager_is_no_reason_to_fail(start: Start) -> None:
    ended = start("aws s3 *")

    assert (ended.status, ended.signals) == (0, ["SUCCESS"])
    assert "start: no Session Manager on this instance" in ended.log

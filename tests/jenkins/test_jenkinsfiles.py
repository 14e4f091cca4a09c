"""Both Jenkinsfiles, stage by stage, each broken once. Their shells run, but the Makefile is a scripted one that only
tells what it was asked: what the targets really do is seen in test_delivery.py and in tests/deploy.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.jenkins.jenkins import CREDENTIALS, ROOT, Played, git, play

BUILD, DEPLOY = ROOT / "Jenkinsfile_build", ROOT / "Jenkinsfile_deploy"
HUB = {"REGISTRY": "registry.example/pictures"}
ECR = {"REGISTRY": "123456789012.dkr.ecr.eu-west-1.amazonaws.com"}
# FAIL is the target that fails, and BEFORE the commit that the stack has.
MAKEFILE = """\
%:
\t@echo "$@: login=$$REGISTRY_USER/$$REGISTRY_PASSWORD aws=$$AWS_ACCESS_KEY_ID/$$AWS_SECRET_ACCESS_KEY" \\
\t\t"region=$$AWS_DEFAULT_REGION commit=$$CommitID/$$COMMIT_ID stack=$$STACK_NAME network=$$VPCCIDRBlock" \\
\t\t| tee -a "$$TOLD" >&2
\t@[ "$@ $$CommitID" != "$$FAIL $${FAIL_AT:-$$CommitID}" ]
\t@mkdir -p dist/bills; case $@ in test) cp "$$TESTS" dist/tests.xml;; build) echo '{}' >dist/bills/nginx.cdx.json;; \\
\t\tstack_commit) echo "$$BEFORE";; esac
"""
TESTS = '<testsuites><testsuite tests="3" failures="{failures}" errors="0" skipped="1"></testsuite></testsuites>'


class Repository:
    """What is checked out: a Makefile, in two commits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "repository"
        self.folder.mkdir()
        git(self.folder, "init", "--quiet", "--initial-branch=main")
        (self.folder / "Makefile").write_text(MAKEFILE)
        git(self.folder, "add", ".")
        git(self.folder, "commit", "--quiet", "--message=One")
        self.before = git(self.folder, "rev-parse", "HEAD")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message=Two")
        self.commit = git(self.folder, "rev-parse", "HEAD")
        self.told = folder / "told"
        self.workspace = folder / "workspace"

    def play(self, file: Path, environment: Mapping[str, str], parameters: Mapping[str, str] | None = None) -> Played:
        tests = self.folder.with_suffix(".xml")
        tests.write_text(TESTS.format(failures=environment.get("FAILURES", "0")))
        jobs = () if "NO_JOB" in environment else ("Deploy",)
        agent = {"TOLD": str(self.told), "TESTS": str(tests), "FAIL": "", "BEFORE": "", **environment}
        return play(file, self.folder, self.workspace, agent, parameters, jobs=jobs)

    def deploy(self, parameters: Mapping[str, str] | None = None, **environment: str) -> Played:
        given = {"COMMIT_ID": self.commit, **(parameters or {})}
        return self.play(DEPLOY, {"BEFORE": self.before, **environment}, given)

    def targets(self) -> list[str]:
        """What make was asked, in order."""
        return [line.partition(":")[0] for line in self.lines()]

    def lines(self) -> list[str]:
        return self.told.read_text().splitlines() if self.told.exists() else []


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


# --- Jenkinsfile_build.


def test_a_build_goes_from_lint_to_the_job_that_deploys_it(repository: Repository) -> None:
    played = repository.play(BUILD, HUB)

    assert played.code == 0, played.log
    assert repository.targets() == ["lint", "test", "build", "test_images", "push", "clean"]
    assert played.stages == {
        "Lint": "SUCCESS",
        "Test": "SUCCESS",
        "Build": "SUCCESS",
        "Test the images": "SUCCESS",
        "Push to ECR": "SKIPPED",
        "Push": "SUCCESS",
        "Clean": "SUCCESS",
        "Deploy": "SUCCESS",
    }
    assert played.record["tests"] == {"tests": 3, "failures": 0, "errors": 0, "skipped": 1}
    assert played.record["artifacts"] == ["dist/bills/nginx.cdx.json"]
    assert played.record["triggered"] == [
        {
            "job": "Deploy",
            "parameters": {
                "COMMIT_ID": repository.commit,
                "STACK_NAME": "thumbstack",
                "AWS_REGION": "eu-west-1",
                "VPCCIDRBlock": "10.0.0.0/16",
                "SubnetACIDRBlock": "10.0.10.0/24",
                "SubnetBCIDRBlock": "10.0.20.0/24",
            },
        }
    ]
    assert not repository.workspace.exists()
    assert re.match(r"\[\d\d:\d\d:\d\d\] ", played.log)


def test_only_the_push_is_handed_the_registrys_login_and_no_log_shows_it(repository: Repository) -> None:
    played = repository.play(BUILD, HUB)

    with_login = [line.partition(":")[0] for line in repository.lines() if "login=docker/registry-secret" in line]
    assert with_login == ["push"]
    assert "registry-secret" not in played.log
    assert "login=docker/****" in played.log
    assert not [line for line in repository.lines() if CREDENTIALS["aws-secret-access-key"] in line]


def test_ecr_is_pushed_to_with_the_credentials_of_aws(repository: Repository) -> None:
    played = repository.play(BUILD, ECR)

    assert played.code == 0, played.log
    assert (played.stages["Push to ECR"], played.stages["Push"]) == ("SUCCESS", "SKIPPED")
    (push,) = [line for line in repository.lines() if line.startswith("push:")]
    assert f"aws=test/{CREDENTIALS['aws-secret-access-key']}" in push
    assert "login=/ " in push
    assert CREDENTIALS["aws-secret-access-key"] not in played.log


def test_who_does_not_want_it_deployed_gets_images_only(repository: Repository) -> None:
    played = repository.play(BUILD, HUB, {"DEPLOY": "false"})

    assert played.code == 0, played.log
    assert played.stages["Deploy"] == "SKIPPED"
    assert played.record["triggered"] == []


@pytest.mark.parametrize(
    ("stage", "broken"),
    [
        ("Lint", HUB | {"FAIL": "lint"}),
        ("Test", HUB | {"FAIL": "test"}),
        ("Build", HUB | {"FAIL": "build"}),
        ("Test the images", HUB | {"FAIL": "test_images"}),
        ("Push to ECR", ECR | {"FAIL": "push"}),
        ("Push", HUB | {"FAIL": "push"}),
        ("Clean", HUB | {"FAIL": "clean"}),
        ("Deploy", HUB | {"NO_JOB": "1"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_build_stops_where_it_fails_and_tidies_up(repository: Repository, stage: str, broken: dict[str, str]) -> None:
    played = repository.play(BUILD, broken)

    assert played.code == 1, played.log
    assert played.record["result"] == "FAILURE"
    names = list(played.stages)
    after = names[names.index(stage) + 1 :]
    assert played.stages[stage] == "FAILURE"
    assert all(played.stages[name] in ("SUCCESS", "SKIPPED") for name in names[: names.index(stage)])
    assert all(played.stages[name] == "NOT_BUILT" for name in after)
    assert played.record["triggered"] == []
    # post: the images are removed, and the workspace.
    assert repository.targets()[-1] == "clean"
    assert not repository.workspace.exists()


def test_results_of_tests_that_failed_are_told(repository: Repository) -> None:
    played = repository.play(BUILD, HUB | {"FAILURES": "2"})

    assert played.record["tests"]["failures"] == 2
    assert played.record["result"] == "UNSTABLE"


# --- docs/jenkins.md.


def test_the_jobs_that_are_made_of_the_file_know_all_that_their_jenkinsfiles_declare() -> None:
    """Jenkins drops a parameter that a job does not know, and each reading of the file makes the job anew."""
    (text,) = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs/jenkins.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    configuration = yaml.safe_load(text)
    (script,) = [job["script"] for job in configuration["jobs"]]
    declared = re.findall(r"^ +string\(name: '(\w+)'", DEPLOY.read_text(), flags=re.MULTILINE)
    polled = re.findall(r"pollSCM\('(.+)'\)", BUILD.read_text())
    (domain,) = configuration["credentials"]["system"]["domainCredentials"]

    assert sorted(re.findall(r"'([A-Z]\w+(?:_ID|_NAME|_REGION|Block))'", script)) == sorted(declared)
    assert re.findall(r"scmpoll_spec\('(.+)'\)", script) == polled
    assert set(re.findall(r"scriptPath\('(\w+)'\)", script)) == {BUILD.name, DEPLOY.name}
    assert {one["id"] for credential in domain["credentials"] for one in credential.values()} == CREDENTIALS.keys()


# --- Jenkinsfile_deploy.


def test_a_deploy_shows_the_changes_makes_them_and_sees_whether_it_works(repository: Repository) -> None:
    played = repository.deploy({"STACK_NAME": "pictures", "AWS_REGION": "us-east-1", "VPCCIDRBlock": "10.9.0.0/16"})

    assert played.code == 0, played.log
    assert repository.targets() == ["stack_commit", "stack_changes", "update_stack", "smoke"]
    assert set(played.stages.values()) == {"SUCCESS"}
    for line in repository.lines():
        assert f"aws=test/{CREDENTIALS['aws-secret-access-key']} region=us-east-1" in line
        assert f"commit={repository.commit}/{repository.commit} stack=pictures network=10.9.0.0/16" in line
    assert CREDENTIALS["aws-secret-access-key"] not in played.log
    assert f"The stack has {repository.before}" in played.log
    assert not repository.workspace.exists()


@pytest.mark.parametrize(
    ("stage", "parameters", "environment"),
    [
        ("Check", {"COMMIT_ID": "main"}, {}),
        ("Checkout", {"COMMIT_ID": "0" * 40}, {}),
        ("Changes", {}, {"FAIL": "stack_commit"}),
        ("Changes", {}, {"FAIL": "stack_changes"}),
        ("Update", {}, {"FAIL": "update_stack"}),
        ("Smoke", {}, {"FAIL": "smoke"}),
    ],
    ids=["Check", "Checkout", "Changes-commit", "Changes", "Update", "Smoke"],
)
def test_a_deploy_stops_where_it_fails_and_tidies_up(
    repository: Repository, stage: str, parameters: Mapping[str, str], environment: dict[str, str]
) -> None:
    played = repository.deploy(parameters, **environment)

    assert played.code == 1, played.log
    names = list(played.stages)
    assert played.stages[stage] == "FAILURE"
    assert all(played.stages[name] == "SUCCESS" for name in names[: names.index(stage)])
    assert all(played.stages[name] == "NOT_BUILT" for name in names[names.index(stage) + 1 :])
    assert not repository.workspace.exists()


def test_what_fails_the_smoke_test_is_taken_back_and_the_build_has_failed(repository: Repository) -> None:
    played = repository.deploy(FAIL="smoke", FAIL_AT=repository.commit)

    assert played.code == 1, played.log
    assert repository.targets() == ["stack_commit", "stack_changes", "update_stack", "smoke", "update_stack", "smoke"]
    back = repository.lines()[-2:]
    assert all(f"commit={repository.before}/{repository.before} " in line for line in back)
    assert f"git checkout --quiet --detach {repository.before}" in played.log


@pytest.mark.parametrize("before", ["none", "same"])
def test_where_there_is_nothing_to_go_back_to_the_stack_stays(repository: Repository, before: str) -> None:
    played = repository.deploy(FAIL="smoke", BEFORE="" if before == "none" else repository.commit)

    assert played.code == 1, played.log
    assert repository.targets()[-1] == "smoke"
    assert "There is no commit before to go back to: the stack stays as it is." in played.log


@pytest.mark.parametrize(
    "name", ["COMMIT_ID", "STACK_NAME", "AWS_REGION", "VPCCIDRBlock", "SubnetACIDRBlock", "SubnetBCIDRBlock"]
)
def test_no_parameter_becomes_a_command(repository: Repository, name: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    played = repository.deploy({name: f"$(touch {mark}); touch {mark}"})

    assert played.stages["Check"] == "FAILURE"
    assert f"{name} is " in played.log
    assert not mark.exists()
    assert repository.lines() == []

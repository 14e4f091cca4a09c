"""The player of Jenkinsfiles itself: what it takes, what it refuses, and what it does in what order."""

import time
from pathlib import Path

import pytest

from tests.jenkins.jenkins import Played, git, play


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=One")
    return folder


class Player:
    def __init__(self, folder: Path, source: Path) -> None:
        self._file, self._source = folder / "Jenkinsfile", source
        self.workspace = folder / "workspace"

    def __call__(self, text: str, **parameters: str) -> Played:
        self._file.write_text(text)
        return play(self._file, self._source, self.workspace, parameters=parameters, credentials={"pair": "me:pass"})

    def steps(self, steps: str, post: str = "") -> Played:
        return self(
            f"pipeline {{\n agent any\n stages {{ stage('One') {{ steps {{\n{steps}\n }} }} }}\n"
            f" post {{ always {{ echo 'post was here' }}\n {post} }}\n}}\n"
        )


@pytest.fixture
def player(tmp_path: Path, source: Path) -> Player:
    return Player(tmp_path, source)


STAGES = "stages { stage('One') { steps { sh 'touch ../done' } } }"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f"pipeline {{ {STAGES} }}", "'agent' is missing in pipeline"),
        ("pipeline { agent any }", "'stages' is missing in pipeline"),
        (f"pipeline {{ agent any; {STAGES}; stags {{ }} }}", "'stags' has no place in pipeline"),
        (f"pipeline {{ agent any; agent any; {STAGES} }}", "'agent' stands twice in pipeline"),
        (f"pipeline {{ agent some; {STAGES} }}", "'some' means nothing in pipeline"),
        (f"pipeline {{ agent any; {STAGES}; post {{ allways {{ echo 'a' }} }} }}", "'allways' has no place in post"),
        (f"pipeline {{ agent any; options {{ timestamp() }}; {STAGES} }}", "'timestamp' has no place in options"),
        (f"pipeline {{ agent any; options {{ timeout(2) }}; {STAGES} }}", "'timeout' in options does not take [2]"),
        ("pipeline { agent any; stages { stage('One') { } } }", "'steps' is missing in stage 'One'"),
        ("pipeline { agent any; stages { stage { steps { } } } }", "'stage' in stages does not take"),
        (
            f"pipeline {{ agent any; parameters {{ string(name: 'A', default: '') }}; {STAGES} }}",
            "A does not know default",
        ),
        ("pipeline { agent any; stages { stage('One') { when { brunch 'main' }; steps { sh 'true' } } } }", "'brunch'"),
        (
            "pipeline { agent any; stages { stage('One') { steps { def a = 1 } } } }",
            "line 1: expected a step",
        ),
        (
            "pipeline { agent any; stages { stage('One') { steps { if (1) { a() } } } } }",
            "expected a step in 'steps'",
        ),
        (f"pipeline {{ agent any; environment {{ sh 'true' }}; {STAGES} }}", "expected NAME = value in 'environment'"),
        (
            f"pipeline {{ agent any; parameters {{ string(name: 'A') }}; environment {{ B = params.A }}; {STAGES} }}",
            "the value of a variable must be quoted, or a function's",
        ),
        ("pipeline { agent any; stages { stage('One') { steps { } } } }", "'steps' is empty"),
        (f"pipeline {{ agent any; options {{ }}; {STAGES} }}", "'options' is empty"),
        (f"pipeline {{ agent any; {STAGES} ", "expecting '}'"),
        ("// nothing", "there are 0 pipelines in it"),
    ],
    ids=lambda value: value[:40] if value.startswith("'") else "",
)
def test_what_jenkins_would_not_take_is_refused_before_anything_is_done(
    player: Player, text: str, complaint: str
) -> None:
    played = player(text)

    assert played.code == 2
    assert played.log.startswith("INVALID Jenkinsfile: ")
    assert complaint in played.log
    assert not player.workspace.exists()


def test_a_parameter_that_is_not_declared_is_refused(player: Player) -> None:
    played = player(f"pipeline {{ agent any; {STAGES} }}", A="b")

    assert (played.code, "no such parameter: A" in played.log) == (2, True)


@pytest.mark.parametrize(
    ("steps", "complaint"),
    [
        ("sh 'exit 3'", "script returned exit code 3"),
        ("sh 'false; true'", "script returned exit code 1"),
        ("error 'no more'", "no more"),
        ("shell 'true'", "No such DSL method 'shell' found among steps"),
        ("sh script: 'true', quiet: true", "sh does not know quiet"),
        ("echo nobody", "No such property: nobody"),
        ("junit testResults: 'none.xml'", "No test report files were found: none.xml"),
        ("archiveArtifacts artifacts: 'none/*.json'", "No artifacts found that match"),
        ("build job: 'Other', wait: false", "No item named Other found"),
        ("withCredentials([string(credentialsId: 'no', variable: 'A')]) { sh 'true' }", "entry with ID 'no'"),
    ],
)
def test_a_step_that_fails_ends_the_stage_and_post_is_done(player: Player, steps: str, complaint: str) -> None:
    played = player.steps(f"{steps}\nsh 'touch ../after'")

    assert (played.code, played.record["result"]) == (1, "FAILURE")
    assert complaint in played.log
    assert "post was here" in played.log
    assert not (player.workspace.parent / "after").exists()


def test_post_is_done_in_jenkins_order_and_as_it_went(player: Player) -> None:
    post = " ".join(
        f"{name} {{ echo 'post: {name}' }}"
        for name in ("cleanup", "unsuccessful", "success", "unstable", "failure", "aborted")
    )

    went = player.steps("sh 'true'", post).log
    failed = player.steps("sh 'false'", post).log

    def conditions(log: str) -> list[str]:
        return [line.removeprefix("post: ") for line in log.splitlines() if line.startswith("post: ")]

    assert conditions(went) == ["success", "cleanup"]
    assert conditions(failed) == ["failure", "unsuccessful", "cleanup"]


def test_a_failure_in_post_fails_the_build_and_the_rest_of_post_is_done(player: Player) -> None:
    played = player.steps("sh 'true'", "success { sh 'false' } cleanup { deleteDir() }")

    assert played.record["result"] == "FAILURE"
    assert not player.workspace.exists()


def test_time_that_is_up_ends_all_that_runs_and_post_is_done(player: Player, tmp_path: Path) -> None:
    played = player(
        "pipeline {\n agent any\n options { timeout(time: 2, unit: 'SECONDS') }\n"
        " stages { stage('One') { steps { sh 'sleep 300 & echo $! >../pid; wait' } } }\n"
        " post { always { sh 'echo post was here' } }\n}"
    )

    assert played.record["result"] == "ABORTED"
    assert "Timeout has been exceeded" in played.log
    assert "post was here" in played.log
    # A moment may pass until it is told; what nobody waits for stays as a zombie.
    process, deadline = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat"), time.monotonic() + 60
    while process.exists() and process.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_variables_hold_where_they_are_said(player: Player) -> None:
    played = player("""
        pipeline {
            agent any
            parameters { string(name: 'WHO', defaultValue: ' you ', trim: true) }
            environment {
                GREETING = "hello ${params.WHO}"
                PAIR = credentials('pair')
            }
            stages {
                stage('One') {
                    environment { HERE = "${GREETING}!" }
                    steps {
                        sh 'echo "[$GREETING] [$HERE] [$WHO] [$PAIR_USR] [$PAIR_PSW] [$STAGE_NAME]"'
                        script { env.LATER = sh(script: 'echo one; echo not this >&2', returnStdout: true).trim() }
                        withEnv(['LATER=two']) { sh 'echo "inside $LATER"' }
                    }
                }
                stage('Two') {
                    steps { sh 'echo "[$LATER] [$HERE] $(git rev-parse HEAD) = $GIT_COMMIT"' }
                }
                stage('Three') {
                    when { allOf { not { environment name: 'LATER', value: 'one' }; expression { params.WHO } } }
                    steps { sh 'touch ../three' }
                }
            }
        }
    """)

    assert played.code == 0, played.log
    lines = played.log.splitlines()
    assert "[hello you] [hello you!] [you] [me] [****] [One]" in lines
    assert "inside two" in lines
    commit = git(player.workspace, "rev-parse", "HEAD")
    assert f"[one] [] {commit} = {commit}" in lines
    assert played.stages["Three"] == "SKIPPED"


def test_a_workspace_is_deleted_and_what_its_links_lead_to_is_not(player: Player, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").touch()

    played = player.steps(f"sh 'ln -s {tmp_path}/elsewhere link'\ndeleteDir()")

    assert played.code == 0, played.log
    assert not player.workspace.exists()
    assert (tmp_path / "elsewhere/file").exists()

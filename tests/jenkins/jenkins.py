"""Jenkins, played: jenkins.groovy runs a Jenkinsfile with real shells on a real checkout."""

import atexit
import functools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_PLAYER = ROOT / "tests/jenkins/jenkins.groovy"
_NONE = "no groovy here (Debian: apt-get install groovy default-jre-headless): the Jenkinsfiles are not run"
# Ids that docs/jenkins.md names; what is behind them here is no secret.
CREDENTIALS = {
    "aws-access-key-id": "test",
    "aws-secret-access-key": "aws-secret-of-the-tests",
    "registry": "docker:registry-secret-of-the-tests",
}


@functools.cache
def _compiled() -> list[str]:
    """The player's command, compiled once: that takes longer than a build. Skips without Groovy; in CI that fails."""
    groovyc, java = shutil.which("groovyc"), shutil.which("java")
    if not groovyc or not java:
        if os.environ.get("CI"):
            pytest.fail(_NONE)
        pytest.skip(_NONE)
    classes = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, classes)
    home = Path(java).resolve().parents[1]
    subprocess.run([groovyc, "-d", classes, str(_PLAYER)], env={**os.environ, "JAVA_HOME": str(home)}, check=True)
    libraries = Path(groovyc).resolve().parents[1] / "lib/*"
    # It runs for a second or waits for shells: nothing to optimize.
    return [java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{libraries}:{classes}", "jenkins"]


@dataclass(frozen=True)
class Played:
    """What came of a build."""

    code: int
    log: str
    record: Any
    """None where the file was refused before anything was done"""

    @property
    def stages(self) -> dict[str, str]:
        return {stage["name"]: stage["result"] for stage in self.record["stages"]}

    @property
    def done(self) -> list[str]:
        """The commands that its shells ran, in order."""
        return [line.partition("+ ")[2] for line in self.log.splitlines() if line.partition("] ")[2].startswith("+ ")]


def play(
    file: Path,
    source: Path,
    workspace: Path,
    environment: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
    credentials: Mapping[str, str] = CREDENTIALS,
    jobs: Iterable[str] = ("Deploy",),
) -> Played:
    """Run a Jenkinsfile on what is at HEAD of `source`."""
    record = workspace.with_suffix(".json")
    command = [*_compiled(), str(file), "--source", str(source), "--workspace", str(workspace)]
    command += ["--record", str(record)]
    for option, pairs in (("--parameter", parameters or {}), ("--credential", credentials)):
        for name, value in pairs.items():
            command += [option, f"{name}={value}"]
    for job in jobs:
        command += ["--job", job]
    agent = {"PATH": os.environ["PATH"], "HOME": str(Path.home()), **(environment or {})}
    done = subprocess.run(command, env=agent, capture_output=True, text=True, check=False)
    told = json.loads(record.read_text()) if record.exists() else None
    return Played(done.returncode, done.stdout + done.stderr, told)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@example.com"]
    done = subprocess.run(["git", *identity, "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()

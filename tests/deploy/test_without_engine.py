"""What is said where Docker is missing or fails; `docker` is a script here, as no real engine can be told to."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy import bill

ROOT = Path(__file__).parents[2]
COMMIT = "a" * 40
COMPOSE = {
    "services": {"nginx": {"image": "t/nginx:latest", "build": {"args": {"GIT_COMMIT": COMMIT, "CREATED": "unknown"}}}}
}
NO_DOCKER = "Docker with Compose is needed for this, and there is no docker here. `make run` needs none."


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with what make needs, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("bash", "sh", "make", "git", "python3", "sleep"):
        (folder / program).symlink_to(shutil.which(program) or program)
    return folder


def docker(path: Path, script: str) -> None:
    """From now on there is one, which does this and tells ../told what it was asked."""
    (path / "docker").write_text(f'#!/bin/sh\necho "$@" >>"{path.parent}/told"\n{script}\n')
    (path / "docker").chmod(0o755)


@pytest.mark.parametrize("target", ["build", "push", "test_images", "clean", "up", "down", "logs"])
def test_without_docker_a_target_that_needs_it_says_so_and_does_nothing(
    tmp_path: Path, path: Path, target: str
) -> None:
    command = ["make", target, f"INSTALLED={sys.executable}", f"DATA={tmp_path / 'data'}", "REGISTRY=h.example"]

    done = subprocess.run(command, cwd=ROOT, env={"PATH": str(path)}, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == NO_DOCKER
    assert (len(done.stderr.splitlines()), done.stdout) == (2, "")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ('[ "$1" != compose ]', "Docker's plug-in Compose is needed for this, and `docker compose` is not known here."),
        (
            '[ "$1" = compose ] || { echo "Client: 27"; echo "Cannot connect." >&2; exit 1; }',
            "No Docker engine answers: Cannot connect.",
        ),
        ("true", ""),
    ],
    ids=["no-compose", "no-engine", "all-there"],
)
def test_what_is_missing_of_docker_is_named(path: Path, script: str, sentence: str) -> None:
    docker(path, script)

    done = subprocess.run(
        ["deploy/engine"], cwd=ROOT, env={"PATH": f"{path}:/usr/bin:/bin"}, capture_output=True, text=True
    )

    assert done.stderr.strip() == sentence
    assert done.returncode == bool(sentence)


def test_what_compose_does_not_say_is_a_sentence() -> None:
    command = [sys.executable, "-m", "deploy.images", "push"]

    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr == "push: `docker compose config` named no images; why is above.\n"


def test_an_image_that_cannot_be_read_is_a_sentence(path: Path) -> None:
    docker(
        path, 'case "$1$2" in imageinspect) echo \'[{"Id": "i"}]\';; create*) echo "No space left." >&2; exit 1;; esac'
    )

    done = subprocess.run(
        [sys.executable, "-m", "deploy.images", "describe"],
        cwd=ROOT, env={"PATH": str(path)}, input=json.dumps(COMPOSE), capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr == f"describe: What is in t/nginx:{COMMIT} cannot be read: No space left.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_push_that_is_stopped_leaves_no_name_behind(path: Path, number: int) -> None:
    docker(path, 'case "$1$2" in imageinspect) echo \'[{"Id": "i"}]\';; imagepush) exec sleep 300;; esac')
    told = path.parent / "told"

    with subprocess.Popen(
        # What runs in a shell's background ignores SIGINT, and all that it starts: so these tests, perhaps.
        ["/usr/bin/env", "--default-signal=INT", sys.executable, "-m", "deploy.images", "push"],
        cwd=ROOT, env={"PATH": str(path), "REGISTRY": "h.example"}, text=True, start_new_session=True,
        stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as pushing:  # fmt: skip
        assert pushing.stdin
        pushing.stdin.write(json.dumps(COMPOSE))
        pushing.stdin.close()
        deadline = time.monotonic() + 60
        while not told.exists() or "image push" not in told.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # As from a terminal: to all that runs.
        os.killpg(pushing.pid, number)
        assert pushing.stderr
        complaint = pushing.stderr.read()

    assert pushing.returncode == 1
    assert complaint == "\npush: stopped\n"
    assert told.read_text().splitlines()[-1] == f"image rm h.example/thumbstack/nginx:{COMMIT}"


@pytest.mark.parametrize("text", [None, "", '{"serialNumber": "urn', "{}"], ids=["none", "empty", "half", "other"])
def test_a_bill_that_was_not_written_to_its_end_is_written_again(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "bill.json").write_text(text)

    assert not bill.is_of(tmp_path / "bill.json", "t/nginx:a", "i")

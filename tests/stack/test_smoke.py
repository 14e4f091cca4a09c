"""`make smoke` against the running service."""

import os
import subprocess

import pytest

from tests.stack.stacks import ROOT, SHOP, Stack

pytestmark = pytest.mark.stack


def smoke(stack: Stack, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "URL": stack.url, **variables}
    # The tests' own environment is there, whatever the times of its files say.
    command = ["make", "smoke", f"INSTALLED={ROOT / '.venv/bin/python'}"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize(("key", "app"), [("", "demo"), (SHOP["private_key"], "shop")], ids=["open", "key"])
def test_a_service_that_does_its_work_gets_its_verdict_and_keeps_nothing(stack: Stack, key: str, app: str) -> None:
    before = stack.originals(f"o/{app}/")

    done = smoke(stack, **({"PRIVATE_API_KEY": key} if key else {}))

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"upload     o/{app}/smoke-" in done.stdout
    assert done.stdout.endswith(f"{stack.url} does its work.\n")
    assert stack.originals(f"o/{app}/") == before
    assert stack.results(f"o/{app}/smoke-") == []


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"PRIVATE_API_KEY": "x" * 30}, "upload     FAILED: "),
        ({"COMMIT_ID": "b" * 40}, f"answers, not {'b' * 40}."),
    ],
    ids=["key", "commit"],
)
def test_what_is_wrong_is_told(stack: Stack, variables: dict[str, str], complaint: str) -> None:
    done = smoke(stack, **variables)

    assert done.returncode != 0
    assert complaint in done.stdout
    assert "Traceback" not in done.stderr

"""Pictures and the Docker engine that more than one room's tests need; and a loud word about what was not tested."""

import io
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

IMAGES = Path(__file__).parent / "images"


@pytest.fixture(scope="session")
def coffee() -> bytes:
    """A real photograph, JPEG, 600x400."""
    return (IMAGES / "coffee.jpg").read_bytes()


@pytest.fixture(scope="session")
def cat() -> bytes:
    """A real photograph, PNG, 451x300."""
    return (IMAGES / "cat.png").read_bytes()


@pytest.fixture(scope="session")
def large_photo() -> bytes:
    """A JPEG of about 5 MB: a photograph enlarged to 4200x2800 with a camera's grain."""
    with Image.open(IMAGES / "coffee.jpg") as image:
        pixels = np.asarray(image.resize((4200, 2800)), dtype=np.int16)
    grain = np.random.default_rng(1).normal(0, 7, pixels.shape)
    out = io.BytesIO()
    Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=88)
    return out.getvalue()


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """An engine that answers. Without one the tests that need it are skipped; with CI=true they fail."""
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "version"], capture_output=True).returncode == 0:
        return
    reason = "no Docker engine answers `docker version`: the containers are not tested"
    if os.environ.get("CI") and not os.environ.get("NO_DOCKER_ENGINE"):
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let no skipped test pass for a green run where everything must be tested."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and reporter.stats.get("skipped") and os.environ.get("CI") == "true" and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count and name what was skipped."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section(f"NOT TESTED on this machine: {len(skipped)}", sep="!", red=True, bold=True)
    reasons = sorted({str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple)})
    for reason in reasons:
        terminalreporter.line(reason, red=True)
    if os.environ.get("CI") == "true":
        terminalreporter.line("CI=true: that is a failure.", red=True, bold=True)

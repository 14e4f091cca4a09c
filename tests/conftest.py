"""Pictures and the Docker engine that more than one room's tests need; and a loud word about what was not tested."""

import io
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

_NO_ENGINE = "no Docker engine answers `docker version`: the containers are not tested"
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
    if os.environ.get("CI") and not os.environ.get("NO_DOCKER_ENGINE"):
        pytest.fail(_NO_ENGINE)
    pytest.skip(_NO_ENGINE)


@pytest.fixture(scope="session")
def chromium() -> str:
    """A real browser."""
    return _program("chromium", "nothing is tried in a browser")


@pytest.fixture(scope="session")
def firefox() -> str:
    """Another one."""
    return _program("firefox-esr", "nothing is tried in Firefox")


@pytest.fixture(scope="session")
def webkit() -> str:
    """Who drives Safari's engine; its windows need a screen."""
    _program("Xvfb", "nothing is tried in WebKit")
    return _program("WebKitWebDriver", "nothing is tried in WebKit")


@pytest.fixture(scope="session")
def npm() -> str:
    """Who builds client/."""
    return _program("npm", "what client/ builds is not compared with what is committed, nor seen by axe")


@pytest.fixture(scope="session")
def curl() -> str:
    """Who asks as the documents show it."""
    return _program("curl", "what the documents show with curl is not tried")


@pytest.fixture(scope="session")
def envsubst() -> str:
    """Who renders nginx's configuration in its image."""
    return _program("envsubst", "how nginx's image renders its configuration is not compared")


@pytest.fixture(scope="session")
def node() -> str:
    """Who runs the CDN's function."""
    return _program("node", "how the CDN folds what is asked is not tried")


@pytest.fixture(scope="session")
def openssl() -> str:
    """Who makes certificates."""
    return _program("openssl", "no server with a certificate is played")


def _program(name: str, otherwise: str) -> str:
    """Where a program is. Without it the tests that need it are skipped; with CI=true they fail."""
    found = shutil.which(name)
    if found:
        return found
    why = f"there is no {name} on this machine: {otherwise}"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let no skipped test pass for a green run where everything must be tested.

    The one exception is a machine on which no Docker engine can be started, which NO_DOCKER_ENGINE says.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    unforgiven = [
        report for report in skipped if not (os.environ.get("NO_DOCKER_ENGINE") and _NO_ENGINE in str(report.longrepr))
    ]
    if unforgiven and os.environ.get("CI") == "true" and session.exitstatus == 0:
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
    if os.environ.get("CI") == "true" and not os.environ.get("NO_DOCKER_ENGINE"):
        terminalreporter.line("CI=true: that is a failure.", red=True, bold=True)

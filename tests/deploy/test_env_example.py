"""`.env.example` names what compose.yaml reads, and nothing else."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What `make build` says of an image.
_OF_THE_BUILD = frozenset(("GIT_COMMIT", "CREATED"))
# Read by Docker Compose itself.
_OF_COMPOSE = frozenset(("COMPOSE_PROFILES",))


@pytest.fixture(scope="module")
def read() -> set[str]:
    """`${NAME...}`, and `NAME:` without a value, which is passed on."""
    text = (ROOT / "compose.yaml").read_text()
    return set(re.findall(r"\$\{([A-Z0-9_]+)", text)) | set(re.findall(r"^ +([A-Z0-9_]+): *$", text, re.MULTILINE))


@pytest.fixture(scope="module")
def named() -> set[str]:
    return set(re.findall(r"^(?:# )?([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def test_whatever_compose_reads_is_shown(read: set[str], named: set[str]) -> None:
    assert read - named == _OF_THE_BUILD


def test_nothing_is_shown_that_compose_does_not_read(read: set[str], named: set[str]) -> None:
    assert named - read == _OF_COMPOSE

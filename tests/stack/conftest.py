"""The whole service, twice: as `make run` starts it, and as containers. Started once a session each."""

import itertools
import time
from collections.abc import Iterator

import pytest

from tests.stack.stacks import Containers, Embedded, Picture, Stack, running
from tests.stack.victim import Victim, settled

_names = (f"photo-{number}" for number in itertools.count())


@pytest.fixture(
    scope="session",
    params=["embedded", pytest.param("containers", marks=pytest.mark.docker)],
)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The running service."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "embedded":
        with running(Embedded(folder)) as embedded:
            yield embedded
        return
    request.getfixturevalue("docker_engine")
    with running(Containers(folder)) as containers:
        yield containers


@pytest.fixture
def photo(stack: Stack, coffee: bytes) -> Picture:
    """A photograph that is in the service under a name of its own."""
    return stack.upload(coffee, f"{next(_names)}.jpg")


@pytest.fixture(scope="module")
def victim(stack: Stack, coffee: bytes, cat: bytes) -> Victim:
    """Pictures to attack."""
    return settled(stack, coffee, cat)


@pytest.fixture
def untouched(stack: Stack, victim: Victim) -> Iterator[None]:
    """Whatever a test does, it stores nothing and deletes nothing."""

    def kept() -> tuple[list[str], ...]:
        # Beside these there are only notices of what tests delete themselves.
        return stack.originals(""), stack.results("o/"), stack.variants("")

    def kept_later() -> tuple[list[str], ...]:
        # A result is stored a moment after the answer.
        time.sleep(0.3)
        return kept()

    before = kept()
    # What a test before this one had rendered may still be on its way.
    while (now := kept_later()) != before:
        before = now
    yield
    assert kept_later() == before

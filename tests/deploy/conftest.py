"""The template, read, and a stack of it that is deployed."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploy import template as templates
from tests.deploy.emulator import GIVEN, IMAGE, REGION, Aws, running


@pytest.fixture(scope="session")
def template() -> Any:
    return templates.read()


@pytest.fixture(scope="session")
def resources(template: Any) -> Any:
    return template["Resources"]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with running(tmp_path_factory.mktemp("aws") / "ministack.log") as emulator:
        emulator.client("s3").create_bucket(Bucket="foreign", CreateBucketConfiguration={"LocationConstraint": REGION})
        emulator.client("ssm").put_parameter(Name=IMAGE, Value="ami-0123456789abcdef0", Type="String")
        yield emulator


@pytest.fixture(scope="module")
def deployed(aws: Aws) -> dict[str, str]:
    """A stack as `make update_stack` leaves it: its resources by name."""
    done = aws.make("update_stack", STACK_NAME="pictures", **GIVEN)
    assert done.returncode == 0, done.stdout + done.stderr
    return aws.resources("pictures")

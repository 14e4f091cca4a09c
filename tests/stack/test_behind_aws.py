"""The whole service behind the way in that cf_template.yaml deploys: an emulated load balancer and CloudFront, which go
by the stack's rules. What each of them lets through and refuses: tests/deploy/test_way_in.py.
"""

import io
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from PIL import Image

from tests.deploy.emulator import Aws, WayIn, running
from tests.stack.stacks import Stack

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    # Its S3 is not asked here.
    with running(tmp_path_factory.mktemp("aws") / "ministack.log", auth=False) as emulator:
        yield emulator


class Door:
    """One way in, asked as the world does."""

    def __init__(self, aws: Aws, stack: Stack, kind: str) -> None:
        self.is_cdn = kind == "cdn"
        name = f"{kind}-{type(stack).__name__.lower()}"
        self._way_in = WayIn(aws, urlsplit(stack.url).port or 80, name, Cdn=str(self.is_cdn).lower())

    def ask(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, **options: Any
    ) -> requests.Response:
        host = self._way_in.cdn if self.is_cdn else self._way_in.balancer
        return self._way_in.ask(host, path, method, {"X-Forwarded-Proto": "https", **(headers or {})}, **options)


@pytest.fixture(scope="module", params=["balancer", "cdn"])
def door(request: pytest.FixtureRequest, stack: Stack, aws: Aws) -> Door:
    if request.param == "cdn":
        request.getfixturevalue("node")
    return Door(aws, stack, request.param)


def test_it_is_alive(door: Door) -> None:
    assert door.ask("/healthz").status_code == 200
    assert door.ask("/readyz").json()["ready"] is True


def test_a_picture_goes_in_is_shown_in_the_right_format_and_is_gone(door: Door, coffee: bytes) -> None:
    uploaded = door.ask("/", "POST", files={"file": ("behind-aws.jpg", coffee)})
    assert uploaded.status_code == 201, uploaded.text
    key = uploaded.json()["pictures"][0]["key"]
    address = f"/t/MI/u/{key}"

    for accept, kind in (("image/avif,image/webp,*/*", "AVIF"), ("image/webp,*/*", "WEBP"), ("*/*", "JPEG")):
        answer = door.ask(address, headers={"Accept": accept})
        with Image.open(io.BytesIO(answer.content)) as image:
            assert (answer.status_code, image.format, image.size) == (200, kind, (400, 267))
    assert door.ask(f"/{key}").content == door.ask("/?name=behind-aws").content

    deleted = door.ask("/?name=behind-aws", "DELETE")
    assert deleted.json()["status"] == "behind-aws.jpg deleted"
    assert {door.ask(path).status_code for path in (address, f"/{key}")} == {410}


def test_only_the_cdn_is_told_to_show_nothing_while_the_service_is_away(
    door: Door, stack: Stack, coffee: bytes
) -> None:
    picture = stack.upload(coffee, "kept.jpg")

    kept = door.ask(f"/{picture.key}").headers["Cache-Control"]

    assert kept == "public, max-age=31536000, immutable" + ", stale-if-error=0" * door.is_cdn

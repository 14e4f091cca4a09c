"""Pictures that are brought here are visitors' pictures: found by name, rendered already, gone when deleted."""

import io
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests
from PIL import Image

from tests.stack.stacks import Embedded, Stack

pytestmark = pytest.mark.stack

PRESETS, FORMATS = 7, 3


@dataclass(frozen=True)
class Old:
    """An older site's bucket, and the variables that lead there."""

    bucket: str
    variables: dict[str, str]


@pytest.fixture
def old(stack: Stack) -> Iterator[Old]:
    """A bucket on the same server; tests/curator has one on another, with other credentials."""
    bucket = f"old-{secrets.token_hex(4)}"
    stack.s3().create_bucket(Bucket=bucket)
    yield Old(
        bucket,
        {
            "V5_BUCKET": bucket,
            "V5_ENDPOINT": stack.s3_endpoint if isinstance(stack, Embedded) else "http://s3:8333",
            "V5_PREFIX": "EXO",
            "EXO_ACCESS_KEY_ID": stack.s3_credentials["AWS_ACCESS_KEY_ID"],
            "EXO_SECRET_KEY": stack.s3_credentials["AWS_SECRET_ACCESS_KEY"],
        },
    )
    for item in stack.s3().list_objects_v2(Bucket=bucket).get("Contents", ()):
        stack.s3().delete_object(Bucket=bucket, Key=item["Key"])
    stack.s3().delete_bucket(Bucket=bucket)


def test_migrated_pictures_are_found_shown_and_rendered_already(
    stack: Stack, old: Old, coffee: bytes, cat: bytes
) -> None:
    number = secrets.randbelow(10**9)
    pictures = {f"1476550000_{number}.jpg": coffee, f"2016/Le Chat {number}.png": cat}
    for key, body in pictures.items():
        stack.s3().put_object(Bucket=old.bucket, Key=key, Body=body)

    first = stack.curator("migrate", "-v", "--app", "demo", **old.variables)
    again = stack.curator("migrate", "-v", "--app", "demo", **old.variables)

    assert (first.returncode, again.returncode) == (0, 0), (first.stderr, again.stderr)
    assert first.stdout.splitlines()[-2] == "images: 2, skipped: 0, processed: 2, errors: 0"
    assert again.stdout.splitlines()[-2] == "images: 2, skipped: 2, processed: 0, errors: 0"
    assert f"rendered: {2 * PRESETS * FORMATS}" in first.stdout
    assert "rendered" not in again.stdout
    for key, body in pictures.items():
        # By the name that a page of the older site holds.
        name = key.rpartition("/")[2]
        assert requests.get(f"{stack.url}/", params={"name": name}, timeout=60).content == body
    (original,) = stack.originals(f"o/demo/1476550000-{number}--")
    assert original.endswith(f"/1476550000_{number}.jpg")
    rendered = stack.lines("thumbor", "rendered", original)
    answer = requests.get(f"{stack.url}/t/MI/u/{original}", headers={"Accept": "image/avif"}, timeout=60)
    with Image.open(io.BytesIO(answer.content)) as shown:
        assert (shown.format, shown.size) == ("AVIF", (400, 267))
    # The visitor was no reason to render.
    assert stack.eventually(lambda: stack.lines("thumbor", "result hit", original) >= 1)
    assert stack.lines("thumbor", "rendered", original) == rendered >= PRESETS * FORMATS


def test_a_render_that_a_kill_left_out_is_made_by_the_next_run(stack: Stack, old: Old, coffee: bytes) -> None:
    name = f"147655{secrets.randbelow(10**4):04d}_77"
    stack.s3().put_object(Bucket=old.bucket, Key=f"{name}.jpg", Body=coffee)
    stored = stack.curator("migrate", "--app", "demo", "--no-render", **old.variables)

    done = stack.curator("migrate", "--app", "demo", "--preset", "SI", **old.variables)

    assert stored.stdout.splitlines()[-2] == "images: 1, skipped: 0, processed: 1, errors: 0"
    assert done.stdout.splitlines()[-2] == "images: 1, skipped: 1, processed: 0, errors: 0"
    assert f"rendered: {FORMATS}" in done.stdout
    (original,) = stack.originals(f"o/demo/{name.replace('_', '-')}--")
    assert len(stack.results(original)) == FORMATS


def test_what_was_deleted_here_comes_back_when_it_is_migrated_once_more(stack: Stack, old: Old, coffee: bytes) -> None:
    name = f"147655{secrets.randbelow(10**4):04d}_78"
    stack.s3().put_object(Bucket=old.bucket, Key=f"{name}.jpg", Body=coffee)
    arguments = ("migrate", "--app", "demo", "--preset", "SI")
    stack.curator(*arguments, **old.variables)
    (original,) = stack.originals(f"o/demo/{name.replace('_', '-')}--")
    requests.delete(f"{stack.url}/", params={"name": name}, timeout=60)
    gone = requests.get(f"{stack.url}/{original}", timeout=60)

    done = stack.curator(*arguments, **old.variables)

    assert gone.status_code in (404, 410)
    assert done.stdout.splitlines()[-2] == "images: 1, skipped: 0, processed: 1, errors: 0"
    assert stack.eventually(lambda: requests.get(f"{stack.url}/{original}", timeout=60).content == coffee)
    assert requests.get(f"{stack.url}/t/SI/u/{original}", timeout=60).status_code == 200


def test_usage_counts_what_is_there(stack: Stack) -> None:
    done = stack.curator("usage", "--app", "demo")

    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if line.strip().startswith("demo")] == ["demo"]

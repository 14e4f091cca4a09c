"""What `resize_images` tells other nodes, and what it says at its end; the rest is in tests/stack/test_keeping.py."""

import json
import time
from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest

from curator.flags import Flags
from curator.resize import Resizing
from curator.work import Work
from tests.curator.collection import picture
from tests.curator.conftest import PICTURES, RESULTS, Curator, Storage, sums
from tests.curator.test_renders import Stub

# A fixture: Thumbor is played by a stub, which renders at once and stores nothing.
from tests.curator.test_renders import stub as stub
from thumbstack.picture_key import PictureKey
from thumbstack.refusal import StorageUnavailable


@pytest.fixture
def keys(storage: Storage, curator: Curator) -> list[str]:
    """Six pictures that are here."""
    found = [f"o/demo/photo/176360000{number}_0123456789abcdef.jpg" for number in range(6)]
    for number, key in enumerate(found):
        storage.client().put_object(Bucket=PICTURES, Key=key, Body=picture(number, "jpg"))
    return found


def notices(storage: Storage) -> list[dict[str, Any]]:
    """What other nodes read, in their order."""
    s3 = storage.client()
    found = [s3.get_object(Bucket=RESULTS, Key=key)["Body"].read() for key in storage.keys(RESULTS, "notices/")]
    return [json.loads(text) for text in found]


def test_other_nodes_hear_of_each_picture_before_and_after(
    curator: Curator, storage: Storage, keys: list[str], stub: Stub
) -> None:
    done = curator("resize_images", THUMBOR_SERVERS=f"127.0.0.1:{stub.server_port}")

    assert sums(done.out) == "images: 6, skipped: 0, processed: 6, errors: 0"
    told = notices(storage)
    assert told[0]["coming"] == keys[:4]
    assert told[-1]["coming"] == []
    assert sorted(key for one in told for key in one.get("renewed", ())) == keys
    assert [one["cleared"] for one in told if "cleared" in one] == ["o/demo/photo"]


def test_killed_it_leaves_word_of_what_it_was_about(
    curator: Curator, storage: Storage, keys: list[str], stub: Stub
) -> None:
    # Thumbor is busy for a while.
    stub.answers = [(503, {"Retry-After": "30"})] * 100
    with curator.begun("resize_images", THUMBOR_SERVERS=f"127.0.0.1:{stub.server_port}") as process:
        while not stub.asked:
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()

    assert notices(storage)[-1]["coming"] == keys[:4]


def test_a_dry_run_tells_nobody(curator: Curator, storage: Storage, keys: list[str], stub: Stub) -> None:
    curator("resize_images", "--dry-run", THUMBOR_SERVERS=f"127.0.0.1:{stub.server_port}")

    assert notices(storage) == []
    assert stub.asked == []


def test_what_could_not_be_told_is_told_with_the_next() -> None:
    told: list[tuple[set[PictureKey], set[PictureKey]]] = []

    def post_renewed(
        pictures: Collection[PictureKey], options: Collection[str], run: str, coming: Collection[PictureKey]
    ) -> None:
        # In place of a storage that is away at the one moment when a picture is told of.
        told.append((set(pictures), set(coming)))
        if len(told) == 2:
            raise StorageUnavailable("It is away.")

    room: Any = SimpleNamespace(
        config=SimpleNamespace(thumbor_servers=("127.0.0.1:1",), security_keys=("k" * 28,)),
        notices=SimpleNamespace(post_renewed=post_renewed),
    )
    resizing = Resizing(room, Work(Flags()), {}, None, (), jobs=1, dry_run=False)
    first, second = (PictureKey("demo", "cup", f"{number}_cup.jpg") for number in (1, 2))

    resizing._tell([first])
    resizing._untold.add(first)
    with pytest.raises(StorageUnavailable):
        resizing._tell([second])
    resizing._untold.add(second)
    resizing._tell()

    assert told == [(set(), {first}), ({first}, {second}), ({first, second}, set())]

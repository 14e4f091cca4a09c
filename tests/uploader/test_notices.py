"""A delete on one node is heard by another that shares its buckets."""

import io
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from thumbstack.buckets import Buckets
from thumbstack.edge import Edge
from thumbstack.notices import Notices
from thumbstack.picture_key import PictureKey
from uploader.config import Config


@pytest.fixture
def other(buckets: Buckets, config: Config, tmp_path: Path) -> tuple[Notices, Edge]:
    """Another node: the same buckets, an edge of its own, everything read so far."""
    edge = Edge(tmp_path / "other-cache", tmp_path / "other-tombstones", config.security_keys, {})
    notices = Notices(buckets, edge)
    notices.read()
    return notices, edge


def put(client: FlaskClient, body: bytes, name: str) -> PictureKey:
    """Upload a picture; its key."""
    answer = client.post("/", data={"file": (io.BytesIO(body), name)})
    assert answer.json is not None
    key = PictureKey.parse(answer.json["pictures"][0]["key"])
    assert key is not None
    return key


@pytest.mark.parametrize("path", ["/?name=a", "/delete-all-pictures", "/pictures/{key}"])
def test_what_one_node_deletes_another_buries(
    client: FlaskClient, other: tuple[Notices, Edge], coffee: bytes, path: str
) -> None:
    notices, edge = other
    picture = put(client, coffee, "a.jpg")
    assert notices.read() == 0

    client.delete(path.format(key=picture))

    assert notices.read() == 1
    assert edge.is_buried(picture)
    assert notices.read() == 0


def test_a_picture_that_is_still_there_is_not_buried(
    client: FlaskClient, buckets: Buckets, other: tuple[Notices, Edge], coffee: bytes
) -> None:
    notices, edge = other
    picture = put(client, coffee, "a.jpg")
    # The delete was announced, and has not come to its first picture yet.
    notices.post("o/demo/a/", [picture])

    assert notices.read() == 0
    assert not edge.is_buried(picture)

    buckets.delete_pictures([str(picture)])
    assert notices.read() == 1
    assert edge.is_buried(picture)


def test_a_new_node_hears_of_everything(client: FlaskClient, buckets: Buckets, coffee: bytes, tmp_path: Path) -> None:
    picture = put(client, coffee, "a.jpg")
    client.delete("/?name=a")
    edge = Edge(tmp_path / "new-cache", tmp_path / "new-tombstones", (), {})

    Notices(buckets, edge).read()

    assert edge.is_buried(picture)


def test_a_dry_run_tells_nobody(client: FlaskClient, other: tuple[Notices, Edge], coffee: bytes) -> None:
    put(client, coffee, "a.jpg")

    client.delete("/?name=a&dry_run=1")

    assert other[0].read() == 0

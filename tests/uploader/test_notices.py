"""A delete on one node is heard by another that shares its buckets."""

import io
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from thumbstack.buckets import Buckets
from thumbstack.edge import Edge
from thumbstack.notices import Notices
from thumbstack.picture_key import PictureKey
from thumbstack.refusal import StorageUnavailable
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


def restore(buckets: Buckets, picture: PictureKey) -> None:
    """Put back what was deleted last."""
    [deleted] = buckets.deleted(str(picture))
    body, known = buckets.read_version(deleted.key, deleted.version)
    assert buckets.put_if(deleted.key, io.BytesIO(body), known.metadata["sha256"], "image/jpeg", dict(known.metadata))


def test_what_is_restored_is_shown_again_and_may_be_deleted_again(
    client: FlaskClient, buckets: Buckets, other: tuple[Notices, Edge], coffee: bytes
) -> None:
    notices, edge = other
    picture = put(client, coffee, "a.jpg")
    client.delete(f"/pictures/{picture}")
    assert notices.read() == 1

    restore(buckets, picture)
    notices.post_restored(picture)

    assert notices.read() == 0
    assert not edge.is_buried(picture)
    client.delete(f"/pictures/{picture}")
    # All notices of the last minutes are read again, that of the restored one too.
    assert [notices.read(), notices.read()] == [1, 0]
    assert edge.is_buried(picture)


def test_a_delete_that_comes_while_a_tombstone_is_taken_away_wins(
    client: FlaskClient, buckets: Buckets, other: tuple[Notices, Edge], coffee: bytes
) -> None:
    notices, edge = other
    picture = put(client, coffee, "a.jpg")
    edge.bury([picture])
    looked = iter([True])
    # The delete has its turn between the two looks.
    late = Notices(replace(buckets), edge)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Buckets, "has", lambda self, _: next(looked, False))
        assert not late.show_again(picture)

    assert edge.is_buried(picture)
    assert notices.show_again(picture)
    assert not edge.is_buried(picture)


def test_variants_that_were_made_anew_are_forgotten_once(
    client: FlaskClient, other: tuple[Notices, Edge], coffee: bytes
) -> None:
    notices, edge = other
    picture = put(client, coffee, "a.jpg")
    put(client, coffee, "b.jpg")
    client.delete("/?name=b")
    notices.read()
    forgotten: list[tuple[PictureKey, list[str]]] = []
    cleared: list[tuple[str, bool]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Edge, "forget", lambda self, one, asked, original: forgotten.append((one, asked)))
        patch.setattr(Edge, "clear", lambda self, prefix, versions_only: cleared.append((prefix, versions_only)))
        notices.post_renewed([picture], ["200x200"], "a-run")
        notices.post_cleared("o/demo/", versions_only=True)

        notices.read()
        notices.read()

    assert forgotten == [(picture, ["200x200"])]
    assert cleared == [("o/demo/", True)]
    assert not edge.is_buried(picture)


def test_a_new_node_has_nothing_to_forget(buckets: Buckets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cleared: list[str] = []
    monkeypatch.setattr(Edge, "clear", lambda self, prefix, versions_only: cleared.append(prefix))
    node = Notices(buckets, Edge(tmp_path / "new-cache", tmp_path / "new-tombstones", (), {}))
    node.post_cleared("o/demo/")

    node.read()
    assert cleared == []

    node.post_cleared("o/demo/a/")
    node.read()
    assert cleared[-1:] == ["o/demo/a/"]


def test_a_node_whose_clock_is_slow_is_heard(
    buckets: Buckets, other: tuple[Notices, Edge], monkeypatch: pytest.MonkeyPatch
) -> None:
    notices, edge = other
    notices.post("o/demo/a/", [PictureKey("demo", "a", "1_a.jpg")])
    assert notices.read() == 1
    late = PictureKey("demo", "b", "1_b.jpg")
    five_minutes_ago = time.time() - 300
    with monkeypatch.context() as patch:
        patch.setattr("thumbstack.notices.time.time", lambda: five_minutes_ago)
        notices.post("o/demo/b/", [late])

    assert notices.read() == 1
    assert edge.is_buried(late)


def test_whatever_fails_the_next_turn_comes_and_buried_entries_are_swept(
    buckets: Buckets, other: tuple[Notices, Edge], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = iter([StorageUnavailable("It is away."), RuntimeError("a fault of ours"), None])
    swept, ended = [], threading.Event()

    def read(self: Notices) -> int:
        # In its place, as a fault that nobody knows of cannot be had by hand. The last turn never ends.
        failure = next(turns, "the last")
        if failure == "the last":
            ended.set()
            threading.Event().wait()
        if isinstance(failure, Exception):
            raise failure
        return 0

    monkeypatch.setattr(Notices, "read", read)
    monkeypatch.setattr(Edge, "sweep", lambda self: swept.append(True))

    other[0].follow(every_seconds=0)

    assert ended.wait(60)
    assert swept == [True]


def test_what_a_killed_run_was_in_the_middle_of_is_forgotten_once_it_was_silent_for_long(
    other: tuple[Notices, Edge],
) -> None:
    notices, _ = other
    done, middle, alive = (PictureKey("demo", name, "1_a.jpg") for name in ("done", "middle", "alive"))
    notices.read()
    forgotten: list[PictureKey] = []
    cleared: list[tuple[str, bool]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Edge, "forget", lambda self, one, asked, original: forgotten.append(one))
        patch.setattr(Edge, "clear", lambda self, prefix, versions_only: cleared.append((prefix, versions_only)))
        notices.post_renewed([], ["200x200"], "killed", [done])
        notices.post_renewed([done], ["200x200"], "killed", [middle])
        notices.post_renewed([], ["200x200"], "ended", [alive])
        notices.post_renewed([alive], ["200x200"], "ended")

        notices.read()
        assert (set(forgotten), cleared) == ({done, alive}, [])
        forgotten.clear()
        for _ in range(2):
            notices.read(now=time.time() + 130)

    assert forgotten == [middle]
    assert cleared == [("o/", True)]


def test_a_dry_run_tells_nobody(client: FlaskClient, other: tuple[Notices, Edge], coffee: bytes) -> None:
    put(client, coffee, "a.jpg")

    client.delete("/?name=a&dry_run=1")

    assert other[0].read() == 0

"""Deleted originals brought back, on a real S3 with versions; tests/stack/test_keeping.py asks for their addresses."""

import hashlib
import json
import secrets
from pathlib import Path

import pytest

from tests.curator.conftest import PICTURES, RESULTS, Curator, Storage

BODY = b"the bytes of a picture"
KNOWN = {"sha256": hashlib.sha256(BODY).hexdigest(), "name": "a.png", "width": "7"}


def put(storage: Storage, *, body: bytes = BODY, app: str = "demo") -> str:
    """An original under a new key."""
    key = f"o/{app}/cat/1795161488_{secrets.token_hex(8)}.png"
    storage.client().put_object(Bucket=PICTURES, Key=key, Body=body, ContentType="image/png", Metadata=KNOWN)
    return key


def delete(storage: Storage, key: str) -> None:
    """Delete it, as the service does."""
    storage.client().delete_objects(Bucket=PICTURES, Delete={"Objects": [{"Key": key}]})


def test_a_deleted_original_is_back_as_it_was_and_all_nodes_hear(
    curator: Curator, storage: Storage, tmp_path: Path
) -> None:
    key, gone = put(storage), put(storage)
    stones = [tmp_path / "tombstones" / one for one in (key, gone)]
    for one, stone in zip((key, gone), stones, strict=True):
        delete(storage, one)
        stone.parent.mkdir(parents=True, exist_ok=True)
        stone.touch()

    done = curator("restore", key)

    assert done.code == 0, done
    assert "images: 1, skipped: 0, processed: 1, errors: 0" in done.out
    found = storage.client().get_object(Bucket=PICTURES, Key=key)
    assert (found["Body"].read(), found["ContentType"], found["Metadata"]) == (BODY, "image/png", KNOWN)
    assert [stone.exists() for stone in stones] == [False, True]
    [notice] = storage.keys(RESULTS, "notices/")
    told = json.loads(storage.client().get_object(Bucket=RESULTS, Key=notice)["Body"].read())
    assert told == {"pictures": [], "restored": key}


def test_it_may_be_deleted_and_restored_again_any_number_of_times(curator: Curator, storage: Storage) -> None:
    key = put(storage)
    for _ in range(2):
        delete(storage, key)
        # A delete of what is deleted leaves one more marker.
        delete(storage, key)
        assert curator("restore", key).code == 0
        assert storage.keys(PICTURES, key) == [key]


def test_what_is_there_is_never_overwritten(curator: Curator, storage: Storage, tmp_path: Path) -> None:
    key = put(storage)
    delete(storage, key)
    storage.client().put_object(Bucket=PICTURES, Key=key, Body=b"something newer")
    # As a run before this one left it, which was killed.
    stone = tmp_path / "tombstones" / key
    stone.parent.mkdir(parents=True)
    stone.touch()

    done = curator("restore", key, "-v")

    assert done.code == 0
    assert f"skipped {key}" in done.out
    assert storage.client().get_object(Bucket=PICTURES, Key=key)["Body"].read() == b"something newer"
    assert not stone.exists()


def test_several_at_a_time_and_each_failure_is_told(curator: Curator, storage: Storage) -> None:
    keys = [put(storage) for _ in range(3)]
    damaged, never = put(storage, body=b"not what the checksum says"), "o/demo/cat/1795161488_never.png"
    for key in (*keys, damaged):
        delete(storage, key)

    done = curator("restore", *keys, damaged, never, "--json")

    assert done.code == 1
    told = json.loads(done.out)
    assert (told["images"], told["processed"], told["errors"]) == (5, 3, 2)
    errors = {one["name"]: one["error"] for one in told["failed"]}
    assert "checksum" in errors[damaged]
    assert "too long ago, or never was" in errors[never]
    assert storage.keys(PICTURES, "o/demo/") == sorted(keys)


def test_what_can_be_restored_is_listed(curator: Curator, storage: Storage) -> None:
    app = f"app-{secrets.token_hex(4)}"
    kept, back, gone = sorted(put(storage, app=app) for _ in range(3))
    more = {"OPEN_APP": app}
    delete(storage, back)
    delete(storage, gone)
    curator("restore", back)

    done = curator("restore", "--app", app, "--since", "1h", "--json", **more)
    plain = curator("restore", "--app", app, **more)

    told = json.loads(done.out)
    assert (told["key"], told["bytes"]) == (gone, len(BODY))
    assert plain.out.split()[-1] == gone
    assert (done.err, plain.err) == ("can be restored: 1\n",) * 2
    assert curator("restore", "--prefix", f"o/{app}/cat/x").out == ""
    assert kept


def test_more_than_a_page_is_listed_once_each(curator: Curator, storage: Storage) -> None:
    app = f"app-{secrets.token_hex(4)}"
    s3 = storage.client()
    keys = [f"o/{app}/cat/{number:04}.png" for number in range(350)]
    for key in keys:
        s3.put_object(Bucket=PICTURES, Key=key, Body=b"1")
        s3.put_object(Bucket=PICTURES, Key=key, Body=b"22")
    # Four of each, so that pages of a thousand end within one.
    for _ in range(2):
        s3.delete_objects(Bucket=PICTURES, Delete={"Objects": [{"Key": key} for key in keys]})

    lines = curator("restore", "--prefix", f"o/{app}/", "--json").out.splitlines()

    assert [json.loads(line)["key"] for line in lines] == keys
    assert {json.loads(line)["bytes"] for line in lines} == {2}


def test_a_dry_run_restores_nothing(curator: Curator, storage: Storage) -> None:
    key = put(storage)
    delete(storage, key)

    done = curator("restore", key, "--dry-run")

    assert "dry run, nothing was changed: images: 1, skipped: 0, processed: 1, errors: 0" in done.out
    assert storage.keys(PICTURES, key) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["cat.png"], "is no picture's key"), (["o/demo/cat/a.png", "--app", "demo"], "not both")],
)
def test_what_makes_no_sense_is_told(curator: Curator, arguments: list[str], said: str) -> None:
    done = curator("restore", *arguments)

    assert done.code == 2
    assert said in done.err

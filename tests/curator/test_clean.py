"""What waits too long, and what can be made again, removed: on a real S3."""

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.curator.conftest import PATIENCE_SECONDS, PICTURES, RESULTS, ROOT, WEBSITE, Curator, Storage

PICTURE = "o/demo/cat/1795161488_a.png"
SIBLING = "o/demo/cat/1795161488_a.png.png"
OTHER = "o/shop/cup/1795161489_b.jpg"
NOTICE = "notices/0000000000001-aa"


@pytest.fixture
def waiting(storage: Storage) -> list[str]:
    """Two uploads that wait, of two apps, and one that is published."""
    keys = ["incoming/demo/cat/1795161488_a.png", "incoming/shop/a b.jpg"]
    for key in (*keys, PICTURE):
        storage.client().put_object(Bucket=PICTURES, Key=key, Body=b"x")
    # S3 tells whole seconds.
    time.sleep(2)
    return keys


def test_what_waits_too_long_is_deleted_and_counted(curator: Curator, storage: Storage, waiting: list[str]) -> None:
    young = curator("clean", "--older-than", "2h")
    one = curator("clean", "--older-than", "1s", "--app", "shop", "-v", API_KEYS=keys("shop"))
    rest = curator("clean", "--older-than", "1s", "--json")

    assert (young.code, young.out) == (0, "deleted: 0\n")
    assert one.out == f"{waiting[1]}\ndeleted: 1\n"
    assert json.loads(rest.out) == {"deleted": 1, "bytes": 1, "dry_run": False}
    assert storage.keys(PICTURES) == [PICTURE]


def test_a_dry_run_deletes_nothing_that_waits(curator: Curator, storage: Storage, waiting: list[str]) -> None:
    assert curator("clean", "--older-than", "1s", "--dry-run").out == "dry run, nothing was deleted: 2\n"
    assert curator("clean", "--older-than", "1s", "--dry-run", "-l", "1").out.endswith(": 1\n")

    assert set(storage.keys(PICTURES)) == {PICTURE, *waiting}


@pytest.mark.parametrize("age", ["2", "2 hours", "-1h", "h", ""])
def test_what_is_no_age_is_told(curator: Curator, age: str) -> None:
    done = curator("clean", "--older-than", age)

    assert done.code == 2
    assert "for example 2h" in done.err


@pytest.fixture
def made(storage: Storage) -> list[str]:
    """Originals with results and variants, a notice, and what is neither."""
    s3 = storage.client()
    for key in (PICTURE, SIBLING, OTHER):
        s3.put_object(Bucket=PICTURES, Key=key, Body=b"original")
        for result in ("_.webp", "fit-in/400x400/filters:quality(90).png"):
            s3.put_object(Bucket=RESULTS, Key=f"{key}/{result}", Body=b"result")
        s3.put_object(Bucket=WEBSITE, Key=f"m/{key}/1x1-fit-80-upscale-00.jpg", Body=b"variant")
    s3.put_object(Bucket=RESULTS, Key=NOTICE, Body=b'{"prefix": "o/demo/", "pictures": []}')
    return [PICTURE, SIBLING, OTHER]


def cached(folder: Path, key: str) -> Path:
    """An entry as nginx writes it."""
    entry = folder / "cache" / "a" / "bc" / key.replace("/", "_")
    entry.parent.mkdir(parents=True, exist_ok=True)
    entry.write_bytes(b"\0" * 336 + f"\nKEY: {key}\n".encode())
    return entry


@pytest.fixture
def with_website(curator: Curator) -> Curator:
    """The curator, where there is a website bucket."""
    return Curator({**curator.variables, "WEBSITE_BUCKET": WEBSITE})


def test_only_originals_and_notices_are_left(
    with_website: Curator, storage: Storage, made: list[str], tmp_path: Path
) -> None:
    variant, original = cached(tmp_path, f"webp|/t/MI/u/{PICTURE}|"), cached(tmp_path, f"|/{PICTURE}|")

    done = with_website("clear", "--yes")

    assert (done.code, done.out) == (0, "removed: results: 6, website: 3, edge: 1\n")
    assert storage.keys(PICTURES) == made
    assert (storage.keys(RESULTS, "o/"), storage.keys(WEBSITE)) == ([], [])
    # The old one, and the one that has the other nodes forget.
    first, second = storage.keys(RESULTS)
    assert first == NOTICE
    told = json.loads(storage.client().get_object(Bucket=RESULTS, Key=second)["Body"].read())
    assert told == {"pictures": [], "cleared": "o/", "versions_only": False}
    assert (variant.exists(), original.exists()) == (False, True)


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["--app", "demo"], [OTHER]),
        (["--prefix", "o/demo/"], [OTHER]),
        (["-k", PICTURE], [SIBLING, OTHER]),
        (["-k", "cat", "--app", "demo"], [OTHER]),
    ],
)
def test_a_part_is_cleared(
    with_website: Curator, storage: Storage, made: list[str], arguments: list[str], left: list[str], tmp_path: Path
) -> None:
    more = {"OPEN_APP": "", "API_KEYS": keys("demo", "shop")}
    cleared, kept = cached(tmp_path, f"webp|/t/MI/u/{PICTURE}|"), cached(tmp_path, f"webp|/t/MI/u/{OTHER}|")

    assert with_website("clear", "--yes", *arguments, **more).code == 0

    assert (
        sorted(
            {key.rpartition(".png/")[0] + ".png" if ".png/" in key else OTHER for key in storage.keys(RESULTS, "o/")}
        )
        == left
    )
    assert storage.keys(WEBSITE) == [f"m/{key}/1x1-fit-80-upscale-00.jpg" for key in left]
    assert (cleared.exists(), kept.exists()) == (False, True)


def keys(*apps: str) -> str:
    """API_KEYS of some apps."""
    return json.dumps(
        [
            {"app": app, "public_key": f"{app}-public-{'0' * 20}", "private_key": f"{app}-private-{'0' * 20}"}
            for app in apps
        ]
    )


def test_nothing_is_cleared_where_nobody_can_be_asked(curator: Curator, storage: Storage, made: list[str]) -> None:
    asked, dry = curator("clear"), curator("clear", "--dry-run", "--json")

    assert asked.code == 2
    assert "say --yes" in asked.err
    assert json.loads(dry.out) == {"results": 6, "website": 0, "edge": 0, "dry_run": True}
    assert len(storage.keys(RESULTS, "o/")) == 6


def test_what_is_not_there_is_told(curator: Curator) -> None:
    done = curator("clear", "--yes", "-k", "o/demo/cat/1795161488_nosuch.png")

    assert (done.code, done.err) == (3, "curator: No such picture\n")


@pytest.mark.parametrize(("answer", "code", "left"), [("n", 130, 6), ("y", 0, 0)])
def test_on_a_terminal_it_asks_first(
    curator: Curator, storage: Storage, made: list[str], answer: str, code: int, left: int
) -> None:
    master, terminal = pty.openpty()
    command = [sys.executable, "-m", "curator", "clear"]
    environment = {"PATH": os.environ["PATH"], **curator.variables}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    os.write(master, f"{answer}\n".encode())
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    os.close(master)
    os.close(terminal)

    assert "Remove all variants of o/? Originals stay." in err
    assert process.returncode == code
    assert len(storage.keys(RESULTS, "o/")) == left

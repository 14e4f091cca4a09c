"""Everything walked through, on a real S3: what is wrong is found, and what can be repaired without a risk is."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.curator.conftest import PICTURES, RESULTS, WEBSITE, Curator, Storage

FINE, BARE, TYPE = "o/demo/cat/1_fine.png", "o/demo/cat/2_bare.png", "o/demo/cat/3_type.png"
DAMAGED, BROKEN, OTHER_TYPE = "o/demo/cat/4_damaged.png", "o/demo/cat/5_broken.png", "o/demo/cat/6_jpeg.png"
STRAY, GONE = "o/demo/Some File.png", "o/demo/cat/7_gone.png"


@pytest.fixture
def verifier(curator: Curator) -> Curator:
    """The curator, where there is a website bucket."""
    return Curator({**curator.variables, "WEBSITE_BUCKET": WEBSITE})


@pytest.fixture
def collection(storage: Storage, cat: bytes, coffee: bytes) -> dict[str, str]:
    """A picture that is as it should be, and one for each thing that may be wrong: its code by its name."""
    s3 = storage.client()

    def put(key: str, body: bytes, known: bool = True, kind: str = "image/png", claimed: bytes = b"") -> None:
        metadata = {"sha256": hashlib.sha256(claimed or body).hexdigest(), "name": "x"} if known else {}
        s3.put_object(Bucket=PICTURES, Key=key, Body=body, ContentType=kind, Metadata=metadata)

    put(FINE, cat)
    put(BARE, cat, known=False, kind="binary/octet-stream")
    put(TYPE, cat, kind="image/jpeg")
    put(DAMAGED, cat + b"x", claimed=cat)
    put(BROKEN, cat[: len(cat) // 2])
    put(OTHER_TYPE, coffee)
    put(STRAY, cat)
    for key in (FINE, GONE):
        s3.put_object(Bucket=RESULTS, Key=f"{key}/_.webp", Body=b"result")
        s3.put_object(Bucket=RESULTS, Key=f"{key}/300x200.webp", Body=b"result")
        s3.put_object(Bucket=WEBSITE, Key=f"m/{key}/1x1-fit-80-upscale-00.jpg", Body=b"variant")
    s3.put_object(Bucket=RESULTS, Key="notices/0000000000001-aa", Body=b"{}")
    s3.put_object(Bucket=RESULTS, Key="somebody's", Body=b"{}")
    return {
        BARE: "no_metadata",
        TYPE: "content_type",
        DAMAGED: "damaged",
        BROKEN: "undecodable",
        OTHER_TYPE: "misnamed",
        STRAY: "stray",
        "somebody's": "unknown_result",
    }


def found(told: str) -> set[tuple[str, str]]:
    """Names and codes of what is wrong."""
    return {(one["name"], one["code"]) for one in json.loads(told)["failed"]}


def test_all_that_is_wrong_is_found_and_told_by_the_exit_code(
    verifier: Curator, storage: Storage, collection: dict[str, str]
) -> None:
    before = storage.keys(PICTURES), storage.keys(RESULTS), storage.keys(WEBSITE)

    done = verifier("verify", "--json")

    assert done.code == 1, done
    assert found(done.out) == {*collection.items(), (GONE, "orphan_results"), (GONE, "orphan_variants")}
    assert (storage.keys(PICTURES), storage.keys(RESULTS), storage.keys(WEBSITE)) == before


def test_what_can_be_repaired_is_and_no_original_is_touched(
    verifier: Curator, storage: Storage, collection: dict[str, str], cat: bytes, tmp_path: Path
) -> None:
    originals = storage.keys(PICTURES)
    # A dry run of a repair only tells.
    assert found(verifier("verify", "--repair", "--dry-run", "--json").out) >= {(BARE, "no_metadata")}

    done = verifier("verify", "--repair", "--json")
    again = verifier("verify", "--json")

    assert json.loads(done.out)["repaired"] == 4
    repaired = {BARE: "no_metadata", TYPE: "content_type"}
    assert found(again.out) == found(done.out) == collection.items() - repaired.items()
    assert storage.keys(PICTURES) == originals
    assert storage.keys(RESULTS, "o/") == [f"{FINE}/300x200.webp", f"{FINE}/_.webp"]
    assert storage.keys(WEBSITE) == [f"m/{FINE}/1x1-fit-80-upscale-00.jpg"]
    bare = storage.client().get_object(Bucket=PICTURES, Key=BARE)
    assert (bare["Body"].read(), bare["ContentType"]) == (cat, "image/png")
    assert bare["Metadata"]["sha256"] == hashlib.sha256(cat).hexdigest()
    assert (bare["Metadata"]["width"], bare["Metadata"]["name"]) == ("451", "2_bare.png")
    # What is gone is gone at the edges, too.
    assert (tmp_path / "tombstones" / GONE).exists()


def test_all_well_is_0(verifier: Curator, storage: Storage, collection: dict[str, str]) -> None:
    done = verifier("verify", "-k", FINE)

    assert done.code == 0, done
    assert "images: 3, skipped: 0, processed: 3, errors: 0" in done.out


def test_a_quick_look_reads_no_original(verifier: Curator, collection: dict[str, str]) -> None:
    names = {name for name, _ in found(verifier("verify", "--quick", "--json").out)}

    assert {BARE, STRAY, GONE} <= names
    assert not {DAMAGED, BROKEN, OTHER_TYPE} & names


def test_a_part_is_looked_at(verifier: Curator, collection: dict[str, str]) -> None:
    names = {name for name, _ in found(verifier("verify", "--prefix", "o/demo/cat/4", "--json").out)}

    assert names == {DAMAGED}


@pytest.mark.parametrize("arguments", [["verify"], ["resize_images"], ["restore", GONE], ["clear", "--yes"], ["clean"]])
def test_a_storage_that_refuses_is_told(verifier: Curator, arguments: list[str]) -> None:
    done = verifier(*arguments, AWS_SECRET_ACCESS_KEY="wrong", THUMBOR_SERVERS="127.0.0.1:1")

    assert done.code in (1, 3), done
    assert "The storage does not answer as it should" in done.err
    assert "Traceback" not in done.err


def test_a_storage_that_is_away_ends_it(verifier: Curator) -> None:
    done = verifier("verify", S3_ENDPOINT="http://127.0.0.1:1")

    assert done.code == 3, done
    assert done.err.startswith("ended early: The storage cannot be reached")

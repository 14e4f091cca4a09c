"""Pictures brought here from another provider's S3; killed, stopped, begun again."""

import csv
import gc
import io
import json
import random
import signal
import time
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from tests.curator.collection import broken, picture
from tests.curator.conftest import PICTURES, RESULTS, Curator, Storage, digest, digests, fill, sums
from thumbstack.picture_key import folder_for

SOURCE = ("--source-bucket", "old", "--source-keys", "EXO", "--no-render")


def test_pictures_come_from_another_provider_with_its_own_credentials(
    keeper: Curator, old: Storage, storage: Storage
) -> None:
    pictures = fill(old, 2)

    first = keeper("migrate", "-v", "--no-render", V5_BUCKET="old", V5_PREFIX="EXO")
    again = keeper("migrate", "-v", "--no-render", V5_BUCKET="old", V5_PREFIX="EXO")

    assert (first.code, again.code) == (0, 0)
    lines = first.out.splitlines()
    assert lines[-2] == "images: 2, skipped: 0, processed: 2, errors: 0"
    assert lines[-1].startswith("duration: 0:00:")
    assert [line.split(" -> ")[0] for line in sorted(lines[:-2])] == sorted(f"processed {key}" for key in pictures)
    assert sorted(line.split(" -> ")[1] for line in lines[:-2]) == storage.keys(PICTURES, "o/")
    assert sums(again.out) == "images: 2, skipped: 2, processed: 0, errors: 0"
    assert digests(storage) == sorted(map(digest, pictures.values()))


def test_its_credentials_may_be_files(keeper: Curator, old: Storage, storage: Storage, tmp_path: Path) -> None:
    fill(old, 1)
    (tmp_path / "OLD_ACCESS_KEY_ID").write_text(old.key_id)
    (tmp_path / "OLD_SECRET_KEY").write_text(f"{old.secret}\n")

    done = keeper("migrate", *SOURCE, "--source-keys", "OLD", SECRETS_DIR=str(tmp_path))

    assert sums(done.out) == "images: 1, skipped: 0, processed: 1, errors: 0"


def test_our_own_credentials_are_never_shown_to_the_other_provider(keeper: Curator, old: Storage) -> None:
    fill(old, 1)
    ours = {"EXO_ACCESS_KEY_ID": keeper.variables["AWS_ACCESS_KEY_ID"]}
    ours["EXO_SECRET_KEY"] = keeper.variables["AWS_SECRET_ACCESS_KEY"]

    with_ours = keeper("migrate", *SOURCE, **ours)
    without = keeper("migrate", *SOURCE, EXO_SECRET_KEY="")

    assert (with_ours.code, without.code) == (3, 2)
    assert "EXO_ACCESS_KEY_ID" in with_ours.err
    assert "EXO_SECRET_KEY is not set" in without.err
    for done in (with_ours, without):
        assert "Traceback" not in done.err
        assert old.secret not in done.err


def test_what_is_here_already_stays_as_it_is(keeper: Curator, old: Storage, storage: Storage) -> None:
    fill(old, 12)
    keeper("migrate", *SOURCE, "-l", "5")
    s3 = storage.client()
    before = {key: s3.head_object(Bucket=PICTURES, Key=key) for key in storage.keys(PICTURES, "o/")}

    done = keeper("migrate", *SOURCE)

    assert sums(done.out) == "images: 12, skipped: 5, processed: 7, errors: 0"
    for key, known in before.items():
        after = s3.head_object(Bucket=PICTURES, Key=key)
        assert (after["LastModified"], after["VersionId"]) == (known["LastModified"], known["VersionId"])


def test_a_stored_reference_still_finds_its_picture(keeper: Curator, old: Storage, storage: Storage) -> None:
    old.client().put_object(Bucket="old", Key="1476550000_1234567890.jpg", Body=picture(1, "jpg"))
    old.client().put_object(Bucket="old", Key="2016/Ma Photo.png", Body=picture(2, "png"))

    keeper("migrate", *SOURCE)

    keys = storage.keys(PICTURES, "o/")
    # POST /publish, /delete and /rotate look for a file name there.
    own = f"o/demo/{folder_for('1476550000_1234567890')}/1476550000_1234567890.jpg"
    assert own in keys
    # GET /?name=Ma Photo looks there.
    named = [key for key in keys if key.startswith(f"o/demo/{folder_for('Ma Photo')}/")]
    assert len(named) == 1
    assert storage.client().head_object(Bucket=PICTURES, Key=named[0])["Metadata"]["name"] == "Ma Photo.png"


def test_what_another_installation_knew_of_a_picture_comes_with_it(
    keeper: Curator, old: Storage, storage: Storage
) -> None:
    known = {"name": "K%C3%A4se.jpg", "note": "Breakfast", "crop": "10x10+5+5", "sha256": "of other bytes"}
    key, body = "o/shop/cheese/1763600000_0123456789abcdef0123.jpg", picture(1, "jpg")
    old.client().put_object(Bucket="old", Key=key, Body=body, Metadata=known)

    keeper("migrate", *SOURCE)

    here = storage.client().head_object(Bucket=PICTURES, Key=key.replace("shop", "demo"))["Metadata"]
    assert {name: here[name] for name in known} == known | {"sha256": digest(body)}


def test_what_is_taken_out_of_uploads_is_taken_out_of_these_too(
    keeper: Curator, old: Storage, storage: Storage
) -> None:
    exif, out = Image.Exif(), io.BytesIO()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (46.0, 30.0, 0.0), 3: "E", 4: (7.0, 30.0, 0.0)})
    Image.new("RGB", (40, 30), "teal").save(out, "JPEG", exif=exif)
    old.client().put_object(Bucket="old", Key="summit.jpg", Body=out.getvalue())

    keeper("migrate", *SOURCE)
    again = keeper("migrate", *SOURCE)

    (key,) = storage.keys(PICTURES, "o/demo/summit/")
    found = storage.client().get_object(Bucket=PICTURES, Key=key)
    with Image.open(io.BytesIO(out.getvalue())) as sent, Image.open(found["Body"]) as kept:
        assert sent.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        assert not kept.getexif().get_ifd(ExifTags.IFD.GPSInfo)
    assert found["Metadata"]["sha256-sent"] == digest(out.getvalue())
    assert sums(again.out) == "images: 1, skipped: 1, processed: 0, errors: 0"


def test_variants_that_the_old_backend_made_are_no_originals(keeper: Curator, old: Storage, storage: Storage) -> None:
    for name in ("1476550000_12.jpg", "1476550000_12BI.jpg", "1476550000_12MI.webp", "1476550000_12SI.jpg"):
        old.client().put_object(Bucket="old", Key=name, Body=picture(1, "jpg"))

    assert sums(keeper("migrate", *SOURCE).out) == "images: 1, skipped: 0, processed: 1, errors: 0"
    assert sums(keeper("migrate", *SOURCE, "--match", r"\d+_\d+\.png").out).startswith("images: 0,")


def test_names_in_several_folders_are_several_pictures(keeper: Curator, old: Storage, storage: Storage) -> None:
    for key, number in {"a/photo.jpg": 1, "b/photo.jpg": 2}.items():
        old.client().put_object(Bucket="old", Key=key, Body=picture(number, "jpg"))

    keeper("migrate", *SOURCE)
    one_folder = storage.keys(PICTURES, "o/demo/photo/")
    keeper("migrate", *SOURCE, "--path-names")

    assert len(one_folder) == 2
    assert [len(storage.keys(PICTURES, f"o/demo/{name}/")) for name in ("a-photo", "b-photo")] == [1, 1]


def test_the_map_tells_which_key_stands_for_what_also_of_what_was_here(
    keeper: Curator, old: Storage, storage: Storage, tmp_path: Path
) -> None:
    pictures = fill(old, 6)
    keeper("migrate", *SOURCE, "-l", "3")

    keeper("migrate", *SOURCE, "--map", str(tmp_path / "map.csv"))

    rows = list(csv.DictReader((tmp_path / "map.csv").read_text().splitlines()))
    assert {row["source"] for row in rows} == pictures.keys()
    assert {row["key"] for row in rows} == set(storage.keys(PICTURES, "o/"))


def test_what_changed_in_the_source_comes_as_a_newer_picture_and_a_copy_of_it_does_not(
    keeper: Curator, old: Storage, storage: Storage
) -> None:
    s3 = old.client()
    s3.put_object(Bucket="old", Key="photo.jpg", Body=picture(1, "jpg"))
    keeper("migrate", *SOURCE)
    # The same bytes, put there once more, in parts: another time and another ETag.
    upload = s3.create_multipart_upload(Bucket="old", Key="photo.jpg")["UploadId"]
    named = {"Bucket": "old", "Key": "photo.jpg", "UploadId": upload}
    part = s3.upload_part(**named, PartNumber=1, Body=picture(1, "jpg"))
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    same = keeper("migrate", *SOURCE)
    s3.put_object(Bucket="old", Key="photo.jpg", Body=picture(2, "jpg"))
    changed = keeper("migrate", *SOURCE)

    assert sums(same.out) == "images: 1, skipped: 1, processed: 0, errors: 0"
    assert sums(changed.out) == "images: 1, skipped: 0, processed: 1, errors: 0"
    assert digests(storage) == sorted(digest(picture(number, "jpg")) for number in (1, 2))


def test_broken_ones_are_listed_and_stop_nothing(keeper: Curator, old: Storage, storage: Storage) -> None:
    pictures = fill(old, 20)
    for key, body in broken().items():
        old.client().put_object(Bucket="old", Key=key, Body=body)

    done = keeper("migrate", *SOURCE)
    told = json.loads(keeper("migrate", *SOURCE, "--json").out)

    assert done.code == 1
    assert sums(done.out) == "images: 25, skipped: 0, processed: 20, errors: 5"
    assert sorted(line.split(": ")[1] for line in done.err.splitlines()) == sorted(broken())
    assert (told["skipped"], told["processed"], told["errors"]) == (20, 0, 5)
    assert {one["name"]: one["code"] for one in told["failed"]} == {
        "1400000000_1.jpg": "undecodable",
        "broken/cut.png": "undecodable",
        "broken/empty.gif": "empty_file",
        "broken/page.jpg": "unsupported_type",
        "broken/polyglot.png": "trailing_data",
    }
    assert len(storage.keys(PICTURES, "o/")) == len(pictures)


def test_a_dry_run_stores_nothing_and_says_what_it_would(keeper: Curator, old: Storage, storage: Storage) -> None:
    fill(old, 4)

    done = keeper("migrate", *SOURCE, "--dry-run", "-v")

    assert sums(done.out) == "dry run, nothing was changed: images: 4, skipped: 0, processed: 4, errors: 0"
    assert "processed 1400000001_7920.png -> o/demo/1400000001-7920--" in done.out
    assert storage.keys(PICTURES) == []
    assert storage.keys(RESULTS) == []


def test_one_or_some_only(keeper: Curator, old: Storage, storage: Storage) -> None:
    pictures = fill(old, 15)
    (some, *_) = pictures

    assert sums(keeper("migrate", *SOURCE, "-k", some).out) == "images: 1, skipped: 0, processed: 1, errors: 0"
    assert sums(keeper("migrate", *SOURCE, "-l", "10").out).startswith("images: 10,")
    years = sum(key.startswith("2003/") for key in pictures)
    assert sums(keeper("migrate", *SOURCE, "--prefix", "2003/").out).startswith(f"images: {years},")
    missing = keeper("migrate", *SOURCE, "-k", "nothing.jpg")
    assert (missing.code, "The source has no nothing.jpg." in missing.err) == (3, True)


def test_progress_is_told_every_so_many_and_otherwise_it_is_quiet(keeper: Curator, old: Storage) -> None:
    fill(old, 10)

    told = keeper("migrate", *SOURCE, "-p", "5", "-j", "1")
    quiet = keeper("migrate", *SOURCE)

    assert [line.partition(",")[0] for line in told.err.splitlines()] == ["progress: 5", "progress: 10"]
    assert quiet.err == ""
    assert len(quiet.out.splitlines()) == 2


def test_force_looks_again_and_keeps_what_is_published(keeper: Curator, old: Storage, storage: Storage) -> None:
    fill(old, 3)
    keeper("migrate", *SOURCE)
    keys = storage.keys(PICTURES, "o/")

    done = keeper("migrate", *SOURCE, "-f")

    assert sums(done.out) == "images: 3, skipped: 0, processed: 3, errors: 0"
    assert storage.keys(PICTURES, "o/") == keys
    versions = storage.client().list_object_versions(Bucket=PICTURES, Prefix="o/")["Versions"]
    assert len([one for one in versions if one["Key"] in keys and one["IsLatest"]]) == 3


def test_killed_at_any_moment_it_goes_on_and_nothing_is_there_twice_or_lost(
    keeper: Curator, old: Storage, storage: Storage
) -> None:
    pictures = fill(old, 150)
    moments = random.Random(9)
    for _ in range(10):
        with keeper.begun("migrate", *SOURCE, "-j", "3") as process:
            time.sleep(moments.uniform(0.8, 3))
            process.kill()

    last = keeper("migrate", *SOURCE)
    again = keeper("migrate", *SOURCE)

    assert (last.code, again.code) == (0, 0)
    assert sums(again.out) == "images: 150, skipped: 150, processed: 0, errors: 0"
    assert digests(storage) == sorted(map(digest, pictures.values()))
    # Whole: every original holds the bytes that its metadata tells.
    s3 = storage.client()
    for key in storage.keys(PICTURES, "o/"):
        found = s3.get_object(Bucket=PICTURES, Key=key)
        assert digest(found["Body"].read()) == found["Metadata"]["sha256"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_told_to_stop_it_ends_what_is_under_way_and_sums_up(
    keeper: Curator, old: Storage, storage: Storage, number: signal.Signals, code: int
) -> None:
    pictures = fill(old, 150)
    with keeper.begun("migrate", *SOURCE, "-j", "2", "-v") as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)

    assert process.returncode == code
    assert f"stopped by {number.name}" in err
    images, skipped, processed, errors = (int(part.split(": ")[1]) for part in sums(out).split(", "))
    assert (skipped, errors) == (0, 0)
    assert images == processed == len(storage.keys(PICTURES, "o/"))
    assert 0 < images < len(pictures)


def test_a_source_must_be_named_and_only_one(keeper: Curator, tmp_path: Path) -> None:
    none = keeper("migrate", "--no-render")
    two = keeper("migrate", *SOURCE, "--source-folder", str(tmp_path))

    assert (none.code, two.code) == (2, 2)
    assert "Say where from" in none.err


def test_a_map_that_cannot_be_written_is_told_before_anything_is_fetched(
    keeper: Curator, old: Storage, storage: Storage
) -> None:
    fill(old, 1)

    done = keeper("migrate", *SOURCE, "--map", "/dev/full")

    assert (done.code, "--map /dev/full: No space left on device" in done.err) == (2, True)
    gc.collect()  # a file left open would be complained of in some later test
    assert storage.keys(PICTURES) == []


def test_where_the_scanner_is_down_not_all_are_fetched_for_nothing(keeper: Curator, old: Storage) -> None:
    fill(old, 60)

    done = keeper("migrate", *SOURCE, "-v", SCANNER="clamd://127.0.0.1:1")

    # Nothing passes unscanned; and where the scanner is down it is so for the next one.
    assert (done.code, "ended early: Uploads cannot be scanned just now" in done.err) == (3, True)
    images, skipped, processed, errors = (int(part.split(": ")[1]) for part in sums(done.out).split(", "))
    assert (skipped, processed, errors) == (0, 0, images)
    # Twenty in a row, and what was in hand.
    assert 20 <= errors < 60


def test_an_app_that_there_is_not_is_refused(keeper: Curator) -> None:
    done = keeper("migrate", *SOURCE, "--app", "demmo")

    assert done.code == 2
    assert "There is no app 'demmo'" in done.err


def test_without_thumbor_it_says_how_to_go_without(keeper: Curator) -> None:
    done = keeper("migrate", "--source-bucket", "old", "--source-keys", "EXO")

    assert (done.code, "--no-render" in done.err) == (2, True)

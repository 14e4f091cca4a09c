"""What the keeper's commands promise to visitors: presets made anew, cleared, deleted and back."""

import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.stack.keeper import begun, curator, put_result, size
from tests.stack.stacks import Embedded, Picture, Stack

pytestmark = [pytest.mark.stack, pytest.mark.parametrize("stack", ["embedded"], indirect=True)]

ACCEPTS = ("image/avif", "image/webp", "image/jpeg")
MI = "fit-in/400x400/filters:quality(90)"


def get(url: str, accept: str = "image/webp") -> requests.Response:
    """A picture, as a browser asks."""
    return requests.get(url, headers={"Accept": accept}, timeout=60)


def soon(stack: Stack, what: Callable[[], object]) -> bool:
    """On this node at once; nginx may answer for a second from an entry that it has open."""
    time.sleep(1.2)
    return bool(what())


def test_presets_are_made_anew_over_what_is_there_and_the_edge_shows_them(stack: Stack, photo: Picture) -> None:
    addresses = [photo.urls["MI"], f"{stack.url}/t/MI/u/{photo.key}", f"{stack.url}/t/MI/u/{photo.key}?v=1"]
    others = f"{photo.key}/77x77.webp"
    for extension, kind in (("webp", "WEBP"), ("jpg", "JPEG")):
        put_result(stack, f"{photo.key}/{MI}.{extension}", kind)
    put_result(stack, others, "WEBP")
    for url in addresses:
        for accept in ACCEPTS[1:]:
            assert size(get(url, accept).content) == (9, 9)
            assert get(url, accept).headers["X-Cache"] == "HIT"
    original = stack.s3().head_object(Bucket=stack.pictures_bucket, Key=photo.key)
    before = stack.s3().head_object(Bucket=stack.results_bucket, Key=f"{photo.key}/{MI}.webp")

    done = curator(stack, "resize_images", "-k", photo.key)

    assert (done["images"], done["processed"], done["errors"]) == (1, 1, 0)
    # Seven presets, in the two formats that it has results in.
    assert done["variants"] == 14
    assert soon(
        stack, lambda: {size(get(url, accept).content) for url in addresses for accept in ACCEPTS} == {(400, 267)}
    )
    after = stack.s3().head_object(Bucket=stack.results_bucket, Key=f"{photo.key}/{MI}.webp")
    assert after["LastModified"] >= before["LastModified"]
    assert after["ETag"] != before["ETag"]
    again = stack.s3().head_object(Bucket=stack.pictures_bucket, Key=photo.key)
    assert (again["ETag"], again["LastModified"]) == (original["ETag"], original["LastModified"])
    # What is no preset's stays.
    kept = stack.s3().get_object(Bucket=stack.results_bucket, Key=others)["Body"].read()
    assert size(kept) == (9, 9)
    # Nobody has to be rendered for.
    rendered = stack.lines("thumbor", "rendered", photo.key)
    assert get(photo.urls["card"]).status_code == 200
    assert stack.lines("thumbor", "rendered", photo.key) == rendered


def test_a_changed_preset_is_made_and_its_old_results_go_where_that_is_asked(
    stack: Stack, photo: Picture, tmp_path: Path
) -> None:
    presets = tmp_path / "presets.toml"
    presets.write_text('MI = "fit-in/100x100"\n')
    get(photo.urls["MI"])
    assert stack.eventually(lambda: stack.results(photo.key) == [f"{photo.key}/{MI}.webp"])
    arguments = ("resize_images", "-k", photo.key, "--prune", MI)

    dry = curator(stack, *arguments, "--dry-run", PRESETS_FILE=str(presets))
    assert (dry["variants"], dry["pruned"]) == (2, 1)
    assert stack.results(photo.key) == [f"{photo.key}/{MI}.webp"]
    done = curator(stack, *arguments, PRESETS_FILE=str(presets))

    assert (done["variants"], done["pruned"]) == (2, 1)
    assert stack.results(photo.key) == [f"{photo.key}/fit-in/100x100.jpg", f"{photo.key}/fit-in/100x100.webp"]
    body = stack.s3().get_object(Bucket=stack.results_bucket, Key=f"{photo.key}/fit-in/100x100.webp")["Body"].read()
    assert size(body) == (100, 67)


def test_no_visitor_can_have_a_result_made_anew(stack: Stack, photo: Picture) -> None:
    get(photo.urls["MI"])
    stack.eventually(lambda: stack.results(photo.key))
    before = stack.lines("thumbor", "rendered", photo.key)
    stack.s3()
    assert isinstance(stack, Embedded)
    stack.empty_edge()

    answer = requests.get(photo.urls["MI"], headers={"Accept": "image/webp", "Cache-Control": "no-cache"}, timeout=60)

    assert (answer.status_code, answer.headers["X-Cache"]) == (200, "MISS")
    assert stack.lines("thumbor", "rendered", photo.key) == before


def test_a_picture_that_is_deleted_while_it_is_made_anew_stays_deleted(stack: Stack, large_photo: bytes) -> None:
    picture = stack.upload(large_photo, f"slow-{secrets.token_hex(4)}.jpg")
    idle = stack.cpu_seconds("thumbor")
    with begun(stack, "resize_images", "-k", picture.key, "--formats", "all", "--json") as process:
        # Thumbor has fetched the original and computes; there are twenty more variants to come.
        assert stack.eventually(lambda: stack.cpu_seconds("thumbor") > idle + 0.3)
        deleted = requests.delete(f"{stack.url}/", params={"name": picture.name}, timeout=60)
        out, err = process.communicate(timeout=300)

    assert deleted.status_code == 200
    told = json.loads(out)
    assert (process.returncode, told["deleted meanwhile"], told["errors"]) == (0, 1, 0), (out, err)
    assert stack.eventually(lambda: stack.results(picture.key) == [])
    assert stack.originals(picture.key) == []
    assert get(picture.urls["original"], "image/avif").status_code in (404, 410)


def test_an_original_that_cannot_be_shown_is_counted_and_the_rest_goes_on(stack: Stack, photo: Picture) -> None:
    folder = photo.key.rpartition("/")[0]
    broken = f"{folder}/1_broken.jpg"
    stack.s3().put_object(Bucket=stack.pictures_bucket, Key=broken, Body=b"\xff\xd8\xff nothing")

    done = curator(stack, "resize_images", "--prefix", f"{folder}/", "--preset", "SI", code=1)

    assert (done["images"], done["processed"], done["errors"]) == (2, 1, 1)
    assert [one["name"] for one in done["failed"]] == [broken]
    assert stack.results(f"{photo.key}/") == [f"{photo.key}/200x200/filters:quality(90).jpg"]


def test_what_is_stopped_ends_what_it_has_in_hand(stack: Stack, photo: Picture, coffee: bytes) -> None:
    more = [stack.upload(coffee, f"{photo.name}.{number}.jpg") for number in range(6)]
    with begun(stack, "resize_images", "--formats", "all", "-j", "1", "-v") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("processed")
        process.terminate()
        out, err = process.communicate(timeout=120)

    assert process.returncode == 143, (out, err)
    assert "the same command goes on from here" in err
    assert more


def test_after_a_clear_only_originals_are_left_and_the_next_request_rebuilds(stack: Stack, photo: Picture) -> None:
    assert get(photo.urls["MI"]).status_code == 200
    assert stack.eventually(lambda: stack.results(photo.key))
    assert get(photo.urls["MI"]).headers["X-Cache"] == "HIT"
    notices = set(stack.results("notices/"))
    before = stack.lines("thumbor", "rendered", photo.key)

    done = curator(stack, "clear", "--yes", "-k", photo.key)

    assert (done["results"], done["edge"]) == (1, 1)
    assert stack.results(photo.key) == []
    assert stack.originals(photo.key) == [photo.key]
    assert notices < set(stack.results("notices/"))
    assert soon(stack, lambda: get(photo.urls["MI"]).status_code == 200)
    assert stack.eventually(lambda: stack.lines("thumbor", "rendered", photo.key) == before + 1)


def test_a_restored_picture_answers_again_and_may_be_deleted_again(stack: Stack, photo: Picture, coffee: bytes) -> None:
    addresses = [photo.url, photo.urls["MI"], f"{stack.url}/t/SI/u/{photo.key}"]
    for _ in range(2):
        assert {get(url).status_code for url in addresses} == {200}
        assert requests.delete(f"{stack.url}/", params={"name": photo.name}, timeout=60).status_code == 200
        assert {get(url).status_code for url in addresses} == {410}
        with begun(stack, "restore", "--since", "1h", "--json") as process:
            listed = process.communicate(timeout=60)[0]
        assert photo.key in [json.loads(line)["key"] for line in listed.splitlines()]

        assert curator(stack, "restore", photo.key)["processed"] == 1

        assert soon(stack, lambda: {get(url).status_code for url in addresses} == {200})
        assert get(photo.url).content == coffee
    requests.delete(f"{stack.url}/", params={"name": photo.name}, timeout=60)
    assert {get(url).status_code for url in addresses} == {410}


def test_the_doctor_finds_nothing_wrong_and_leaves_nothing(stack: Stack) -> None:
    def everything() -> list[str]:
        s3 = stack.s3()
        versions = s3.list_object_versions(Bucket=stack.pictures_bucket, Prefix="o/demo/thumbstack-doctor-")
        old = [*versions.get("Versions", ()), *versions.get("DeleteMarkers", ())]
        return [*(one["Key"] for one in old), *stack.results("o/demo/thumbstack-doctor-")]

    told = curator(stack, "doctor")

    verdicts = {check["name"]: check["verdict"] for check in told["checks"]}
    assert told["well"]
    assert set(verdicts.values()) == {"ok"}
    for name in ("clock", "pictures: versions", "upload", "thumbnails", "orientation", "bombs", "delete", "left over"):
        assert name in verdicts
    assert stack.eventually(lambda: everything() == [])


def test_the_doctor_names_what_is_wrong(stack: Stack) -> None:
    keys = curator(stack, "doctor", code=1, SECURITY_KEYS="another-key-than-the-rooms-have-0123")
    away = curator(stack, "doctor", code=1, THUMBOR_SERVERS="127.0.0.1:1", EDGE_SERVER="127.0.0.1:1")

    wrong = {check["name"].partition(":")[0] for check in keys["checks"] if check["verdict"] == "wrong"}
    assert {"thumbnails", "delete"} <= wrong or "thumbnails" in wrong
    assert any("SECURITY_KEYS differ" in check["told"] for check in keys["checks"])
    wrong = {check["name"] for check in away["checks"] if check["verdict"] == "wrong"}
    assert wrong == {"thumbor 127.0.0.1:1", "upload"}

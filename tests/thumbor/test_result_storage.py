"""What is kept, under which key, and that trouble with it never reaches a client."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests
from libthumbor.url_signers.base64_hmac_sha1 import UrlSigner

from tests.thumbor.conftest import KEY
from thumbstack.signing import signed_path

if TYPE_CHECKING:
    from tests.thumbor.conftest import S3, ScriptedS3, Thumbor, Thumbors


def test_a_result_lies_under_its_original_with_its_content_type(thumbor: "Thumbor", s3: "S3", coffee: bytes) -> None:
    picture = s3.put(coffee, "jpg")

    for options in ("", "fit-in/60x40/filters:quality(50)", f"60x40/filters:watermark({picture},{'0' * 200},0,50)"):
        thumbor.rendered(s3, picture, options, "image/webp")

    plain, whole, hashed = s3.results(picture)
    assert (plain, whole) == ("_.webp", "fit-in/60x40/filters:quality(50).webp")
    assert hashed.startswith("sha256-")
    assert s3.client.head_object(Bucket="test-results", Key=f"{picture}/_.webp")["ContentType"] == "image/webp"


def test_percent_encoded_options_are_the_same_result(thumbor: "Thumbor", s3: "S3", coffee: bytes) -> None:
    picture = s3.put(coffee, "jpg")
    thumbor.rendered(s3, picture, "60x40/filters:quality(50)")
    encoded = f"60x40/filters:quality(5%30)/{picture}"
    signature = UrlSigner("a-key-for-tests-that-is-long-enough").signature(encoded).decode()

    assert thumbor.get_path(f"/{signature}/{encoded}").status_code == 200
    assert thumbor.counted() == ["result hit"]


def test_a_new_security_key_finds_the_old_results(
    thumbor: "Thumbor", thumbors: "Thumbors", s3: "S3", coffee: bytes
) -> None:
    picture = s3.put(coffee, "jpg")
    thumbor.rendered(s3, picture, "60x40")
    newest = "a-newer-key-that-is-long-enough-too"

    rotated = thumbors.start({**s3.environment(), "SECURITY_KEYS": newest})

    assert rotated.get_path(signed_path(picture, "60x40", newest)).status_code == 200
    assert rotated.counted() == ["result hit"]


ANEW = {"Cache-Control": "no-cache", "Accept": "image/jpeg"}


def test_a_result_is_made_anew_and_is_stored_when_that_is_answered(thumbor: "Thumbor", s3: "S3", coffee: bytes) -> None:
    picture = s3.put(coffee, "jpg")
    key = f"{picture}/60x40.jpg"
    s3.client.put_object(Bucket="test-results", Key=key, Body=b"\xff\xd8\xff what an older engine made")
    assert b"older engine" in thumbor.get(picture, "60x40").content
    thumbor.lines()

    answer = requests.get(thumbor.url + signed_path(picture, "60x40", KEY), headers=ANEW, timeout=60)

    assert answer.status_code == 200
    assert s3.client.get_object(Bucket="test-results", Key=key)["Body"].read() == answer.content
    assert b"older engine" not in answer.content
    assert thumbor.counted() == ["rendered"]


def test_what_is_made_anew_and_cannot_be_stored_is_told(
    on_scripted: "Thumbor", scripted: "ScriptedS3", coffee: bytes
) -> None:
    picture = scripted.put(coffee)
    scripted.faults["test-results", "PUT"] = "403"
    url = on_scripted.url + signed_path(picture, "60x40", KEY)

    assert requests.get(url, headers=ANEW, timeout=60).status_code == 503
    scripted.faults.clear()
    assert requests.get(url, headers=ANEW, timeout=60).status_code == 200
    assert f"/test-results/{picture}/60x40.jpg" in scripted.objects


def test_what_is_made_anew_does_not_outlive_its_original(held_thumbor: "Thumbor", s3: "S3", coffee: bytes) -> None:
    picture = s3.put(coffee, "jpg")
    held_thumbor.close_gate()
    url = held_thumbor.url + signed_path(picture, "60x40", KEY)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(requests.get, url, headers=ANEW, timeout=60)
        held_thumbor.wait_for_a_render()
        s3.client.delete_object(Bucket="test-pictures", Key=str(picture))
        held_thumbor.open_gate()

        assert answer.result().status_code == 503
    assert s3.results(picture) == []
    assert requests.get(url, headers=ANEW, timeout=60).status_code == 404


def test_meta_answers_are_not_kept_and_no_render(thumbor: "Thumbor", s3: "S3", coffee: bytes) -> None:
    picture = s3.put(coffee, "jpg")
    thumbor.rendered(s3, picture, "60x40")

    for _ in range(2):
        answer = thumbor.get(picture, "meta/60x40")
        assert answer.json()["thumbor"]["target"]["width"] == 60

    assert thumbor.counted() == []
    assert s3.results(picture) == ["60x40.jpg"]


@pytest.mark.parametrize("fault", ["403", "500", "503", "truncate", "hang", "drip"])
def test_trouble_with_looking_up_is_a_miss(
    on_scripted: "Thumbor", scripted: "ScriptedS3", coffee: bytes, fault: str
) -> None:
    picture = scripted.put(coffee)
    scripted.objects[f"/test-results/{picture}/60x40.jpg"] = coffee
    scripted.faults["test-results", "GET"] = fault

    assert on_scripted.get(picture, "60x40").status_code == 200

    assert on_scripted.events(picture, 2) == ["result not looked up", "rendered"]


@pytest.mark.parametrize("fault", ["403", "500", "503", "hang"])
def test_trouble_with_storing_is_one_warning_and_the_client_has_its_picture(
    on_scripted: "Thumbor", scripted: "ScriptedS3", coffee: bytes, fault: str
) -> None:
    picture = scripted.put(coffee)
    scripted.faults["test-results", "PUT"] = fault

    assert on_scripted.get(picture, "60x40").status_code == 200

    assert on_scripted.events(picture, 2) == ["rendered", "result not stored or not checked"]


def test_an_original_deleted_during_its_render_leaves_no_result(
    held_thumbor: "Thumbor", s3: "S3", coffee: bytes
) -> None:
    held_thumbor.close_gate()
    picture = s3.put(coffee, "jpg")

    with ThreadPoolExecutor() as client:
        answer = client.submit(held_thumbor.get, picture, "60x40")
        held_thumbor.wait_for_a_render()
        s3.client.delete_object(Bucket="test-pictures", Key=str(picture))
        held_thumbor.open_gate()
        assert answer.result().status_code == 200

    assert held_thumbor.events(picture, 2) == ["rendered", "result taken back"]
    assert s3.results(picture) == []


@pytest.mark.parametrize("fault", ["403", "500"])
def test_only_a_404_takes_a_result_back(
    on_scripted: "Thumbor", scripted: "ScriptedS3", coffee: bytes, fault: str
) -> None:
    picture = scripted.put(coffee)
    scripted.faults["test-pictures", "HEAD"] = fault

    on_scripted.get(picture, "60x40")

    assert on_scripted.events(picture, 2) == ["rendered", "result not stored or not checked"]
    assert f"/test-results/{picture}/60x40.jpg" in scripted.objects

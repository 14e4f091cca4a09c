"""What an attacker with keys or a ticket of one app tries on another's pictures."""

import base64
import json
from collections.abc import Iterator, Sequence
from urllib.parse import quote

import pytest
import requests

from tests.stack.raw import Answer, ask
from tests.stack.stacks import SHOP, Stack
from tests.stack.victim import Victim, assert_refused

pytestmark = pytest.mark.stack


def as_shop(shown: str) -> list[str]:
    """The headers of the other app."""
    return [f"Authorization: Bearer {shown}"]


def posted(stack: Stack, fields: Sequence[tuple[str, str]], body: bytes, name: str, target: str = "/direct") -> Answer:
    """A form with a file behind its fields, as they stand."""
    parts = [f'--x\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in fields]
    head = "".join(parts) + f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    form = head.encode() + body + b"\r\n--x--\r\n"
    return ask(stack, target, "POST", ["Content-Type: multipart/form-data; boundary=x"], form)


def ticket(stack: Stack, **wish: str) -> dict[str, str]:
    """The fields of a ticket of the other app."""
    answer = requests.post(
        f"{stack.url}/generate_policy", json=wish, headers={"Authorization": f"Bearer {SHOP['public_key']}"}, timeout=60
    )
    return {name.replace("_", "-"): value for name, value in answer.json()["data"].items()}


@pytest.fixture
def shop(stack: Stack, untouched: None) -> Iterator[str]:
    """The prefix of the other app, that may write there; at the end all of it is gone."""
    prefix = f"o/{SHOP['app']}/"
    yield prefix
    headers = {"Authorization": f"Bearer {SHOP['private_key']}"}
    assert requests.delete(f"{stack.url}/delete-all-pictures", headers=headers, timeout=60).status_code == 200
    assert stack.originals(prefix) == []


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("shown", [SHOP["private_key"], SHOP["public_key"], "nobodys-key-0123456789"])
def test_one_app_reaches_nothing_of_another(stack: Stack, victim: Victim, shown: str) -> None:
    key, file = victim.picture.key, victim.picture.key.rpartition("/")[2]
    headers = [*as_shop(shown), "Content-Type: application/json"]
    for method, target, fields in (
        ("POST", "/sign", {"key": key, "options": "300x200"}),
        ("POST", "/sign", {"key": key, "options": "300x200", "private_api_key": SHOP["private_key"]}),
        ("POST", "/sign", {"key": f"o/shop/../demo/victim/{file}", "options": "300x200"}),
        ("POST", "/sign", {"key": f"o/shop/x/{file}", "options": "300x200/" + key + "?"}),
        ("POST", "/publish", {"key": key}),
        ("POST", "/publish", {"filename": file}),
        ("POST", "/publish", {"key": f"incoming/shop/../../{key}"}),
        ("POST", "/rotate", {"key": key}),
        ("GET", f"/pictures/{key}", {}),
        ("DELETE", f"/pictures/{key}", {}),
        ("DELETE", f"/pictures/o/shop/..%2fdemo/victim/{file}", {}),
        ("DELETE", f"/pictures/o/shop/%2e%2e/demo/victim/{file}", {}),
        ("GET", "/", {"name": "victim"}),
        ("GET", "/", {"name": "../demo/victim"}),
        ("DELETE", "/", {"name": "victim"}),
        ("DELETE", "/", {"name": "..\\demo\\victim"}),
        ("GET", "/pictures", {"after": key}),
    ):
        assert_refused(stack, ask(stack, target, method, headers, json.dumps(fields).encode()))
    several = json.dumps({"filenames": [key, file, f"../../{key}"]}).encode()
    answer = ask(stack, "/delete", "POST", headers, several)
    assert answer.status == 403 or {each["status"] for each in answer.json["filenames"]} == {404}


def test_a_ticket_is_for_nothing_else(stack: Stack, victim: Victim, cat: bytes, shop: str) -> None:
    given = ticket(stack, filename="a.png")
    policy = json.loads(base64.b64decode(given["policy"]))
    policy["conditions"] = [["starts-with", "$key", ""]]
    wide = base64.b64encode(json.dumps(policy).encode()).decode()
    changes: list[dict[str, str | None]] = [
        {"key": given["key"].replace("/shop/", "/demo/")},
        {"key": victim.picture.key},
        {"key": f"o/shop/../demo/victim/{given['key'].rpartition('/')[2]}"},
        {"key": given["key"] + "/../../../demo/x.png"},
        {"key": f"/{given['key']}"},
        {"key": given["key"].replace("/", "%2F")},
        {"key": given["key"] + "\0"},
        {"key": given["key"].replace("o/", "incoming/", 1)},
        {"key": "${filename}"},
        {"key": "notices/9999999999999-00000000"},
        {"policy": wide},
        {"policy": wide, "key": victim.picture.key},
        {"policy": given["policy"] + "="},
        {"policy": None},
        {"policy": None, "x-amz-signature": None},
        {"x-amz-signature": None},
        {"x-amz-signature": "0" * 64},
        {"x-amz-signature": given["x-amz-signature"].upper()},
        {"x-amz-algorithm": "none"},
        {"x-amz-credential": given["x-amz-credential"].replace("/s3/", "/iam/")},
        {"x-amz-date": "20000101T000000Z"},
        {"content-type": "text/html"},
        {"x-amz-meta-sha256": "0" * 64},
        {"x-amz-meta-ticket": "9999999999"},
    ]
    for change in changes:
        fields = [(name, value) for name, value in {**given, **change}.items() if value is not None]
        answer = posted(stack, fields, cat, "a.png")
        assert answer.status in (400, 403), (change, answer)
        assert_refused(stack, answer)
    assert stack.originals(shop) == []

    # AWS refuses what no ticket names; the embedded S3 lets some of it pass, and must not mind it.
    for name, value in (
        ("bucket", stack.results_bucket),
        ("acl", "public-read"),
        ("success_action_redirect", "http://192.0.2.1/"),
        ("success_action_status", "200"),
        ("x-amz-website-redirect-location", "http://192.0.2.1/"),
        ("x-amz-security-token", "x"),
        ("tagging", "<Tagging/>"),
        ("key", victim.picture.key),
    ):
        for fields in ([(name, value), *given.items()], [*given.items(), (name, value)]):
            answer = posted(stack, fields, cat, "a.png")
            if answer.status in (200, 204):
                assert (answer.body, "location" in answer.headers) == (b"", False)
            else:
                assert_refused(stack, answer)
            assert set(stack.originals(shop)) <= {given["key"]}
    straight = requests.get(f"{stack.s3_endpoint}/{stack.pictures_bucket}/{given['key']}", timeout=60)
    assert straight.status_code in (403, 404)


@pytest.mark.usefixtures("untouched")
def test_the_way_of_a_ticket_leads_nowhere_else(stack: Stack, victim: Victim, cat: bytes) -> None:
    given = list(ticket(stack, filename="a.png").items())
    for target in (
        "/direct/",
        f"/direct/{victim.picture.key}",
        "/direct/../o/demo/",
        "/direct%2f..%2fthumbstack-results",
        "/direct//",
        "/Direct",
        f"/{stack.pictures_bucket}",
        f"/_s3/{stack.pictures_bucket}",
    ):
        assert_refused(stack, posted(stack, given, cat, "a.png", target))
    for query in ("delete", "acl", "policy", "uploads", "versioning", "X-Amz-Signature=0", "cors", "list-type=2"):
        for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "POST"):
            if method != "HEAD":
                assert_refused(stack, ask(stack, f"/direct?{query}", method, ["Content-Type: text/xml"], b"<Delete/>"))
            forms = ["Content-Type: multipart/form-data; boundary=x", "x-amz-copy-source: /thumbstack-pictures/x"]
            if method != "POST":
                assert 400 <= ask(stack, f"/direct?{query}", method, forms).status < 500
    assert_refused(stack, ask(stack, "/direct", "POST", ["Content-Type: multipart/form-data; boundary=x"], b"--x--"))


def test_a_file_that_names_itself_stays_in_its_folder(stack: Stack, victim: Victim, cat: bytes, shop: str) -> None:
    given = ticket(stack)
    folder = given["key"].removesuffix("${filename}")
    file = victim.picture.key.rpartition("/")[2]
    for name in (
        f"../../demo/victim/{file}",
        f"..%2f..%2fdemo%2fvictim%2f{file}",
        f"..\\..\\demo\\victim\\{file}",
        f"/o/demo/victim/{file}",
        f"a/../../../demo/victim/{file}",
        "../../../incoming/demo/x.png",
        "..",
        ".",
        "",
        "${filename}",
        "a\0b.png",
        "a" * 300,
        "ä\u202egnp.exe",
        "index.html",
    ):
        answer = posted(stack, list(given.items()), cat, name)

        assert answer.status == 204 or 400 <= answer.status < 500, (name, answer)
    kept = stack.originals(shop)
    assert len(kept) >= 3
    # What was never completed is nothing that a browser would open.
    for key in kept:
        assert key.startswith(folder)
        shown = ask(stack, "/" + quote(key))
        if shown.status == 200:
            assert shown.headers["content-type"] in ("application/octet-stream", "image/png", "image/jpeg"), key
            assert shown.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in shown.headers["content-security-policy"]
        else:
            assert_refused(stack, shown)


@pytest.mark.usefixtures("untouched")
def test_nothing_of_another_app_is_completed_listed_or_deleted(stack: Stack, victim: Victim) -> None:
    key, file = victim.picture.key, victim.picture.key.rpartition("/")[2]
    for shown in (SHOP["private_key"], SHOP["public_key"]):
        for asked in (
            key,
            victim.secret.key,
            f"incoming/{key.removeprefix('o/')}",
            f"o/shop/../demo/victim/{file}",
            f"o/shop/x/../../demo/victim/{file}",
            f"o/shop%2F..%2Fdemo/victim/{file}",
            f"o//demo/victim/{file}",
            "o/shop/nobody/x.png",
            "o/shop/",
            "o/",
            "",
            "notices/9999999999999-00000000",
            "a" * 5000,
        ):
            body = json.dumps({"key": asked}).encode()
            headers = [*as_shop(shown), "Content-Type: application/json"]
            assert_refused(stack, ask(stack, "/complete", "POST", headers, body))
    for asked in (key, f"../demo/victim/{file}", f"..%2fdemo/victim/{file}", f"/../../o/demo/victim/{file}", "..", ""):
        for shown in (SHOP["private_key"], SHOP["public_key"], "nobodys-key-0123456789"):
            target = f"/delete_file?private_api_key={shown}&api_key={SHOP['public_key']}&file_path={asked}"
            answer = ask(stack, target, "DELETE")
            # What is not there is as good as deleted.
            assert answer.status == 204 or 400 <= answer.status < 500, answer
    listed = ask(
        stack, f"/list_files?api_key={SHOP['public_key']}&private_api_key={SHOP['private_key']}&prefix=o/demo/"
    )
    assert (listed.status, listed.json) == (200, [])
    for keys in (f"api_key={SHOP['public_key']}", f"api_key=x&private_api_key={SHOP['private_key']}"):
        assert_refused(stack, ask(stack, f"/list_files?{keys}"))

"""Files that go straight to S3: by curl and by forms built here, with nobody's library and nothing of ours."""

import base64
import hashlib
import hmac
import json
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.stack.stacks import Stack

pytestmark = pytest.mark.stack

Fields = dict[str, str]


def ticket(stack: Stack, **wish: str) -> dict[str, Any]:
    """What the service answers who asks for a ticket."""
    answer = requests.post(f"{stack.url}/generate_policy", data=wish, timeout=30)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def form(told: Mapping[str, Any]) -> Fields:
    """The fields as S3 wants them."""
    return {name.replace("_", "-"): value for name, value in told["data"].items()}


def post(stack: Stack, fields: Mapping[str, str], body: bytes, name: str = "cat.png") -> requests.Response:
    """Post a form whose last part is the file; a blank line and a boundary are all there is to it."""
    boundary = "a-boundary-that-is-in-no-picture"
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{fields[key]}\r\n' for key in fields]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n')
    return requests.post(
        f"{stack.url}/direct",
        data="".join(parts).encode() + body + f"\r\n--{boundary}--\r\n".encode(),
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        timeout=60,
    )


def complete(stack: Stack, key: str) -> requests.Response:
    return requests.post(f"{stack.url}/complete", data={"key": key}, timeout=60)


def signed(stack: Stack, fields: Mapping[str, str], conditions: list[Any], expires: datetime) -> Fields:
    """A form with a policy of our own, signed as AWS's documents say."""
    access, secret = (stack.s3_credentials[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
    date = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    scope = (date[:8], "us-east-1", "s3", "aws4_request")
    own = {"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": "/".join((access, *scope)), "x-amz-date": date}
    named = [{name: value} for name, value in {"bucket": stack.pictures_bucket, **fields, **own}.items()]
    policy = {"expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}", "conditions": [*named, *conditions]}
    encoded = base64.b64encode(json.dumps(policy).encode()).decode()
    key = f"AWS4{secret}".encode()
    for part in (*scope, encoded):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return {**fields, **own, "policy": encoded, "x-amz-signature": key.hex()}


def test_a_file_goes_straight_to_s3_and_is_what_its_address_shows(stack: Stack, cat: bytes) -> None:
    told = ticket(stack)

    stored = post(stack, form(told), cat, "cat.png")

    assert (stored.status_code, stored.content) == (204, b"")
    assert [name for name in stored.headers if name.lower().startswith(("x-amz", "location"))] == []
    shown = requests.get(f"http:{told['file_url_path']}cat.png", timeout=30)
    assert shown.content == cat
    assert shown.headers["Content-Type"] == "image/png"
    key = told["data"]["key"].replace("${filename}", "cat.png")
    assert requests.get(f"{stack.s3_endpoint}/{stack.pictures_bucket}/{key}", timeout=30).status_code == 403
    done = complete(stack, key).json()
    assert (done["key"], done["width"], done["name"]) == (key, 451, "cat.png")
    assert requests.get(done["urls"]["MI"], timeout=60).status_code == 200
    listed = requests.get(f"{stack.url}/list_files", timeout=60).json()
    path = told["file_prefix"] + "cat.png"
    (mine,) = [file for file in listed if file["file_path"] == path]
    assert (mine["name"], mine["filetype"], mine["size"]) == ("cat", "png", len(cat))
    for _ in range(2):
        deleted = requests.delete(f"{stack.url}/delete_file", params={"file_path": path}, timeout=60)
        assert deleted.status_code == 204
    assert requests.get(f"http:{told['file_url_path']}cat.png", timeout=30).status_code == 410
    assert requests.get(done["urls"]["MI"], timeout=30).status_code == 410


@pytest.mark.usefixtures("curl")
def test_curl_can_do_it_too(stack: Stack, tmp_path: Path, coffee: bytes) -> None:
    (tmp_path / "cat.jpg").write_bytes(coffee)
    told = ticket(stack)
    fields = [argument for name, value in form(told).items() for argument in ("-F", f"{name}={value}")]

    done = subprocess.run(
        ["curl", "-sS", "-w", "%{http_code}", *fields, "-F", "file=@cat.jpg", told["url"]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout == "204"
    assert requests.get(f"http:{told['file_url_path']}cat.jpg", timeout=30).content == coffee


def test_two_files_of_one_name_never_meet(stack: Stack, cat: bytes, coffee: bytes) -> None:
    told = [ticket(stack, filename="a.png") for _ in range(2)]

    for one, body in zip(told, (cat, coffee), strict=True):
        assert post(stack, form(one), body).status_code == 204

    addresses = [f"{stack.url}/{one['data']['key']}" for one in told]
    assert [requests.get(address, timeout=30).content for address in addresses] == [cat, coffee]


def changed(text: str) -> str:
    """Another character in the middle."""
    middle = len(text) // 2
    return text[:middle] + ("0" if text[middle] != "0" else "1") + text[middle + 1 :]


def laxer(policy: str) -> str:
    """The policy with a larger size."""
    told = json.loads(base64.b64decode(policy))
    told["conditions"].append(["content-length-range", 0, 10**9])
    return base64.b64encode(json.dumps(told).encode()).decode()


BREAKS: dict[str, Callable[[Fields], Mapping[str, str | None]]] = {
    "another key": lambda form: {"key": form["key"].replace("cat", "dog")},
    "another app's folder": lambda form: {"key": form["key"].replace("o/demo/", "o/other/")},
    "out of the folder": lambda form: {"key": form["key"].replace("o/demo/", "o/demo/../other/")},
    "another type": lambda form: {"content-type": "text/html"},
    "no type": lambda form: {"content-type": None},
    "a field more": lambda form: {"x-amz-meta-sha256": "0" * 64},
    "another storage class": lambda form: {"x-amz-storage-class": "GLACIER"},
    "another time": lambda form: {"x-amz-date": "20990101T000000Z"},
    "no mark of the ticket": lambda form: {"x-amz-meta-ticket": None},
    "another life": lambda form: {"x-amz-meta-ticket": "9999999999"},
    "another signature": lambda form: {"x-amz-signature": changed(form["x-amz-signature"])},
    "no signature": lambda form: {"x-amz-signature": None},
    "another policy": lambda form: {"policy": laxer(form["policy"])},
    "no policy": lambda form: {"policy": None},
    "another signer": lambda form: {"x-amz-credential": "stranger" + form["x-amz-credential"]},
    "another checksum": lambda form: {"x-amz-checksum-sha256": base64.b64encode(bytes(32)).decode()},
    "no checksum": lambda form: {"x-amz-checksum-sha256": None},
}


@pytest.mark.parametrize("broken", BREAKS)
def test_s3_refuses_whatever_differs_from_the_ticket(stack: Stack, cat: bytes, broken: str) -> None:
    fields = form(ticket(stack, filename="cat.png", size=str(len(cat)), checksum=hashlib.sha256(cat).hexdigest()))
    before = stack.originals("")
    for name, value in BREAKS[broken](fields).items():
        fields.pop(name) if value is None else fields.update({name: value})

    answer = post(stack, fields, cat)

    assert (answer.status_code, answer.json()["code"]) == (403, "ticket_refused")
    assert "thumbstack-pictures" not in answer.text
    assert stack.originals("") == before


@pytest.mark.parametrize("change", [-1, 1, "bytes"])
def test_s3_refuses_another_file(stack: Stack, cat: bytes, change: int | str) -> None:
    wish = {"filename": "cat.png", "size": str(len(cat))}
    if change == "bytes":
        wish["checksum"] = hashlib.sha256(cat).hexdigest()
    fields = form(ticket(stack, **wish))
    body = {-1: cat[:-1], 1: cat + b"1", "bytes": b"0" + cat[1:]}[change]

    answer = post(stack, fields, body)

    assert (answer.status_code, answer.json()["code"]) == (403, "ticket_refused")
    assert fields["key"] not in stack.originals("")
    assert post(stack, fields, cat).status_code == 204


def test_nothing_and_too_much_are_refused(stack: Stack) -> None:
    fields = form(ticket(stack))

    assert post(stack, fields, b"").json()["code"] == "ticket_refused"
    assert post(stack, fields, bytes(32 * 1024 * 1024 + 1)).json()["code"] == "ticket_refused"
    assert post(stack, fields, bytes(33 * 1024 * 1024)).json()["code"] == "too_large"


@pytest.mark.parametrize(
    "key", ["o/demo/x.png", "o/other/a/x.png", "incoming/demo/a/x.png", "x.png", "/o/demo/a/x.png"]
)
def test_a_ticket_for_a_folder_is_for_that_folder(stack: Stack, cat: bytes, key: str) -> None:
    fields = form(ticket(stack))

    assert post(stack, {**fields, "key": key}, cat).status_code == 403
    out = fields["key"].replace("${filename}", "../../other/x.png")
    assert post(stack, {**fields, "key": out}, cat).status_code == 403
    assert post(stack, fields, cat, "../../other/evil.png").status_code in (204, 403)
    assert [found for found in stack.originals("o/other/") if "evil" in found] == []


def test_a_ticket_ends(stack: Stack, cat: bytes) -> None:
    now = datetime.now(UTC)
    fields = {"key": "o/demo/late/1.png", "content-type": "image/png", "x-amz-meta-ticket": "1"}

    late = post(stack, signed(stack, fields, [["content-length-range", 1, 10**6]], now - timedelta(seconds=1)), cat)
    timely = post(stack, signed(stack, fields, [["content-length-range", 1, 10**6]], now + timedelta(minutes=1)), cat)

    assert (late.status_code, late.json()["code"]) == (403, "ticket_refused")
    assert timely.status_code == 204


def test_what_a_ticket_does_not_forbid_does_no_harm(stack: Stack, cat: bytes) -> None:
    # Fields that AWS refuses and SeaweedFS takes: they must not come out again.
    told = ticket(stack, filename="cat.png")
    extra = {"Content-Encoding": "gzip", "Content-Disposition": "attachment", "Cache-Control": "no-store", "acl": "x"}

    answer = post(stack, {**form(told), **extra}, cat)

    assert answer.status_code == 204
    shown = requests.get(f"{stack.url}/{told['data']['key']}", timeout=30)
    assert shown.content == cat
    assert not {"Content-Encoding", "Content-Disposition"} & set(shown.headers)
    assert shown.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert complete(stack, told["data"]["key"]).status_code == 200
    head = stack.s3().head_object(Bucket=stack.pictures_bucket, Key=told["data"]["key"])
    assert "ContentEncoding" not in head


def test_nobody_is_sent_elsewhere_by_a_form(stack: Stack, cat: bytes) -> None:
    fields = {**form(ticket(stack)), "success_action_redirect": "http://evil.example/"}

    answer = post(stack, fields, cat)

    assert answer.status_code in (403, 503)
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    ("name", "kind"),
    [("page.png", "image/png"), ("page.jpeg", "image/jpeg"), ("page.html", "application/octet-stream")],
)
def test_what_is_never_completed_is_shown_as_a_picture_or_not_at_all(stack: Stack, name: str, kind: str) -> None:
    told = ticket(stack)
    page = b"<html><script>alert(1)</script></html>"
    assert post(stack, form(told), page, name).status_code == 204

    shown = requests.get(f"http:{told['file_url_path']}{name}", timeout=30)

    assert shown.headers["Content-Type"] == kind
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert shown.headers["Content-Security-Policy"] == "default-src 'none'"
    # And it can be found and removed by its keeper.
    path = told["file_prefix"] + name
    assert path in [file["file_path"] for file in requests.get(f"{stack.url}/list_files", timeout=60).json()]
    assert requests.delete(f"{stack.url}/delete_file", params={"file_path": path}, timeout=60).status_code == 204
    assert stack.originals(f"o/demo/{told['file_prefix']}") == []


def test_what_is_no_picture_is_removed_with_the_reason(stack: Stack) -> None:
    told = ticket(stack, filename="cat.png")
    key = told["data"]["key"]
    assert post(stack, form(told), b"no picture at all").status_code == 204
    assert requests.get(f"{stack.url}/{key}", timeout=30).status_code == 200

    answer = complete(stack, key)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_type")
    assert requests.get(f"{stack.url}/{key}", timeout=30).status_code == 410
    assert stack.originals(key) == []
    assert complete(stack, key).status_code == 404


def test_what_waits_is_seen_by_nobody_before_it_is_completed(stack: Stack, coffee: bytes) -> None:
    key = "incoming/demo/waiting/1795161488_0123456789abcdef0123.jpg"
    public = key.replace("incoming/", "o/", 1)
    fields = {"key": key, "content-type": "image/jpeg", "x-amz-meta-ticket": "1"}
    expires = datetime.now(UTC) + timedelta(minutes=1)
    assert post(stack, signed(stack, fields, [["content-length-range", 1, 10**6]], expires), coffee).status_code == 204

    assert [requests.get(f"{stack.url}/{one}", timeout=30).status_code for one in (key, public)] == [404, 404]
    done = complete(stack, key)

    assert done.json()["key"] == public
    assert stack.eventually(lambda: requests.get(f"{stack.url}/{public}", timeout=30).content == coffee)
    assert stack.originals("incoming/demo/waiting/") == []


def test_who_breaks_off_leaves_nothing(stack: Stack, cat: bytes) -> None:
    told = ticket(stack, filename="cat.png")
    head = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in form(told).items()
    )
    file = '--x\r\nContent-Disposition: form-data; name="file"; filename="cat.png"\r\n\r\n'

    def half() -> Any:
        yield (head + file).encode() + cat[: len(cat) // 2]
        raise ConnectionAbortedError

    with pytest.raises(requests.ConnectionError):
        requests.post(
            f"{stack.url}/direct", data=half(), headers={"Content-Type": "multipart/form-data; boundary=x"}, timeout=30
        )

    assert requests.get(f"{stack.url}/{told['data']['key']}", timeout=30).status_code == 404


def test_a_stranger_gets_no_ticket(stack: Stack) -> None:
    answer = requests.post(f"{stack.url}/generate_policy", data={"api_key": "nope-nope"}, timeout=30)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "nope" not in answer.text

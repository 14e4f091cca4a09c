"""Signed and readable picture URLs."""

import io
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from libthumbor import CryptoURL
from libthumbor.url_signers.base64_hmac_sha1 import UrlSigner

from signer import create_app
from signer.config import Config

SECURITY_KEY = "security-key-of-the-tests-0123456789"
KEY = "o/shop/cat/1763600000_0123456789abcdef.jpg"
crypto = CryptoURL(key=SECURITY_KEY)


def test_a_url_is_signed_as_libthumbor_signs_it(client: FlaskClient, as_keeper: dict[str, str]) -> None:
    answer = client.post("/sign", json={"key": KEY, "options": "fit-in/300x200/smart"}, headers=as_keeper)

    expected = crypto.generate(image_url=KEY, width=300, height=200, fit_in=True, smart=True)
    assert answer.status_code == 200
    assert answer.json == {"url": f"https://pictures.example{expected}"}


def test_a_form_is_as_good_as_json(client: FlaskClient, as_keeper: dict[str, str]) -> None:
    fields = {"key": KEY, "preset": "MI"}

    assert (
        client.post("/sign", data=fields, headers=as_keeper).json
        == client.post("/sign", json=fields, headers=as_keeper).json
    )


def test_widths_make_a_srcset(client: FlaskClient, as_keeper: dict[str, str]) -> None:
    answer = client.post(
        "/sign", json={"key": KEY, "options": "400x300", "widths": [800, 200, 800]}, headers=as_keeper
    ).json

    assert answer is not None
    small, big = (crypto.generate(image_url=KEY, width=width, height=width * 3 // 4) for width in (200, 800))
    assert answer["srcset"] == f"https://pictures.example{small} 200w, https://pictures.example{big} 800w"


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({}, 400, "missing_input"),
        ({"key": "http://evil.example/a.jpg"}, 400, "missing_input"),
        ({"key": "o/other/cat/1_a.jpg"}, 403, "forbidden"),
        ({"key": KEY, "options": "9999x9999"}, 400, "bad_options"),
        ({"key": KEY, "options": "300x200/../.."}, 400, "bad_options"),
        ({"key": KEY, "preset": "none"}, 400, "bad_options"),
        ({"key": KEY, "preset": "MI", "options": "1x1"}, 400, "bad_options"),
        ({"key": KEY, "widths": "a"}, 400, "bad_options"),
        *(
            ({"key": KEY, "widths": widths}, 400, "bad_options")
            for widths in (0, [0], "0", [300.9], [True], "1_000", "\u0663\u0660\u0660", "+300", "300,", [[300]], [None])
        ),
        ({"key": KEY, "widths": {"a": 1}}, 400, "bad_options"),
        ({"key": KEY, "widths": [float("inf")]}, 400, "bad_options"),
        ({"key": KEY, "preset": [1]}, 400, "bad_options"),
        ({"key": KEY, "widths": list(range(1, 30))}, 400, "bad_options"),
        *(
            ({"key": KEY, "expires": expires}, 400, "bad_options")
            for expires in (
                0,
                -1,
                "-60",
                "+60",
                "060060060",
                1.5,
                "1e3",
                True,
                [60],
                {"a": 1},
                31536001,
                10**30,
                "\u0661",
            )
        ),
    ],
)
def test_a_wrong_field_is_told(
    client: FlaskClient, as_keeper: dict[str, str], fields: dict[str, object], status: int, code: str
) -> None:
    answer = client.post("/sign", json=fields, headers=as_keeper)

    assert answer.status_code == status
    assert answer.json is not None
    assert answer.json["code"] == code


@pytest.mark.parametrize("key", ["", "wrong", "shop-public-0123456789"])
def test_only_the_private_key_signs(client: FlaskClient, key: str) -> None:
    answer = client.post("/sign", data={"key": KEY, "api_key": key})

    assert answer.status_code == 403
    assert "shop-" not in answer.text
    assert "wrong" not in answer.text


@pytest.mark.parametrize("body", [b"{", b"[]", b'"a"', b"", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(client: FlaskClient, as_keeper: dict[str, str], body: bytes) -> None:
    answer = client.post("/sign", data=body, headers={**as_keeper, "Content-Type": "application/json"})

    assert answer.status_code == 400


def test_a_form_that_is_too_large_is_told_as_everywhere(client: FlaskClient, as_keeper: dict[str, str]) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\n' + b"a" * 600_000 + b"\r\n--x--\r\n"

    answer = client.post("/sign", data=form, headers=as_keeper, content_type="multipart/form-data; boundary=x")

    assert answer.status_code == 413
    assert answer.json is not None
    assert answer.json["code"] == "too_large"


def test_a_body_sent_by_a_wrong_method_is_read_to_its_end(client: FlaskClient) -> None:
    body = io.BytesIO(bytes(300_000))

    answer = client.put("/sign", input_stream=body, content_length=300_000)

    assert answer.status_code == 405
    assert body.read() == b""


def test_a_wrong_method_is_told_the_right_ones(client: FlaskClient) -> None:
    answer = client.get("/sign")

    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


@pytest.mark.parametrize("options", ["MI", "fit-in/400x400/filters:quality(90)", "300x300"])
def test_public_sizes_go_to_thumbor_signed(client: FlaskClient, options: str) -> None:
    answer = client.get(f"/t/{options}/u/{KEY}")

    assert answer.status_code == 200
    _, room, signature, text = answer.headers["X-Accel-Redirect"].split("/", 3)
    assert room == "_thumbor"
    assert text == f"{'fit-in/400x400/filters:quality(90)' if options == 'MI' else options}/{KEY}"
    assert signature.encode() == UrlSigner(SECURITY_KEY).signature(text)


def test_a_preset_of_the_installations_own_is_public_too(tmp_path: Path) -> None:
    presets = tmp_path / "presets.toml"
    presets.write_text('XS = "fit-in/78x78"')
    config = Config(pictures_bucket="pictures", security_keys=(SECURITY_KEY,), open_app="shop", presets_file=presets)
    client = create_app(config).test_client()

    assert client.get(f"/t/XS/u/{KEY}").headers["X-Accel-Redirect"].endswith(f"/fit-in/78x78/{KEY}")
    assert client.get(f"/t/MI/u/{KEY}").status_code == 403


@pytest.mark.parametrize(
    ("query", "passed"),
    [("?v=1", "?v=1"), ("?v=1&callback=x", "?v=1"), ("?callback=x", ""), ("?v=a%0ab", ""), ("", "")],
)
def test_only_a_version_is_passed_on(client: FlaskClient, query: str, passed: str) -> None:
    target = client.get(f"/t/MI/u/{KEY}{query}").headers["X-Accel-Redirect"]

    assert target.partition(KEY)[2] == passed


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/t/301x301/u/{KEY}", 403),
        (f"/t/mi/u/{KEY}", 403),
        (f"/t/MI/../BI/u/{KEY}", 403),
        (f"/t/filters:watermark(http://evil.example/a.png)/u/{KEY}", 403),
        (f"/t//u/{KEY}", 404),
        ("/t/MI/u/http://evil.example/a.jpg", 404),
        ("/t/MI/u/o/shop/cat", 404),
        ("/t/MI/u/o/shop/cat/x/y.jpg", 404),
        ("/t/MI/u/o/shop/Cat/y.jpg", 404),
        ("/t/MI", 404),
    ],
)
def test_nothing_else_is_served(client: FlaskClient, path: str, status: int) -> None:
    answer = client.get(path)

    assert answer.status_code == status
    assert "X-Accel-Redirect" not in answer.headers
    assert answer.json is not None
    assert "MI" not in answer.json["error"].replace("/t/<preset>", "")

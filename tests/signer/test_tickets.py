"""POST /generate_policy: who gets a ticket, and in which words."""

import base64
import json
import time
from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from signer import create_app
from signer.config import Config
from signer.tickets import credential_source
from tests.signer.conftest import ACCESS_KEY, BUCKET, SECURITY_KEY
from thumbstack.apps import AppKeys

SHOP = {"api_key": "shop-public-0123456789"}


def asked(client: FlaskClient, **fields: str) -> dict[str, Any]:
    answer = client.post("/generate_policy", data={**SHOP, **fields})
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    told: dict[str, Any] = answer.json
    return told


def test_the_answer_has_the_words_of_the_original(client: FlaskClient) -> None:
    before = int(time.time())

    told = asked(client)

    assert list(told) == ["url", "data", "file_prefix", "file_url_path", "expires"]
    assert told["url"] == "https://pictures.example/direct"
    assert set(told["data"]) == {
        "key",
        "content_type",
        "policy",
        "x_amz_algorithm",
        "x_amz_credential",
        "x_amz_date",
        "x_amz_meta_ticket",
        "x_amz_signature",
    }
    assert told["data"]["key"] == f"o/shop/{told['file_prefix']}${{filename}}"
    assert told["file_url_path"] == f"//pictures.example/o/shop/{told['file_prefix']}"
    assert told["data"]["x_amz_credential"].startswith(f"{ACCESS_KEY}/")
    policy = json.loads(base64.b64decode(told["data"]["policy"]))
    assert {"bucket": BUCKET} in policy["conditions"]
    expires = datetime.fromisoformat(told["expires"])
    assert before + 3600 <= expires.timestamp() <= time.time() + 3600
    assert datetime.fromisoformat(policy["expiration"]) == expires


@pytest.mark.parametrize(
    "call",
    [
        {"data": SHOP},
        {"json": SHOP},
        {"query_string": SHOP},
        {"data": {"file": "x", **SHOP}, "content_type": "multipart/form-data"},
        {"headers": {"Authorization": "Bearer shop-public-0123456789"}},
        {"data": {"private_api_key": "shop-private-0123456789"}},
    ],
    ids=["form", "json", "query", "multipart", "bearer", "private key"],
)
def test_a_key_may_come_in_any_way(client: FlaskClient, call: dict[str, Any]) -> None:
    answer = client.post("/generate_policy", **call)

    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["data"]["key"].startswith("o/shop/")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"api_key": "nope-nope-nope"},
        {"api_key": "shop-public-0123456789", "private_api_key": "club-private-0123456789"},
        {"api_key": "SHOP-PUBLIC-0123456789"},
    ],
)
def test_an_unknown_key_gets_none_and_hears_nothing_of_it(client: FlaskClient, fields: dict[str, str]) -> None:
    answer = client.post("/generate_policy", data=fields)

    assert answer.status_code == 403
    assert answer.json is not None
    assert answer.json["code"] == "forbidden"
    assert "nope" not in answer.text
    assert "0123456789" not in answer.text


def test_each_app_gets_its_own_folder_and_its_own_rules(client: FlaskClient) -> None:
    club = {"api_key": "club-public-0123456789"}

    told = client.post("/generate_policy", data={**club, "filename": "cat.png"}).json
    refused = client.post("/generate_policy", data={**club, "filename": "cat.gif"})

    assert told is not None
    assert told["data"]["key"].startswith("incoming/club/cat/")
    # Where it will be.
    assert told["file_url_path"] == "//pictures.example/o/club/cat/"
    assert refused.status_code == 415


def test_two_calls_give_two_prefixes(client: FlaskClient) -> None:
    assert asked(client)["file_prefix"] != asked(client)["file_prefix"]


@pytest.mark.parametrize("checksum", ["ab" * 32, base64.b64encode(b"\xab" * 32).decode()], ids=["hex", "base64"])
def test_size_and_checksum_bind_the_file(client: FlaskClient, checksum: str) -> None:
    data = asked(client, filename="cat.png", size="500", checksum=checksum)["data"]

    conditions = json.loads(base64.b64decode(data["policy"]))["conditions"]
    assert ["content-length-range", 500, 500] in conditions
    assert data["x_amz_checksum_sha256"] == base64.b64encode(b"\xab" * 32).decode()


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"size": "0"}, 400, "bad_request"),
        ({"size": "-1"}, 400, "bad_request"),
        ({"size": "1e3"}, 400, "bad_request"),
        ({"size": "٣"}, 400, "bad_request"),
        ({"size": "9" * 5000}, 400, "bad_request"),
        ({"size": "33554433"}, 413, "too_large"),
        ({"size": "99999999999"}, 413, "too_large"),
        ({"checksum": "ab"}, 400, "bad_request"),
        ({"checksum": "zz" * 32}, 400, "bad_request"),
        ({"filename": "cat"}, 400, "missing_input"),
        ({"content_type": "text/html"}, 415, "unsupported_type"),
        # What only JSON can say.
        ({"size": 0}, 400, "bad_request"),
        ({"size": True}, 400, "bad_request"),
        ({"size": 5.0}, 400, "bad_request"),
        ({"filename": ["cat.png"], "content_type": "image/png"}, 400, "bad_request"),
        ({"filename": {"cat.png": 1}, "content_type": "image/png"}, 400, "bad_request"),
        ({"filename": False}, 400, "bad_request"),
        ({"checksum": []}, 400, "bad_request"),
    ],
)
def test_a_wrong_wish_is_told(client: FlaskClient, fields: dict[str, Any], status: int, code: str) -> None:
    answer = client.post("/generate_policy", json={"filename": "cat.png", **SHOP, **fields})

    assert answer.status_code == status
    assert answer.json is not None
    assert answer.json["code"] == code


def test_the_limit_is_told_to_who_wishes_for_more(client: FlaskClient) -> None:
    answer = client.post("/generate_policy", json={"filename": "cat.png", **SHOP, "size": "33554433"})

    assert answer.json is not None
    assert answer.json["max_bytes"] == 33554432


def test_browsers_may_be_sent_straight_to_s3() -> None:
    config = Config(
        security_keys=(SECURITY_KEY,),
        api_keys=(AppKeys("shop", "shop-public-0123456789", "shop-private-0123456789"),),
        pictures_bucket=BUCKET,
        upload_url="https://bucket.s3.eu-central-1.amazonaws.com/",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        aws_session_token="session",
    )

    told = asked(create_app(config).test_client())

    assert told["url"] == "https://bucket.s3.eu-central-1.amazonaws.com/"
    assert told["file_url_path"].startswith("//localhost/o/shop/")
    assert told["data"]["x_amz_security_token"] == "session"


def test_without_credentials_nothing_is_signed_and_the_caller_may_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    # No instance either; a test asks no network.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    config = Config(security_keys=(SECURITY_KEY,), open_app="demo", pictures_bucket=BUCKET)

    answer = create_app(config).test_client().post("/generate_policy")

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json is not None
    assert answer.json["code"] == "tickets_unavailable"


def test_credentials_of_the_environment_are_found_with_their_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": "role", "SECRET_ACCESS_KEY": "secret", "SESSION_TOKEN": "token"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)

    found = credential_source(None, None, None)()

    assert found is not None
    assert (found.access_key, found.secret_key, found.token) == ("role", "secret", "token")

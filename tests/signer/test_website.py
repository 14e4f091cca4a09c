"""Addresses of variants on the website, and the verdict on those that come."""

import pytest
from flask.testing import FlaskClient

from signer import create_app
from signer.config import Config
from thumbstack.apps import AppKeys
from thumbstack.picture_key import PictureKey
from thumbstack.resize_url import read_resize, resize_path

NEW, OLD = "security-key-of-the-tests-0123456789", "old-security-key-of-the-tests-0123456789"
PICTURE = PictureKey("shop", "cat", "1763600000_0123456789abcdef.jpg")
ASKED = "100x200-fill-80-upscale.jpg"


def path(key: str = NEW) -> str:
    return resize_path(PICTURE, read_resize(ASKED, PICTURE), key)


@pytest.fixture
def config() -> Config:
    """A signer of an installation with a website, and two security keys."""
    return Config(
        security_keys=(NEW, OLD),
        api_keys=(AppKeys("shop", "shop-public-0123456789", "shop-private-0123456789"),),
        public_url="https://pictures.example",
        website_bucket="website",
        pictures_bucket="pictures",
    )


@pytest.fixture
def client(config: Config) -> FlaskClient:
    """That signer."""
    return create_app(config).test_client()


@pytest.mark.parametrize("as_json", [True, False])
def test_an_address_is_signed_for_the_website(client: FlaskClient, as_keeper: dict[str, str], as_json: bool) -> None:
    fields = {"key": str(PICTURE), "resize": ASKED}

    answer = client.post("/sign", **{"json" if as_json else "data": fields}, headers=as_keeper)

    assert answer.json == {"url": f"https://pictures.example/website{path()}"}


def test_the_website_may_be_elsewhere(config: Config, as_keeper: dict[str, str]) -> None:
    client = create_app(config.model_copy(update={"website_url": "https://img.example/"})).test_client()

    answer = client.post("/sign", data={"key": str(PICTURE), "resize": ASKED}, headers=as_keeper)

    assert answer.json == {"url": f"https://img.example{path()}"}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"resize": "100x200"}, "Ask as"),
        ({"resize": "9999x1-fit"}, "4096"),
        ({"resize": ["a"]}, "Ask as"),
        ({"resize": ASKED, "options": "10x10"}, "alone"),
        ({"resize": ASKED, "preset": "MI"}, "alone"),
        ({"resize": ASKED, "widths": "1,2"}, "alone"),
        ({"resize": ASKED, "expires": 60}, "alone"),
    ],
)
def test_what_cannot_be_signed_is_refused(
    client: FlaskClient, as_keeper: dict[str, str], fields: dict[str, object], says: str
) -> None:
    answer = client.post("/sign", json={"key": str(PICTURE), **fields}, headers=as_keeper)

    assert answer.json is not None
    assert (answer.status_code, answer.json["code"]) == (400, "bad_options")
    assert says in answer.json["error"]


def test_anothers_picture_is_not_signed(client: FlaskClient, as_keeper: dict[str, str]) -> None:
    answer = client.post("/sign", json={"key": "o/other/cat/1_a.jpg", "resize": ASKED}, headers=as_keeper)

    assert answer.status_code == 403


@pytest.mark.parametrize("key", [NEW, OLD])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_any_key_has_signed_may_be_made(client: FlaskClient, key: str, method: str) -> None:
    answer = client.open(path(key), method=method)

    assert (answer.status_code, answer.headers["X-Accel-Redirect"]) == (200, f"/_variant{path(key)}")


@pytest.mark.parametrize(
    "address",
    [
        path("another-security-key-of-the-tests-0123456789"),
        path().replace("100x200", "101x200"),
        path().replace("/shop/", "/other/"),
        path().upper().replace("/M/O/", "/m/o/"),
        path() + "/",
        path().replace("/cat/", "/cat//"),
        "/m/o/shop/cat/1.jpg/x.jpg",
    ],
)
def test_what_was_not_signed_is_not_there(client: FlaskClient, address: str) -> None:
    answer = client.get(address)

    assert answer.status_code == 404
    assert answer.json is not None
    assert set(answer.json) == {"error", "code"}
    assert "X-Accel-Redirect" not in answer.headers


def test_without_a_website_nothing_is_signed_or_made(config: Config, as_keeper: dict[str, str]) -> None:
    client = create_app(config.model_copy(update={"website_bucket": None})).test_client()

    signed = client.post("/sign", data={"key": str(PICTURE), "resize": ASKED}, headers=as_keeper)

    assert (signed.status_code, client.get(path()).status_code) == (400, 404)

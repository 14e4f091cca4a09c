"""A signer with two apps, one of them open."""

import pytest
from flask.testing import FlaskClient

from signer import create_app
from signer.config import Config
from thumbstack.apps import AppKeys

SECURITY_KEY = "security-key-of-the-tests-0123456789"


@pytest.fixture
def client() -> FlaskClient:
    """The signer of an installation with one app and one allowed size beside the presets."""
    config = Config(
        security_keys=(SECURITY_KEY,),
        api_keys=(AppKeys("shop", "shop-public-0123456789", "shop-private-0123456789"),),
        allowed_options=("300x300",),
        public_url="https://pictures.example",
    )
    return create_app(config).test_client()


@pytest.fixture
def as_keeper() -> dict[str, str]:
    """The header of a caller with the private key."""
    return {"Authorization": "Bearer shop-private-0123456789"}

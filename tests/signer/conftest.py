"""A signer with two apps."""

import pytest
from flask.testing import FlaskClient

from signer import create_app
from signer.config import Config
from thumbstack.apps import AppKeys

SECURITY_KEY = "security-key-of-the-tests-0123456789"
BUCKET = "pictures-of-the-tests"
ACCESS_KEY = "access-key-of-the-tests"


@pytest.fixture
def client() -> FlaskClient:
    """The signer of an installation with two apps and one allowed size beside the presets."""
    config = Config(
        pictures_bucket=BUCKET,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key="secret-of-the-tests",
        security_keys=(SECURITY_KEY,),
        api_keys=(
            AppKeys("shop", "shop-public-0123456789", "shop-private-0123456789"),
            AppKeys("club", "club-public-0123456789", "club-private-0123456789"),
        ),
        app_rules='{"club": {"types": ["jpg", "png"], "hold": true}}',
        allowed_options=("300x300",),
        public_url="https://pictures.example",
    )
    return create_app(config).test_client()


@pytest.fixture
def as_keeper() -> dict[str, str]:
    """The header of a caller with the private key."""
    return {"Authorization": "Bearer shop-private-0123456789"}

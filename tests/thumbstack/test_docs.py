"""The documents name what there is."""

from pathlib import Path

import pytest

from signer.config import Config as SignerConfig
from thumbstack import refusal
from thumbstack.settings import Settings
from uploader.config import Config as UploaderConfig

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("config", [UploaderConfig, SignerConfig])
def test_every_variable_is_documented(config: type[Settings]) -> None:
    text = (DOCS / "configuration.md").read_text()

    assert [name for name in config.model_fields if f"`{name.upper()}`" not in text] == []


def test_every_refusal_is_documented() -> None:
    text = (DOCS / "api.md").read_text()
    codes = {
        kind.code for kind in vars(refusal).values() if isinstance(kind, type) and issubclass(kind, refusal.Refused)
    }

    assert sorted(code for code in codes if f"`{code}`" not in text) == []

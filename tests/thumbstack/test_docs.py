"""The documents name what there is."""

import json
import re
from pathlib import Path

import pytest

from signer.config import Config as SignerConfig
from thumbstack import refusal
from thumbstack.settings import Settings
from uploader.config import Config as UploaderConfig

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.mark.parametrize("config", [UploaderConfig, SignerConfig])
def test_every_variable_is_documented(config: type[Settings]) -> None:
    text = (DOCS / "configuration.md").read_text()

    assert [name for name in config.model_fields if f"`{name.upper()}`" not in text] == []


def test_every_refusal_is_documented_with_its_status() -> None:
    rooms = {
        (kind.status, kind.code)
        for kind in vars(refusal).values()
        if isinstance(kind, type) and issubclass(kind, refusal.Refused)
    }
    maps = (ROOT / "nginx" / "snippets" / "maps.conf").read_text()
    by_status = maps.partition("map $status $error_code {")[2].partition("}")[0]
    nginx = {(int(status), code) for status, code in re.findall(r"(\d{3}) (\w+);", by_status)}
    assert len(nginx) > 10
    # The two that stand for several statuses, and what the rooms say in errors.py.
    rest = {(400, "bad_request"), (500, "internal_error"), (404, "not_found")}

    table = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", (DOCS / "api.md").read_text(), re.MULTILINE)

    assert sorted((int(status), code) for status, code in table) == sorted(rooms | nginx | rest)


def test_every_route_is_documented() -> None:
    paths = json.loads((ROOT / "uploader" / "openapi.json").read_text())["paths"]
    routes = {
        f"{method.upper()} {path}" for path, item in paths.items() for method in item.keys() & {"get", "post", "delete"}
    }

    headings = re.findall(r"^### (.+)$", (DOCS / "api.md").read_text(), re.MULTILINE)
    told = [route for heading in headings for route in re.findall(r"`([A-Z]+ /.*?)`", heading)]

    assert sorted(route.replace("{key}", "o/{app}/{folder}/{file}") for route in told) == sorted(routes)

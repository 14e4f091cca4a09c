"""The files of client/, which pages of every origin embed."""

import gzip

import pytest

from tests.nginx.conftest import ROOT
from tests.nginx.house import House

SCRIPT = "/client/thumbstack-upload.js"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("thumbstack-upload.js", "text/javascript; charset=utf-8"),
        ("thumbstack-upload.mjs", "text/javascript; charset=utf-8"),
        ("thumbstack-upload.css", "text/css; charset=utf-8"),
        ("types/upload/index.d.ts", "text/plain; charset=utf-8"),
    ],
)
def test_a_file_leaves_as_it_was_built(house: House, name: str, content_type: str) -> None:
    answer = house.ask(f"/client/{name}", headers={"Origin": "https://anywhere.example"})

    assert answer.status == 200
    assert answer.body == (ROOT / "client" / "dist" / name).read_bytes()
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert house.seen == []


def test_a_browser_asks_again_and_hears_that_nothing_changed(house: House) -> None:
    first = house.ask(SCRIPT)
    again = house.ask(SCRIPT, headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Cache-Control"] == "public, max-age=300"
    assert (again.status, again.body) == (304, b"")


def test_a_script_is_compressed_for_who_can_read_that(house: House) -> None:
    answer = house.ask(SCRIPT, headers={"Accept-Encoding": "gzip"})

    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(answer.body) == (ROOT / "client" / "dist" / "thumbstack-upload.js").read_bytes()


@pytest.mark.parametrize(
    "path", ["/client/", "/client/none.js", "/client/../README.md", "/client/..%2fbuild.mjs", "/client/%2e%2e/x"]
)
def test_nothing_else_is_there(house: House, path: str) -> None:
    answer = house.ask(path)

    assert answer.status == 404
    assert answer.json["code"] == "not_found"


def test_files_are_only_read(house: House) -> None:
    assert house.ask(SCRIPT, method="DELETE").status == 405

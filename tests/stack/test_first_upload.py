"""A picture in, back, as a thumbnail, and gone: with curl, as the README and the four originals show it."""

import json
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.stack.stacks import Stack

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("curl")]


def curl(folder: Path, *arguments: str) -> str:
    """What curl prints."""
    return subprocess.run(
        ["curl", "-sS", "--max-time", "60", *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def folder(tmp_path: Path, coffee: bytes, cat: bytes) -> Path:
    """A folder with the files that the lines name."""
    (tmp_path / "a.jpg").write_bytes(coffee)
    (tmp_path / "bob.png").write_bytes(cat)
    (tmp_path / "X.JPG").write_bytes(coffee)
    with Image.open(tmp_path / "a.jpg") as image:
        image.save(tmp_path / "paper.pdf", "PDF")
    return tmp_path


def test_one_file_goes_in(stack: Stack, folder: Path) -> None:
    assert "Uploaded" in curl(folder, "-X", "POST", "-F", "file=@a.jpg", f"{stack.url}/")


def test_two_files_go_in_and_come_back(stack: Stack, folder: Path) -> None:
    answer = curl(folder, "-X", "POST", "-F", "file=@a.jpg", "-F", "file=@bob.png", f"{stack.url}/")

    assert "Uploaded" in answer
    for name, file in (("a", "a.jpg"), ("bob", "bob.png")):
        curl(folder, "-X", "GET", "-o", "out", "-F", f"name={name}", f"{stack.url}/")
        assert (folder / "out").read_bytes() == (folder / file).read_bytes()


@pytest.mark.parametrize(("file", "name"), [("X.JPG", "X"), ("X.JPG", "X.JPG"), ("paper.pdf", "paper")])
def test_any_case_and_a_pdf_come_back_byte_for_byte(stack: Stack, folder: Path, file: str, name: str) -> None:
    curl(folder, "-F", f"file=@{file}", f"{stack.url}/")

    curl(folder, "-o", "out", f"{stack.url}/?name={name}")

    assert (folder / "out").read_bytes() == (folder / file).read_bytes()


def test_a_name_is_deleted_once(stack: Stack, folder: Path) -> None:
    curl(folder, "-F", "file=@a.jpg", f"{stack.url}/")
    curl(folder, "-F", "file=@bob.png;filename=ab.png", f"{stack.url}/")

    assert "a.jpg deleted" in curl(folder, "-X", "DELETE", "-F", "name=a", f"{stack.url}/")
    assert "No such picture" in curl(folder, "-X", "DELETE", "-F", "name=a", f"{stack.url}/")
    assert "ab.png deleted" in curl(folder, "-X", "DELETE", f"{stack.url}/?name=ab")


def test_the_whole_collection_is_emptied(stack: Stack, folder: Path) -> None:
    curl(folder, "-F", "file=@a.jpg", "-F", "file=@bob.png", f"{stack.url}/")

    assert "Pictures deleted" in curl(folder, "-X", "DELETE", f"{stack.url}/delete-all-pictures")

    for name in ("a", "bob"):
        status = curl(folder, "-o", "/dev/null", "-w", "%{http_code}", f"{stack.url}/?name={name}")
        assert status == "404"


def test_an_answer_holds_urls_that_work(stack: Stack, folder: Path) -> None:
    picture = json.loads(curl(folder, "-F", "file=@a.jpg", f"{stack.url}/"))["pictures"][0]

    assert picture["url"].startswith(stack.url)
    for url in (picture["url"], *picture["urls"].values()):
        shown = curl(folder, "-o", "out", "-w", "%{http_code} %{content_type}", url)
        assert shown == "200 image/jpeg"


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["-X", "POST"], 400, "missing_input"),
        (["-X", "GET"], 400, "missing_input"),
        (["-X", "DELETE"], 400, "missing_input"),
        (["-F", "file=@/dev/null;filename=empty.jpg"], 400, "empty_file"),
        (["-X", "PUT"], 405, "method_not_allowed"),
    ],
)
def test_a_wrong_line_says_what_is_wrong(
    stack: Stack, folder: Path, arguments: list[str], status: int, code: str
) -> None:
    body, _, shown = curl(folder, *arguments, "-w", "\n%{http_code}", f"{stack.url}/").rpartition("\n")

    assert shown == str(status)
    assert json.loads(body)["code"] == code

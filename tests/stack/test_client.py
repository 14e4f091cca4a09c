"""The Python client, the one thing of ours that is imported here, against the service that it is for."""

import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from tests.stack.stacks import ROOT, Stack
from thumbstack.client import Thumbstack
from thumbstack.refusal import DigestMismatch, NoSuchPicture, NotAPicture, Refused

pytestmark = pytest.mark.stack


@pytest.fixture
def client(stack: Stack) -> Iterator[Thumbstack]:
    """Of the open app."""
    with Thumbstack(stack.url) as client:
        yield client


@pytest.fixture
def signing(stack: Stack) -> Iterator[Thumbstack]:
    """One that knows the security keys."""
    with Thumbstack(stack.url, security_keys=stack.security_keys) as client:
        yield client


def test_a_picture_in_back_and_gone(client: Thumbstack, coffee: bytes, tmp_path: Path) -> None:
    (tmp_path / "Käffchen.jpg").write_bytes(coffee)
    picture = client.upload(tmp_path / "Käffchen.jpg", note="Größe")
    assert (picture.name, picture.width, picture.height, picture.note) == ("Käffchen.jpg", 600, 400, "Größe")
    assert (picture.bytes, picture.altered, picture.duplicate) == (len(coffee), False, False)

    assert client.upload(coffee, "Käffchen.jpg").duplicate
    assert client.find(picture) == picture
    assert picture in client.list()

    client.download(picture, tmp_path / "by-key.jpg")
    client.download_by_name("Käffchen", tmp_path / "by-name.jpg")
    assert (tmp_path / "by-key.jpg").read_bytes() == (tmp_path / "by-name.jpg").read_bytes() == coffee

    assert client.delete_by_name("Käffchen", dry_run=True).originals == 1
    assert client.delete(picture).keys == [picture.key]
    for ask in (client.find, client.delete):
        with pytest.raises(NoSuchPicture) as caught:
            ask(picture)
        assert caught.value.request_id
    with pytest.raises(Refused) as gone:
        client.download(picture, io.BytesIO())
    assert (gone.value.status, gone.value.code) == (410, "deleted")


def test_every_picture_is_listed_once(client: Thumbstack, cat: bytes) -> None:
    keys = sorted(client.upload(cat, f"listed-{number}.png").key for number in range(3))
    first = client.page(limit=1)
    assert len(first.pictures) == 1
    assert first.next

    listed = [picture.key for picture in client.list()]

    assert listed == sorted(set(listed))
    assert set(keys) <= set(listed)
    client.delete_by_name("listed-0")
    assert keys[0] not in [picture.key for picture in client.list()]


def test_two_steps_and_a_turn(client: Thumbstack, cat: bytes) -> None:
    held = client.hold(io.BytesIO(cat), "held.png")
    assert held.key.startswith("incoming/")
    with pytest.raises(NoSuchPicture):
        client.find(held)

    published = client.publish(held, crop="200x100+0+0")
    assert published == client.publish(held, crop="200x100+0+0") == client.find(held)
    turned = client.rotate(published)

    assert (turned.width, turned.height) == (published.height, published.width)
    with pytest.raises(NoSuchPicture):
        client.find(published)


@pytest.mark.parametrize("how", [{"options": "120x80/smart"}, {"preset": "card"}])
def test_what_is_signed_here_is_what_the_service_signs(
    client: Thumbstack, signing: Thumbstack, coffee: bytes, how: Any
) -> None:
    picture = client.upload(coffee, "signed.jpg")

    assert signing.sign(picture, **how) == client.sign(picture, **how)
    srcset = signing.srcset(picture, [90, 30], **how)
    assert srcset == client.srcset(picture, [90, 30], **how)
    for part in srcset.split(", "):
        url, width = part.split()
        with Image.open(io.BytesIO(requests.get(url, timeout=60).content)) as image:
            assert f"{image.width}w" == width
    element = signing.picture_element(picture, widths=[90, 30], alt="A cup", **how)
    assert element == client.picture_element(picture, widths=[90, 30], alt="A cup", **how)
    assert element == signing.picture_element(picture.key, widths=[90, 30], alt="A cup", **how)


def test_a_variant_of_the_website_is_signed_here_too(client: Thumbstack, signing: Thumbstack, coffee: bytes) -> None:
    picture = client.upload(coffee, "resized.jpg")

    url = signing.resized(picture, "90x60-fill-80-upscale.png")

    assert url == client.resized(picture, "90x60-fill-80-upscale.png")
    with Image.open(io.BytesIO(requests.get(url, timeout=60).content)) as image:
        assert (image.size, image.format) == ((90, 60), "PNG")


def test_a_link_that_is_signed_here_ends(client: Thumbstack, signing: Thumbstack, stack: Stack, coffee: bytes) -> None:
    picture = client.upload(coffee, "ending.jpg")
    lasting = [each.sign(picture, "30x20", expires=3600) for each in (client, signing)]
    ending = signing.sign(picture, "30x20", expires=2)

    assert [requests.get(url, timeout=60).status_code for url in lasting] == [200, 200]
    assert stack.eventually(lambda: requests.get(ending, timeout=60).status_code == 410)


def test_a_picture_comes_in_by_a_ticket(client: Thumbstack, cat: bytes) -> None:
    ticket = client.ticket("tiger.png", size=len(cat), sha256=hashlib.sha256(cat).hexdigest())
    assert ticket.file_prefix == "tiger/"

    with pytest.raises(Refused) as caught:
        client.post(ticket, cat + b"more", "tiger.png")
    assert (caught.value.status, caught.value.code) == (403, "ticket_refused")
    assert client.post(ticket, cat, "tiger.png") == ticket.data["key"]

    picture = client.complete(ticket.data["key"])
    assert (picture.key, picture.width, picture.bytes) == (ticket.data["key"], 451, len(cat))
    assert client.complete(picture.key) == client.find(picture) == picture

    several = client.ticket()
    for name, body in (("a.png", cat), ("words.png", b"no picture")):
        assert client.post(several, io.BytesIO(body), name) == f"o/demo/{several.file_prefix}{name}"
    assert client.complete(f"o/demo/{several.file_prefix}a.png").name == "a.png"
    with pytest.raises(NotAPicture):
        client.complete(f"o/demo/{several.file_prefix}words.png")


def test_what_the_service_refuses_has_a_class(client: Thumbstack, coffee: bytes) -> None:
    with pytest.raises(NotAPicture) as caught:
        client.upload(b"no picture", "words.txt")
    assert (caught.value.status, caught.value.code) == (415, "unsupported_type")

    class Changing(io.BytesIO):
        """Is read once for its checksum, and says something else when it is sent."""

        def seek(self, at: int, whence: int = 0) -> int:
            self.getbuffer()[15] = 99  # dots per inch
            return super().seek(at, whence)

    with pytest.raises(DigestMismatch):
        client.upload(Changing(coffee), "changing.jpg")


def test_a_large_file_is_sent_from_the_disk(client: Thumbstack, large_photo: bytes, tmp_path: Path) -> None:
    (tmp_path / "large.jpg").write_bytes(large_photo)

    picture = client.upload(tmp_path / "large.jpg")

    assert picture.bytes == len(large_photo)


def test_the_flask_application_of_the_readme_runs(stack: Stack, coffee: bytes) -> None:
    section = (ROOT / "thumbstack" / "README.md").read_text().partition("## From a Django or Flask application")[2]
    program, _ = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names = dict[str, object]({"__name__": "readme"})
    exec(program.replace("http://localhost:5000", stack.url), names)  # noqa: S102 - it is our own text
    app = names["app"]

    answer = app.test_client().post("/photos", data={"photo": (io.BytesIO(coffee), "mine.jpg")})  # type: ignore[attr-defined]

    with Image.open(io.BytesIO(requests.get(answer.text, timeout=60).content)) as image:
        assert image.size == (600, 400)

"""Links that end, and that all addresses of one variant are one render."""

import io
import time
from html.parser import HTMLParser

import pytest
import requests
from PIL import Image

from tests.stack.stacks import Picture, Stack

pytestmark = pytest.mark.stack


def link(stack: Stack, picture: Picture, seconds: int, options: str = "fit-in/300x300") -> str:
    """A link to a variant that ends in so many seconds."""
    fields = {"key": picture.key, "options": options, "expires": seconds}
    url: str = requests.post(f"{stack.url}/sign", json=fields, timeout=30).json()["url"]
    return url


def wait_for_the_end_of(url: str) -> None:
    """Until the second that a link names."""
    end = int(url.partition("/e/")[2].partition("/")[0])
    while time.time() < end:
        time.sleep(0.01)


def code(url: str) -> tuple[int, str]:
    """Status and code of a refusal."""
    answer = requests.get(url, timeout=30)
    return answer.status_code, answer.json()["code"]


def test_a_link_works_until_it_ends_also_where_the_picture_is_cached(stack: Stack, photo: Picture) -> None:
    url = link(stack, photo, 4)
    answers = [requests.get(url, timeout=30) for _ in range(2)]
    wait_for_the_end_of(url)

    ended = requests.get(url, headers={"If-None-Match": answers[1].headers["ETag"]}, timeout=30)

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "HIT"]
    with Image.open(io.BytesIO(answers[0].content)) as image:
        assert image.size == (300, 200)
    assert (ended.status_code, ended.json()["code"]) == (410, "expired")
    assert code(url) == (410, "expired")


def test_a_hit_of_a_link_asks_neither_signer_nor_thumbor(stack: Stack, photo: Picture) -> None:
    url = link(stack, photo, 1000)
    path = url.removeprefix(stack.url)

    answers = [requests.get(url, timeout=30) for _ in range(5)]

    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", *["HIT"] * 4]
    assert stack.eventually(lambda: stack.log("signer").count(f'"path": "{path}"'))
    assert stack.eventually(lambda: stack.lines("thumbor", "rendered", photo.key))
    time.sleep(1)  # a second line would be there by then
    assert stack.log("signer").count(f'"path": "{path}"') == 1
    assert stack.lines("thumbor", "rendered", photo.key) == 1
    assert stack.lines("thumbor", "result hit", photo.key) == 0


def test_nothing_of_a_link_can_be_changed(stack: Stack, photo: Picture, cat: bytes) -> None:
    url = link(stack, photo, 1000)
    other = stack.upload(cat, "not-linked.png")
    requests.get(url, timeout=30)
    _, _, _, _, expires, key_id, signature, *_ = url.split("/")

    for forged in (
        url.replace("300x300", "301x301"),
        url.replace("fit-in/", ""),
        url.replace(photo.key, other.key),
        url.replace(expires, str(int(expires) + 1)),
        url.replace(expires, f"0{expires}"),
        url.replace(expires, f"-{expires}"),
        url.replace(expires, "9" * 30),
        url.replace(key_id, "00000000"),
        url.replace(signature, "A" * 43),
        url.replace(signature, photo.urls["MI"].split("/")[3]),
        url.replace(f"{key_id}/", ""),
    ):
        assert forged != url
        assert code(forged) == (403, "bad_signature")


def test_accept_and_304_and_head_work_as_everywhere(stack: Stack, photo: Picture) -> None:
    url = link(stack, photo, 1000)

    for accept in ("image/avif", "image/webp", "image/jpeg"):
        answer = requests.get(url, headers={"Accept": f"{accept},*/*"}, timeout=30)
        assert (answer.headers["Content-Type"], answer.headers["Vary"]) == (accept, "Accept")
        again = {"Accept": f"{accept},*/*", "If-None-Match": answer.headers["ETag"]}
        assert requests.get(url, headers=again, timeout=30).status_code == 304
    head = requests.head(url, timeout=30)
    assert (head.status_code, head.headers["X-Cache"]) == (200, "HIT")
    assert head.headers["Cache-Control"] == "public"
    assert head.headers["Expires"].endswith(" GMT")


def test_a_deleted_picture_is_gone_from_its_links(stack: Stack, photo: Picture) -> None:
    url = link(stack, photo, 1000)
    requests.get(url, timeout=30)

    requests.delete(f"{stack.url}/pictures/{photo.key}", timeout=30)

    assert code(url) == (410, "deleted")


def test_a_link_to_nothing_is_404_and_not_kept_long(stack: Stack, photo: Picture) -> None:
    missing = Picture("", photo.key.replace(photo.key.rpartition("/")[2], "1763600000_0123456789abcdef.jpg"), "", {})

    answer = requests.get(link(stack, missing, 1000), timeout=30)

    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_picture")
    assert answer.headers["Cache-Control"] == "public, max-age=5"


def test_all_addresses_of_one_variant_are_one_render(stack: Stack, photo: Picture) -> None:
    options = "200x200/filters:quality(90)"
    resized = {"key": photo.key, "resize": "200x200-fill-90-upscale.jpg"}
    addresses = [
        photo.urls["SI"],
        photo.urls["SI"].replace("(", "%28").replace(")", "%29"),
        f"{stack.url}/t/SI/u/{photo.key}",
        f"{stack.url}/t/{options}/u/{photo.key}",
        f"{stack.url}/t/{options.replace('(', '%28').replace(')', '%29')}/u/{photo.key}?v=7",
        link(stack, photo, 1000, options),
        link(stack, photo, 2000, options).replace("(", "%28").replace(")", "%29"),
        requests.post(f"{stack.url}/sign", json=resized, timeout=30).json()["url"],
    ]

    answers = [requests.get(addresses[0], timeout=30)]
    assert stack.eventually(lambda: stack.results(photo.key))
    answers += [requests.get(address, timeout=30) for address in addresses[1:]]

    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert [key.removeprefix(photo.key) for key in stack.results(photo.key)] == [f"/{options}.jpg"]
    assert stack.lines("thumbor", "rendered", photo.key) == 1
    # The links' picture was in the cache already, under the signed address.
    caches = [answer.headers["X-Cache"] for answer in answers]
    assert caches == ["MISS", "HIT", "MISS", "MISS", "MISS", "HIT", "HIT", "MISS"]


class Tags(HTMLParser):
    """The tags of a piece of HTML with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attributes}))


@pytest.mark.parametrize(
    ("options", "ratio"),
    [({"preset": "MI"}, 3 / 2), ({"preset": "card", "expires": 600}, 3 / 2), ({"options": "200x200/smart"}, 1)],
    ids=["fitted", "ending", "square"],
)
def test_all_that_a_picture_element_names_is_there(
    stack: Stack, photo: Picture, options: dict[str, object], ratio: float
) -> None:
    fields = {"key": photo.key, "picture": True, "widths": [100, 200, 300], "alt": "A cup", **options}

    told = requests.post(f"{stack.url}/sign", json=fields, timeout=30).json()

    (_, avif), (_, webp), (_, img) = Tags(told["picture"]).found[1:]
    for element, kind in ((avif, "image/avif"), (webp, "image/webp"), (img, "image/jpeg")):
        for part in element["srcset"].split(", "):
            url, width = part.split()
            # A browser that knows AVIF says so whatever it asks for.
            answer = requests.get(url, headers={"Accept": "image/jpeg" if element is img else "image/avif"}, timeout=30)
            assert answer.headers["Content-Type"] == kind
            with Image.open(io.BytesIO(answer.content)) as image:
                assert image.width == int(width.removesuffix("w"))
                assert abs(image.width - image.height * ratio) < 2
    with Image.open(io.BytesIO(requests.get(img["src"], timeout=30).content)) as image:
        assert (str(image.width), str(image.height)) == (img["width"], img["height"])
    assert img["src"] == told["url"]
    assert img["style"].startswith("background: #")

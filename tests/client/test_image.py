"""<thumbstack-img> and <thumbstack-gallery> on a page of another origin, whose policy is as strict as can be."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

from tests.client.conftest import Site
from tests.stack.stacks import Picture, Stack

pytestmark = pytest.mark.stack

_numbers = itertools.count()
Show = Callable[[str], Page]


@pytest.fixture(scope="module")
def pictures(stack: Stack, coffee: bytes, cat: bytes) -> list[Picture]:
    """A photograph of 600x400 and one of 451x300."""
    return [stack.upload(coffee, "image-coffee.jpg"), stack.upload(cat, "image-cat.png")]


@pytest.fixture
def show(stack: Stack, site: Site, page: Page) -> Iterator[Show]:
    """Shows a body on a page of its own; at the end nothing may have been complained of."""
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    def shown(body: str) -> Page:
        policy = f"default-src 'none'; script-src {stack.url}; img-src {stack.url}"
        page.goto(
            site.write(
                f"image-{next(_numbers)}.html",
                f"<!doctype html><html lang=en><title>Pictures</title><meta charset=utf-8>"
                f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
                f'<script src="{stack.url}/client/thumbstack-image.js"></script><main><h1>Pictures</h1>{body}</main>',
            )
        )
        return page

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield shown
    assert complaints == []


def test_a_preset_is_shown_from_where_the_script_came(stack: Stack, show: Show, pictures: list[Picture]) -> None:
    key = pictures[0].key
    image = show(f'<thumbstack-img key="{key}" preset="MI" alt="A cup"></thumbstack-img>').get_by_role("img")

    expect(image).to_have_js_property("naturalWidth", 400)
    expect(image).to_have_attribute("src", f"{stack.url}/t/MI/u/{key}")
    expect(image).to_have_attribute("alt", "A cup")
    expect(image).to_have_attribute("loading", "lazy")


@pytest.mark.parametrize(("width", "chosen"), [(100, 200), (300, 400), (900, 600)])
def test_of_several_presets_the_browser_takes_the_one_that_fits(
    show: Show, pictures: list[Picture], width: int, chosen: int
) -> None:
    image = show(
        f'<thumbstack-img key="{pictures[0].key}" preset="SI 200w, MI 400w, BI 1500w" sizes="{width}px" alt="A cup">'
        "</thumbstack-img>"
    ).get_by_role("img")

    # An image with a srcset is as wide as `sizes` says: its own pixels it has alone. BI is no larger than its original.
    expect(image).to_have_js_property("complete", True)
    taken = image.evaluate(
        "image => new Promise(r => { const i = new Image(); i.onload = () => r(i.naturalWidth);"
        " i.src = image.currentSrc })"
    )
    assert taken == chosen


@pytest.mark.parametrize(
    ("attributes", "options"),
    [
        ('dimensions="200x200"', "200x200"),
        ('width="200" height="100"', "200x100"),
        ('width="200"', "200x"),
        ('dimensions="fit-in/400x400" quality="90"', "fit-in/400x400/filters:quality(90)"),
        (
            'dimensions="9x9" quality="80" filters="round_corner(20,255,255,255)"',
            "9x9/filters:quality(80):round_corner(20,255,255,255)",
        ),
    ],
)
def test_other_options_are_in_the_address(stack: Stack, page: Page, site: Site, attributes: str, options: str) -> None:
    page.route("**/t/**", lambda route: route.fulfill(status=200, content_type="image/png", body=b""))
    page.goto(
        site.write(
            f"image-{next(_numbers)}.html",
            f'<script src="{stack.url}/client/thumbstack-image.js"></script>'
            f'<thumbstack-img key="o/demo/a/b.jpg" {attributes} src-base="https://cdn.example/"></thumbstack-img>',
        )
    )

    expect(page.locator("img")).to_have_attribute("src", f"https://cdn.example/t/{options}/u/o/demo/a/b.jpg")


def test_dimensions_of_a_preset_need_no_permission_and_keep_the_pages_place(
    show: Show, pictures: list[Picture]
) -> None:
    image = show(
        f'<thumbstack-img key="{pictures[1].key}" dimensions="200x200" quality="90" alt="A cat"></thumbstack-img>'
    ).get_by_role("img")

    expect(image).to_have_js_property("naturalWidth", 200)
    expect(image).to_have_attribute("width", "200")
    expect(image).to_have_attribute("height", "200")


def test_another_key_shows_another_picture(stack: Stack, show: Show, pictures: list[Picture]) -> None:
    page = show(f'<thumbstack-img key="{pictures[0].key}" preset="original" alt=""></thumbstack-img>')
    image = page.locator("img")
    expect(image).to_have_js_property("naturalWidth", 600)

    page.locator("thumbstack-img").evaluate("(element, key) => element.setAttribute('key', key)", pictures[1].key)

    expect(image).to_have_js_property("naturalWidth", 451)


def test_the_helpers_need_no_element(stack: Stack, site: Site, show: Show, page: Page) -> None:
    show("")
    made = page.evaluate("ThumbstackImage.srcset('o/demo/a/b.jpg', { MI: 400, 'fit-in/900x900': 900 })")
    assert made == f"{stack.url}/t/MI/u/o/demo/a/b.jpg 400w, {stack.url}/t/fit-in/900x900/u/o/demo/a/b.jpg 900w"

    # The same as a module.
    page.goto(site.write("image-module.html", "<!doctype html><title>x</title><link rel=icon href=data:,>"))
    imported: dict[str, Any] = page.evaluate(
        "url => import(url).then(({ define, address }) => (define(),"
        " { defined: !!customElements.get('thumbstack-img'), address: address('o/demo/a/b.jpg', 'MI') }))",
        f"{stack.url}/client/thumbstack-image.mjs",
    )
    assert imported == {"defined": True, "address": f"{stack.url}/t/MI/u/o/demo/a/b.jpg"}


def test_a_gallery_opens_its_pictures_by_pointer_and_keyboard(
    show: Show, pictures: list[Picture], packages: Path
) -> None:
    images = "".join(
        f'<thumbstack-img key="{picture.key}" preset="SI" width="250" alt="{alt}"></thumbstack-img>'
        for picture, alt in zip(pictures, ("A cup", "A cat"), strict=True)
    )
    page = show(f'<thumbstack-gallery preview="original">{images}</thumbstack-gallery>')
    cup, dialog = page.get_by_role("button", name="A cup"), page.get_by_role("dialog")
    large = dialog.get_by_role("img")
    assert page.locator("thumbstack-img").nth(1).bounding_box()["x"] - cup.bounding_box()["x"] >= 260  # type: ignore[index]

    cup.focus()
    page.keyboard.press("Enter")
    expect(large).to_have_attribute("alt", "A cup")
    expect(large).to_have_js_property("naturalWidth", 600)
    page.keyboard.press("ArrowRight")
    expect(large).to_have_attribute("alt", "A cat")
    expect(large).to_have_js_property("naturalWidth", 451)
    # Read out with the picture, and anew with each other one.
    expect(page.get_by_role("dialog", name="A cat")).to_be_visible()
    dialog.get_by_role("button", name="Next").click()
    expect(large).to_have_attribute("alt", "A cup")
    page.evaluate((packages / "axe-core" / "axe.min.js").read_text())
    found: list[dict[str, Any]] = page.evaluate("axe.run().then(found => found.violations)")
    assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == []

    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(cup).to_be_focused()

"""The page at / in a real browser, on the whole service."""

import io
import itertools
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, FilePayload, Locator, Page, Route, expect

from tests.stack.stacks import SHOP, Embedded, Picture, Stack, running

pytestmark = pytest.mark.stack

IMAGES = Path(__file__).parents[1] / "images"
_names = (f"page-{number}" for number in itertools.count())
# What the browser itself writes about an answer that is no success; the page says it in a sentence.
_REFUSED = "Failed to load resource: the server responded with a status of "
PAPER = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n" + (
    b"trailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF\n"
)
BUSY = {"error": "The service is busy just now: try again in a few seconds.", "code": "unavailable"}


@pytest.fixture(autouse=True)
def complaints(page: Page) -> Iterator[list[str]]:
    """What the browser's console complains of, violated policies too: nothing but the refusals that a test is about."""
    heard: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            heard.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: heard.append(str(error)))
    yield heard
    assert heard == []


@pytest.fixture
def photo(stack: Stack, coffee: bytes) -> Picture:
    """A photograph that is in the service under a name of its own."""
    return stack.upload(coffee, f"{next(_names)}.jpg")


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The service with no open app, known to the world under another address; no other test has either."""
    stack = Embedded(tmp_path_factory.mktemp("locked"), OPEN_APP="", PUBLIC_URL="https://pictures.example")
    with running(stack) as started:
        yield started


def opened(page: Page, stack: Stack, photo: Picture) -> Locator:
    """The picture's dialog, with what it shows first."""
    page.goto(f"{stack.url}/#{photo.key}")
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("#verdict strong")).to_have_text(re.compile("HIT|MISS"))
    return dialog


def shown(dialog: Locator) -> tuple[int, int]:
    """The pixels of the picture that the playground shows."""
    result: list[int] = dialog.locator("#result").evaluate("image => [image.naturalWidth, image.naturalHeight]")
    width, height = result
    return width, height


def copied(dialog: Locator, name: str) -> str:
    """The text under a name."""
    return dialog.get_by_label(name, exact=True).inner_text()


def settled(dialog: Locator, options: str) -> None:
    """Wait until what is shown is what these options say."""
    expect(dialog.get_by_label("URL", exact=True)).to_contain_text(f"/{options}/o/demo/")


def refused(heard: list[str], *statuses: int) -> None:
    """Exactly these refusals were written by the browser, and nothing else."""
    assert [int(text.removeprefix(_REFUSED)[:3]) for text in heard if text.startswith(_REFUSED)] == list(statuses)
    heard[:] = [text for text in heard if not text.startswith(_REFUSED)]


def serious(page: Page, packages: Path) -> list[str]:
    """The serious faults that axe finds on the page as it stands."""
    page.evaluate((packages / "axe-core" / "axe.min.js").read_text())
    found: list[dict[str, Any]] = page.evaluate("axe.run().then(found => found.violations)")
    return [
        f"{fault['id']}: {fault['nodes'][0]['html']}" for fault in found if fault["impact"] in ("serious", "critical")
    ]


def alts(html: str) -> list[str | None]:
    """What the images in a piece of HTML are called."""
    found: list[str | None] = []

    class Images(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "img":
                found.append(dict(attrs).get("alt"))

    Images().feed(html)
    return found


def picture(color: str, size: tuple[int, int] = (60, 40)) -> bytes:
    body = io.BytesIO()
    Image.new("RGB", size, color).save(body, "PNG")
    return body.getvalue()


def test_programs_keep_their_answer(stack: Stack, photo: Picture, coffee: bytes) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

    assert requests.get(f"{stack.url}/", timeout=30).json()["code"] == "missing_input"
    assert requests.get(f"{stack.url}/", headers=browser, timeout=30).text.startswith("<!doctype html>")
    assert requests.get(f"{stack.url}/?name={photo.name}", headers=browser, timeout=30).content == coffee


def test_no_key_is_in_the_page(stack: Stack) -> None:
    page = requests.get(f"{stack.url}/", headers={"Accept": "text/html"}, timeout=30).text
    texts = [
        page,
        *(requests.get(f"{stack.url}/{path}", timeout=30).text for path in re.findall(r'"(client/.+?)"', page)),
    ]

    assert len(texts) == 3
    for secret in (*SHOP.values(), *stack.s3_credentials.values()):
        assert not any(secret in text for text in texts if secret != "shop")


def test_the_last_upload_comes_first_with_its_thumbnail(stack: Stack, page: Page, coffee: bytes) -> None:
    names = [f"{next(_names)}.jpg" for _ in range(2)]
    for name in names:
        stack.upload(coffee, name)
    page.goto(stack.url)

    cards = page.locator("#gallery li")
    expect(cards.nth(0)).to_contain_text(names[1])
    expect(cards.nth(1)).to_contain_text(names[0])
    expect(cards.nth(0)).to_contain_text("600 × 400 · JPEG · 80 kB")
    expect(cards.nth(0).locator("img")).to_have_js_property("naturalWidth", 600)


def test_what_is_uploaded_on_the_page_arrives_on_it(stack: Stack, page: Page, coffee: bytes) -> None:
    page.goto(stack.url)
    names = [f"{next(_names)}.jpg" for _ in range(3)]
    files: list[FilePayload] = [{"name": name, "mimeType": "image/jpeg", "buffer": coffee} for name in names]
    files.append({"name": "words.txt", "mimeType": "text/plain", "buffer": b"words"})

    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Drop pictures here, or choose them").click()
    chooser.value.set_files(files)

    for name in names:
        card = page.locator("#gallery li", has_text=name)
        expect(card.locator("img")).to_have_js_property("naturalWidth", 600)
        expect(page.locator("#upload li", has_text=name)).to_be_hidden()
    expect(page.locator("#upload li", has_text="words.txt")).to_contain_text("This is no picture of a known type.")
    page.locator("#gallery a", has_text=names[0]).click()
    dialog = page.get_by_role("dialog")
    for image in dialog.locator("#presets img").all():
        expect(image).not_to_have_js_property("naturalWidth", 0)


def test_until_a_thumbnail_is_there_its_placeholder_is_seen(stack: Stack, page: Page, photo: Picture) -> None:
    waiting: list[Route] = []
    page.route("**/t/card/**", lambda route: waiting.append(route))
    page.goto(stack.url)
    card = page.locator("#gallery li", has_text=photo.name).locator("img")

    expect(card).to_have_class("awaited")
    style = card.evaluate("image => [image.style.backgroundColor, image.style.backgroundImage]")
    for route in waiting:
        route.continue_()

    assert style[0] == "rgb(205, 136, 82)"
    assert style[1].startswith('url("data:image/webp;base64,')
    expect(card).not_to_have_class("awaited")
    assert card.evaluate("image => image.style.backgroundImage") == ""


def test_a_thumbnail_of_a_busy_service_comes_later(
    stack: Stack, page: Page, photo: Picture, complaints: list[str]
) -> None:
    page.route(f"**/t/card/u/{photo.key}", lambda route: route.fulfill(status=503, json=BUSY), times=1)
    page.goto(stack.url)

    card = page.locator("#gallery li", has_text=photo.name)
    expect(card.locator("img")).to_have_js_property("naturalWidth", 600)
    refused(complaints, 503)


def test_a_picture_has_an_address_of_its_own_and_back_closes_it(stack: Stack, page: Page, photo: Picture) -> None:
    page.goto(stack.url)
    link = page.locator("#gallery a", has_text=photo.name)
    dialog = page.get_by_role("dialog")
    link.focus()
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    expect(page).to_have_url(f"{stack.url}/#{photo.key}")

    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page).to_have_url(f"{stack.url}/")
    expect(link).to_be_focused()

    page.go_forward()
    expect(dialog).to_be_visible()
    page.go_back()
    expect(dialog).to_be_hidden()

    # From elsewhere: there is no gallery to go back to.
    page.goto("about:blank")
    opened(page, stack, photo)
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    expect(page).to_have_url(f"{stack.url}/")


def test_an_address_of_no_picture_is_told(stack: Stack, page: Page, photo: Picture, complaints: list[str]) -> None:
    page.goto(f"{stack.url}/#o/demo/nobody/1763600000_0.jpg")

    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("No such picture")
    refused(complaints, 404)


@pytest.mark.parametrize("fragment", ["../pictures?limit=1", "o/demo/../../list_files", "top"])
def test_a_fragment_that_is_no_key_asks_for_nothing(stack: Stack, page: Page, fragment: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.resource_type == "fetch" else None)

    page.goto(f"{stack.url}/#{fragment}")

    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_text("This is no picture's address.")
    assert asked == [f"{stack.url}/pictures?order=newest&limit=24&after="]


def test_a_name_is_nothing_but_a_name(stack: Stack, page: Page, coffee: bytes) -> None:
    name = f"\"><img src=x onerror=alert(1)>{{{{reason}}}}'$(id) {next(_names)}.jpg"
    said: list[str] = []
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(stack.url)
    # By a ticket: in a form of several parts browsers themselves put %22 for a quotation mark.
    page.locator("#upload input").first.set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": coffee})
    page.get_by_role("link", name=name).click()
    dialog = page.get_by_role("dialog")

    expect(dialog.get_by_role("heading", name=name, exact=True)).to_be_visible()
    settled(dialog, "fit-in/600x0")
    for text in (copied(dialog, "<img srcset>"), copied(dialog, "<picture>")):
        assert alts(text) == [name]
    assert "$(id)" not in copied(dialog, "curl")
    assert said == []


def test_the_playground_changes_the_picture(stack: Stack, page: Page, photo: Picture) -> None:
    dialog = opened(page, stack, photo)
    assert shown(dialog) == (600, 400)

    dialog.get_by_label("Width").fill("300")
    settled(dialog, "fit-in/300x0")
    assert shown(dialog) == (300, 200)

    dialog.get_by_label("Height").fill("120")
    dialog.get_by_label("How").select_option("smart")
    settled(dialog, "300x120/smart")
    assert shown(dialog) == (300, 120)

    # Twice as wide, as its srcset would like, this one would be too tall.
    dialog.get_by_label("Options").fill("10x3000")
    settled(dialog, "10x3000")
    assert shown(dialog) == (10, 3000)

    dialog.get_by_label("Grey").check()
    dialog.get_by_label("Quality").fill("40")
    dialog.get_by_label("Brightness").fill("20")
    dialog.get_by_label("Format").select_option("png")
    settled(dialog, "300x120/smart/filters:brightness(20):grayscale():quality(40):format(png)")
    expect(dialog.locator("#verdict")).to_contain_text("300 × 120 · PNG · ")
    answer = requests.get(copied(dialog, "URL"), timeout=30)
    assert Image.open(io.BytesIO(answer.content)).size == (300, 120)
    bytes_told = re.search(r"PNG · ([\d.]+)\skB", dialog.locator("#verdict").inner_text())
    assert bytes_told
    assert abs(float(bytes_told[1]) * 1000 - len(answer.content)) <= 500


def test_what_was_made_once_is_a_hit(stack: Stack, page: Page, photo: Picture) -> None:
    dialog = opened(page, stack, photo)
    dialog.get_by_label("Width").fill("123")
    settled(dialog, "fit-in/123x0")
    expect(dialog.locator("#verdict strong")).to_have_text("MISS")
    expect(dialog.locator("#verdict")).to_contain_text(re.compile(r"made in \d+ ms"))

    dialog.get_by_role("button", name="Ask again").click()

    expect(dialog.locator("#verdict strong")).to_have_text("HIT")


def test_presets_are_shown_and_can_be_chosen(stack: Stack, page: Page, photo: Picture) -> None:
    dialog = opened(page, stack, photo)
    buttons = dialog.locator("#presets button")

    assert buttons.all_inner_texts() == list(photo.urls)
    for image in dialog.locator("#presets img").all():
        expect(image).not_to_have_js_property("naturalWidth", 0)
    dialog.get_by_role("button", name="SI").click()
    expect(dialog.get_by_role("button", name="SI")).to_have_attribute("aria-pressed", "true")
    expect(dialog.get_by_label("URL", exact=True)).to_have_text(photo.urls["SI"])
    assert shown(dialog) == (200, 200)
    everybodys = copied(dialog, "URL for everybody")
    assert everybodys == f"{stack.url}/t/SI/u/{photo.key}"
    assert requests.get(everybodys, timeout=30).status_code == 200


def test_a_part_is_drawn_with_the_pointer_or_typed(stack: Stack, page: Page, photo: Picture) -> None:
    dialog = opened(page, stack, photo)
    dialog.get_by_label("Width").fill("")
    dialog.get_by_label("How").select_option("part")
    whole = dialog.locator("#cutter-image")
    whole.scroll_into_view_if_needed()
    expect(whole).to_have_js_property("naturalWidth", 600)
    box = whole.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.up()
    expect(dialog.get_by_label("URL", exact=True)).to_contain_text(re.compile(r"/1\d\dx\d+:\d+x\d+/o/demo/"))
    width, height = shown(dialog)
    assert abs(width - 150) <= 3
    assert abs(height - 100) <= 3

    for side, value in (("Left", 10), ("Top", 20), ("Right", 90), ("Bottom", 80)):
        dialog.get_by_label(side, exact=True).fill(str(value))
    settled(dialog, "10x20:90x80")
    assert shown(dialog) == (80, 60)


def test_the_servers_refusal_is_told_and_forgotten(
    stack: Stack, page: Page, photo: Picture, complaints: list[str]
) -> None:
    dialog = opened(page, stack, photo)
    dialog.get_by_label("Width").fill("9999")
    expect(dialog.locator("#refusal")).to_have_text("No side may be longer than 4096 pixels.")

    dialog.get_by_label("Options").fill("nonsense")
    expect(dialog.locator("#refusal")).to_contain_text("These are no Thumbor options")
    assert shown(dialog) == (600, 400)

    dialog.get_by_label("Options").fill("90x60")
    settled(dialog, "90x60")
    expect(dialog.locator("#refusal")).to_be_hidden()
    refused(complaints, 400, 400)


@pytest.mark.parametrize("clipboard", [True, False], ids=["with a clipboard", "over plain HTTP"])
def test_a_copy_says_so(stack: Stack, page: Page, photo: Picture, clipboard: bool) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    if not clipboard:
        page.add_init_script("navigator.clipboard.writeText = undefined")
    dialog = opened(page, stack, photo)

    for name in ("URL", "<img srcset>", "<picture>", "curl"):
        button = dialog.get_by_role("button", name=f"Copy {name}")
        button.click()
        expect(button).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == copied(dialog, name)


def test_what_is_copied_works(stack: Stack, page: Page, photo: Picture) -> None:
    dialog = opened(page, stack, photo)
    url = copied(dialog, "URL")
    page.goto("about:blank")
    opened(page, stack, photo)
    image, picture, curl = (copied(dialog, name) for name in ("<img srcset>", "<picture>", "curl"))

    for text in (image, picture):
        addresses = re.findall(rf"{re.escape(stack.url)}\S+\.jpg", text)
        assert url in addresses
        assert {requests.get(address, timeout=30).status_code for address in addresses} == {200}
    assert re.search(r'300w, .* 600w"', image)
    assert 'alt="' + photo.name in image
    assert re.fullmatch(rf"curl -H 'Accept: image/avif' -o '\d+_\w+\.avif' '{re.escape(url)}'", curl)


def test_a_deleted_picture_is_seen_to_be_gone(stack: Stack, page: Page, photo: Picture, complaints: list[str]) -> None:
    page.goto(stack.url)
    page.locator("#gallery a", has_text=photo.name).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("#verdict strong")).to_have_text("MISS")
    url = copied(dialog, "URL")

    dialog.get_by_role("button", name="Delete …").click()
    expect(dialog.locator("#end-told")).to_contain_text(re.compile(r"This deletes 1 original, \d+ rendered sizes, "))
    dialog.get_by_role("button", name="Keep it").click()
    assert requests.get(url, timeout=30).status_code == 200

    dialog.get_by_role("button", name="Delete …").click()
    dialog.get_by_role("button", name="Yes, delete it").click()
    expect(dialog.locator("#viewer-gone")).to_contain_text(re.compile(r"Gone: 1 original, \d+ rendered sizes, "))
    expect(dialog.locator("#viewer-gone")).to_contain_text("Its address answers 410 now.")
    assert requests.get(url, timeout=30).status_code == 410
    page.keyboard.press("Escape")
    expect(page.locator("#gallery a", has_text=photo.name)).to_have_count(0)
    expect(page.get_by_role("heading", name="Pictures", exact=True)).to_be_focused()
    refused(complaints, 410)


def test_a_delete_is_done_though_nothing_more_is_told(
    stack: Stack, page: Page, photo: Picture, complaints: list[str]
) -> None:
    dialog = opened(page, stack, photo)
    page.route(f"**/fit-in/**/{photo.key}", lambda route: route.fulfill(status=503, json=BUSY))

    dialog.get_by_role("button", name="Delete …").click()
    dialog.get_by_role("button", name="Yes, delete it").click()

    expect(dialog.locator("#viewer-gone")).to_contain_text("Gone: 1 original, ")
    assert requests.get(photo.url, timeout=30).status_code == 410
    refused(complaints, 503)


def test_a_late_answer_is_not_another_pictures(stack: Stack, page: Page, photo: Picture, coffee: bytes) -> None:
    other = stack.upload(coffee, f"{next(_names)}.jpg")
    dialog = opened(page, stack, photo)
    held: list[Route] = []
    page.route("**/pictures/**", lambda route: held.append(route))
    dialog.get_by_role("button", name="Delete …").click()
    while not held:
        page.wait_for_timeout(50)

    page.evaluate("key => { location.hash = key }", other.key)
    expect(dialog.get_by_role("heading", name=other.name)).to_be_visible()
    settled(dialog, "fit-in/600x0")
    with page.expect_response("**/pictures/**"):
        held[0].continue_()
    page.wait_for_timeout(300)

    expect(dialog.get_by_role("button", name="Yes, delete it")).to_be_hidden()


def test_trouble_is_told_and_can_be_tried_again(
    stack: Stack, page: Page, photo: Picture, complaints: list[str]
) -> None:
    for path in ("**/pictures?*", "**/fit-in/**"):
        page.route(path, lambda route: route.fulfill(status=503, json=BUSY))
    page.goto(stack.url)
    trouble = page.locator("#trouble")
    expect(trouble).to_contain_text(BUSY["error"])
    expect(page.get_by_role("heading", name="Add pictures")).to_be_hidden()

    page.unroute("**/pictures?*")
    trouble.get_by_role("button", name="Try again").click()
    page.locator("#gallery a", has_text=photo.name).click()
    expect(trouble).to_be_hidden()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("#refusal")).to_have_text(BUSY["error"])

    page.unroute("**/fit-in/**")
    dialog.get_by_role("button", name="Ask again").click()
    settled(dialog, "fit-in/600x0")
    expect(dialog.locator("#refusal")).to_be_hidden()
    refused(complaints, 503, 503)


def test_a_service_that_is_away_is_told(stack: Stack, page: Page, complaints: list[str]) -> None:
    page.route("**/pictures?*", lambda route: route.abort("connectionrefused"))
    page.goto(stack.url)

    expect(page.locator("#trouble")).to_contain_text("The service cannot be reached.")
    assert [text for text in complaints if "ERR_CONNECTION_REFUSED" not in text] == []
    complaints.clear()


def test_what_has_no_sizes_has_its_address(stack: Stack, page: Page) -> None:
    paper = stack.upload(PAPER, f"{next(_names)}.pdf")
    page.goto(stack.url)
    page.locator("#gallery a", has_text=f"{paper.name}.pdf").click()

    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("URL", exact=True)).to_have_text(paper.url)
    expect(dialog.get_by_label("Width")).to_be_hidden()


def test_without_a_key_a_closed_service_shows_nothing(locked: Stack, page: Page, complaints: list[str]) -> None:
    requests.post(
        locked.url,
        files={"file": ("seen.png", picture("teal"))},
        headers={"Authorization": f"Bearer {SHOP['public_key']}"},
        timeout=30,
    ).raise_for_status()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(locked.url)
    field, button = page.get_by_label("Private API key"), page.get_by_role("button", name="Open")
    expect(field).to_be_focused()
    expect(page.locator("#house")).to_be_hidden()

    # The last two cannot be sent as a header.
    for wrong in ("no-such-key-0123456789", SHOP["public_key"], "schlüssel-0123456789", ""):
        field.fill(wrong)
        button.click()
        expect(page.get_by_role("alert").first).to_contain_text("This is no private API key of this service.")

    field.fill(SHOP["private_key"])
    page.keyboard.press("Enter")
    card = page.locator("#gallery li", has_text="seen.png")
    expect(card).to_be_visible()
    # PUBLIC_URL is another origin; what the page shows comes from here.
    expect(card.locator("img")).not_to_have_js_property("naturalWidth", 0)
    card.get_by_role("link").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("URL", exact=True)).to_contain_text("https://pictures.example/")
    page.keyboard.press("Escape")

    # The ticket is for that other origin, where the page may not go: so it comes through the service.
    page.locator("#upload input").first.set_input_files(
        {"name": "sent.png", "mimeType": "image/png", "buffer": picture("olive")}
    )
    expect(page.locator("#gallery li", has_text="sent.png")).to_be_visible()
    complaints[:] = [text for text in complaints if "https://pictures.example/direct" not in text]
    refused(complaints, 403, 403, 403, 404)

    page.reload()
    expect(card).to_be_visible()
    assert SHOP["private_key"] not in page.content()
    assert not any(SHOP["private_key"] in url for url in asked)
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]

    page.get_by_role("button", name="Forget the key").click()
    expect(field).to_be_visible()
    expect(card).to_have_count(0)
    assert page.evaluate("sessionStorage.length") == 0
    refused(complaints, 403)


def test_more_are_shown_page_by_page(locked: Stack, page: Page) -> None:
    private = {"Authorization": f"Bearer {SHOP['private_key']}"}
    for number in range(50):
        files = {"file": (f"paged-{number:02}.png", picture(f"rgb({number},0,0)"))}
        requests.post(locked.url, files=files, headers=private, timeout=30).raise_for_status()
    page.add_init_script(f"sessionStorage.setItem('thumbstack-private-key', '{SHOP['private_key']}')")
    page.goto(locked.url)
    names, more = page.locator("#gallery .name"), page.get_by_role("button", name="Show more")
    expect(names).to_have_count(24)

    more.click()
    expect(names).to_have_count(48)
    more.click()
    expect(more).to_be_hidden()
    expect(page.locator("#gallery a").nth(48)).to_be_focused()
    told = [name for name in names.all_inner_texts() if name.startswith("paged-")]
    assert told == [f"paged-{number:02}.png" for number in reversed(range(50))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(
    browser: Browser,
    stack: Stack,
    locked: Stack,
    page: Page,
    photo: Picture,
    packages: Path,
    scheme: Any,
    complaints: list[str],
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(stack.url)
    expect(page.locator("#gallery li").first).to_be_visible()
    assert serious(page, packages) == []

    dialog = opened(page, stack, photo)
    dialog.get_by_label("How").select_option("part")
    dialog.get_by_role("button", name="Delete …").click()
    expect(dialog.get_by_role("button", name="Keep it")).to_be_visible()
    settled(dialog, "0x0:600x400/600x0")
    assert serious(page, packages) == []

    page.goto(locked.url)
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert").first).to_be_visible()
    assert serious(page, packages) == []
    refused(complaints, 403)


@pytest.mark.parametrize("width", [360, 1280])
def test_what_has_the_focus_is_in_sight(stack: Stack, page: Page, photo: Picture, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 780})
    dialog = opened(page, stack, photo)
    dialog.get_by_role("button", name="Delete …").focus()
    covered = """focused => {
        const {left, top, width, height} = focused.getBoundingClientRect();
        const seen = document.elementFromPoint(left + Math.min(width / 2, 40), top + height / 2);
        return !(focused.contains(seen) || seen?.contains(focused)) && focused.outerHTML;
    }"""

    seen, hidden = 0, []
    while dialog.get_by_role("button", name="Close").evaluate("close => close !== document.activeElement"):
        hidden.append(page.locator(":focus").evaluate(covered))
        seen += 1
        page.keyboard.press("Shift+Tab")

    assert [text for text in hidden if text] == []
    assert seen > 20


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_screen(stack: Stack, page: Page, photo: Picture, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 740})
    page.goto(stack.url)
    expect(page.locator("#gallery li").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    dialog = opened(page, stack, photo)
    dialog.get_by_label("How").select_option("part")
    settled(dialog, "0x0:600x400/600x0")
    assert dialog.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

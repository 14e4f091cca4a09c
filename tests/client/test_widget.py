"""The upload widget in a real browser, on a page of another origin with a strict Content-Security-Policy."""

import base64
import os
from pathlib import Path

import pytest
import requests
from playwright.sync_api import FilePayload, Page, Route, expect

from tests.client.area import DROP, PASTE, Open, jpeg, name, once, png, refusing
from tests.stack.stacks import SHOP, Stack

pytestmark = pytest.mark.stack

# --- What the first version of the widget promised.


def test_data_attributes_are_enough(open_area: Open, stack: Stack) -> None:
    area = open_area()
    expect(area.element).to_have_class("dropzone dz-clickable")
    picture = jpeg()

    area.drop((name(), "image/jpeg", picture))

    area.uploaded()
    assert [request.url.removeprefix(stack.url) for request in area.asked] == [
        "/generate_policy",
        "/direct",
        "/complete",
    ]
    (upload,) = area.told("upload")
    assert requests.get(upload["upload"]["publicUrl"], timeout=30).content == picture
    assert area.complaints == []


def test_each_file_has_a_ticket_and_a_request_of_its_own(open_area: Open) -> None:
    area = open_area()

    area.drop(*[(name(), "image/jpeg", jpeg()) for _ in range(3)])

    area.uploaded(3)
    assert [area.count(path) for path in ("/generate_policy", "/direct", "/complete", "/")] == [3, 3, 3, 0]
    responses = [request.response() for request in area.asked if request.url.endswith("/direct")]
    assert [response and response.status for response in responses] == [204, 204, 204]


def test_25_files_are_under_way_at_most(open_area: Open, page: Page) -> None:
    area = open_area(options={"createImageThumbnails": False})
    held: list[Route] = []
    released = False
    page.route("**/direct", lambda route: held.append(route) if not released else route.continue_())

    area.drop(*[(name(), "image/jpeg", jpeg(8)) for _ in range(30)])
    while len(held) < 25:
        page.wait_for_timeout(50)
    page.wait_for_timeout(300)

    assert len(held) == 25
    released = True
    for route in held:
        route.continue_()
    area.uploaded(30)


def test_a_file_of_another_type_is_refused_before_anything_is_sent(open_area: Open) -> None:
    area = open_area(options={"acceptedFiles": "image/*"})

    area.drop(("notes.txt", "text/plain", b"notes"))

    assert area.refused()["code"] == "unsupported_type"
    assert area.asked == []


def test_a_callback_is_told_of_each_upload(open_area: Open, page: Page, stack: Stack) -> None:
    area = open_area(options={}, callback=True, body="<form>{}</form>")
    picture = jpeg()

    area.drop(("My_Tiger Ä1.JPG", "image/jpeg", picture))

    area.uploaded()
    (upload,) = page.evaluate("window.results")
    assert {
        name: upload[name] for name in ("orginalName", "originalName", "cleanName", "name", "extension", "size")
    } == {
        "orginalName": "My_Tiger Ä1.JPG",
        "originalName": "My_Tiger Ä1.JPG",
        "cleanName": "my-tiger-1.jpg",
        "name": "my-tiger-1",
        "extension": "jpg",
        "size": len(picture),
    }
    assert upload["key"] == f"o/shop/{upload['filePath']}"
    assert upload["publicUrl"] == f"{stack.url}/{upload['key']}"
    assert upload["picture"]["width"] == 60
    assert requests.get(upload["publicUrl"], timeout=30).content == picture
    # Who is told does not need them.
    assert page.locator("form input[type=hidden]").count() == 0


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("My_Tiger Ä1.JPG", "my-tiger-1.jpg"),
        ("My_Tiger A\u03081.JPG", "my-tiger-1.jpg"),
        ("v1.2 final.png", "v1.2-final.png"),
        ("日本.jpg", "file.jpg"),
        ("../x.png", "file.x.png"),
        ("plain", "plain"),
    ],
)
def test_names_are_cleaned(open_area: Open, page: Page, stack: Stack, given: str, clean: str) -> None:
    open_area()

    module = f"{stack.url}/client/thumbstack-upload.mjs"
    assert (
        page.evaluate("([module, name]) => import(module).then((it) => it.cleanName(name))", [module, given]) == clean
    )


def test_a_form_gets_hidden_inputs(open_area: Open, page: Page) -> None:
    area = open_area(body="<form>{}<input name=title value=Cats></form>")

    area.drop(("Tiger.jpg", "image/jpeg", jpeg()), ("tiger.jpg", "image/jpeg", jpeg()))

    area.uploaded(2)
    fields = dict(page.evaluate("[...new FormData(document.forms[0])]"))
    groups = {name.split("]")[0] for name in fields if name.startswith("renuoupload")}
    assert groups == {"renuoupload[tiger", "renuoupload[tiger-2"}
    told = {upload["upload"]["publicUrl"]: upload["upload"] for upload in area.told("upload")}
    for group in groups:
        upload = told.pop(fields[f"{group}][publicUrl]"])
        for field in ("orginalName", "originalName", "cleanName", "extension", "size", "filePath", "key"):
            assert fields[f"{group}][{field}]"] == str(upload[field])
    assert f"{min(groups)}][name]" not in fields
    page.get_by_role("button", name="Remove").first.click()
    assert (
        len([name for name in page.evaluate("[...new FormData(document.forms[0]).keys()]") if "publicUrl" in name]) == 1
    )


def test_a_form_waits_for_its_uploads(open_area: Open, page: Page) -> None:
    area = open_area(body='<form action="widget.html">{}<button name="go" value="yes">Send</button></form>')
    held: list[Route] = []
    page.route("**/complete", lambda route: held.append(route))
    area.drop(("tiger.jpg", "image/jpeg", jpeg()))
    expect(page.get_by_text("Being checked")).to_be_visible()

    page.get_by_role("button", name="Send").click()

    expect(page.get_by_role("alert")).to_have_text("The form is sent as soon as all pictures are uploaded.")
    held[0].continue_()
    page.wait_for_url("**/widget.html?*")
    assert "renuoupload%5Btiger%5D%5BpublicUrl%5D=" in page.url
    assert "go=yes" in page.url


def test_what_was_refused_before_does_not_keep_a_form(open_area: Open, page: Page) -> None:
    area = open_area(body='<form action="widget.html">{}<button>Send</button></form>')
    held: list[Route] = []
    page.route("**/complete", lambda route: held.append(route))
    area.drop(("notes.txt", "text/plain", b"notes"), ("tiger.jpg", "image/jpeg", jpeg()))
    expect(page.get_by_text("Being checked")).to_be_visible()
    page.get_by_role("button", name="Send").click()

    held[0].continue_()

    page.wait_for_url("**/widget.html?*")


def test_a_form_is_not_sent_without_what_failed_meanwhile(open_area: Open, page: Page) -> None:
    area = open_area(body='<form action="widget.html">{}<button>Send</button></form>')
    held: list[Route] = []
    page.route("**/complete", lambda route: held.append(route))
    area.drop(("tiger.jpg", "image/jpeg", jpeg()))
    expect(page.get_by_text("Being checked")).to_be_visible()
    page.get_by_role("button", name="Send").click()

    refusing(422, "undecodable")(held[0])

    area.refused()
    page.wait_for_function("told.some(([name]) => name === 'done')")
    assert "?" not in page.url
    page.get_by_role("button", name="Send").click()
    page.wait_for_url("**/widget.html?*")


@pytest.mark.parametrize(
    ("lang", "label"),
    [
        ("en", "Drop pictures here, or choose them"),
        ("de-CH", "Bilder hierher ziehen oder auswählen"),
        ("fr", "Déposez des images ici ou choisissez-les"),
        ("es", "Arrastra imágenes aquí o elígelas"),
        ("sv", "Drop pictures here, or choose them"),
    ],
)
def test_texts_are_in_the_language_of_the_page(open_area: Open, lang: str, label: str) -> None:
    expect(open_area(lang=lang).element.get_by_role("button")).to_have_text(label)


def test_texts_are_the_same_in_all_languages(open_area: Open, page: Page, stack: Stack) -> None:
    open_area()
    texts = page.evaluate(
        "(module) => import(module).then((it) => it.LANGUAGES)", f"{stack.url}/client/thumbstack-upload.mjs"
    )

    def values(text: str) -> list[str]:
        return sorted(part.partition("}}")[0] for part in text.split("{{")[1:])

    assert texts.keys() == {"en", "de", "fr", "es"}
    for words in texts.values():
        assert words.keys() == texts["en"].keys()
        assert {name: values(words[name]) for name in words} == {name: values(texts["en"][name]) for name in words}


def test_texts_can_be_replaced(open_area: Open) -> None:
    options = {
        "lang": "de",
        "dictDefaultMessage": "Tigers <b>here</b>",
        "texts": {"unsupported_type": "{{name}} is no tiger."},
    }
    area = open_area(options=options)

    expect(area.element.get_by_role("button")).to_have_text("Tigers <b>here</b>")
    area.drop(("notes.txt", "text/plain", b"notes"))
    assert area.refused()["message"] == "notes.txt is no tiger."


def test_two_files_of_one_name_are_two_pictures(open_area: Open) -> None:
    area = open_area()
    pictures = {jpeg(), jpeg()}

    area.drop(*[("a.jpg", "image/jpeg", picture) for picture in pictures])

    area.uploaded(2)
    urls = {upload["upload"]["publicUrl"] for upload in area.told("upload")}
    assert {requests.get(url, timeout=30).content for url in urls} == pictures


def test_cancelling_ends_the_request_and_nothing_is_stored(open_area: Open, page: Page, stack: Stack) -> None:
    area = open_area()
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(f"{request.url} {request.failure}"))
    devtools = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 100_000}
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", slow)
    file = name()
    area.drop((file, "image/jpeg", jpeg(900)))
    while page.locator("progress").evaluate("(progress) => progress.value") < 3:
        page.wait_for_timeout(50)

    page.get_by_role("button", name=f"Cancel the upload of {file}").click()

    expect(area.lines).to_have_count(0)
    # What it would still ask, and S3 still store, it would within that time.
    page.wait_for_timeout(1000)
    assert failed == [f"{stack.url}/direct net::ERR_ABORTED"]
    assert [area.count(path) for path in ("/direct", "/complete", "/")] == [1, 0, 0]
    assert stack.originals(f"o/shop/{file.removesuffix('.jpg')}/") == []
    assert [area.told("error"), len(area.told("remove"))] == [[], 1]


def test_progress_is_told(open_area: Open, page: Page) -> None:
    area = open_area()

    area.drop((name(), "image/jpeg", jpeg(900)))

    area.uploaded()
    progress = [detail["progress"] for detail in area.told("progress")]
    assert progress == sorted(progress)
    assert progress[-1] == 100
    assert [len(area.told(event)) for event in ("add", "upload", "done", "error")] == [1, 1, 1, 0]


@pytest.mark.parametrize("how", ["attribute", "option"])
def test_a_fifth_file_of_four_is_refused(open_area: Open, page: Page, how: str) -> None:
    area = open_area('data-maxfiles="4"') if how == "attribute" else open_area(options={"maxFiles": 4})

    area.drop(*[(name(), "image/jpeg", jpeg()) for _ in range(5)])

    assert area.refused()["code"] == "maxFilesReached"
    area.uploaded(4)
    # One that goes makes room.
    page.get_by_role("button", name="Remove").first.click()
    area.drop((name(), "image/jpeg", jpeg()))
    area.uploaded(4)


# --- Ways in.


def test_pictures_are_pasted(open_area: Open) -> None:
    area = open_area()

    area.paste(("image.png", "image/png", png()))

    area.uploaded()


def test_what_is_pasted_into_a_field_is_not_ours(open_area: Open, page: Page) -> None:
    area = open_area(body="{}<label>Text <input></label>")
    page.evaluate(
        PASTE.replace("document.body", "document.querySelector('label input')"),
        [["image.png", "image/png", base64.b64encode(png()).decode()]],
    )

    expect(area.lines).to_have_count(0)


def test_the_camera_is_a_button(open_area: Open, page: Page) -> None:
    area = open_area(options={"camera": True})
    camera = page.locator(".dz-camera-input")

    assert camera.evaluate("(input) => [input.accept, input.getAttribute('capture')]") == ["image/*", "environment"]
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take a photo").click()
    chooser.value.set_files({"name": name(), "mimeType": "image/jpeg", "buffer": jpeg()})
    area.uploaded()


def test_the_choice_offers_what_is_taken(open_area: Open, page: Page) -> None:
    open_area('data-acceptedfiles="image/jpeg" data-capture="user" data-maxfiles="1"')

    chosen = page.locator(".dz-hidden-input")
    assert chosen.evaluate("(input) => [input.accept, input.getAttribute('capture'), input.multiple]") == [
        "image/jpeg",
        "user",
        False,
    ]


# --- Ways to make one.


@pytest.mark.parametrize(
    "given",
    ["'#area'", "document.querySelector('#area')", "{0: document.querySelector('#area'), length: 1, jquery: '4'}"],
)
def test_elements_selectors_and_jquery_objects_are_taken(open_area: Open, page: Page, given: str) -> None:
    area = open_area(options={})
    page.evaluate("window.widget.destroy()")

    page.evaluate(f"window.widget = new ThumbstackUpload({given}, {{signingUrl: '/'}})")

    assert page.evaluate("ThumbstackUpload.of(document.querySelector('#area')) === window.widget")
    expect(area.element).to_have_class("dropzone dz-clickable")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("'#nothing'", "there is no such element"),
        ("null", "there is no such element"),
        ("'#area'", "is one already"),
        ("'h1', {acceptedFiles: ['image/png']}", "acceptedFiles must be a text"),
        ("'h1', {signingUrl: 'https://'}", "the signing URL https:// is no address"),
    ],
)
def test_what_cannot_be_made_says_why(open_area: Open, page: Page, arguments: str, why: str) -> None:
    open_area()

    said = page.evaluate(
        f"(() => {{ try {{ new ThumbstackUpload({arguments}) }} catch (error) {{ return error.message }} }})()"
    )

    assert why in said


def test_elements_that_come_later_are_widgets_too(open_area: Open, page: Page, stack: Stack) -> None:
    area = open_area()
    page.evaluate(
        """(key) => {
            const later = document.createElement("div");
            later.innerHTML = `<div id="later" data-apikey="${key}" data-signingurl></div>`;
            document.querySelector("main").append(later);
        }""",
        SHOP["public_key"],
    )
    expect(page.locator("#later")).to_have_class("dropzone dz-clickable")

    # Without an address it is that of the script.
    page.locator("#later").evaluate(DROP, [[name(), "image/jpeg", base64.b64encode(jpeg()).decode()]])
    area.uploaded()


def test_a_wrong_element_does_not_stop_the_others(open_area: Open, page: Page) -> None:
    area = open_area(body='<div data-apikey data-signingurl="https://"></div>{}')
    expect(area.element).to_have_class("dropzone dz-clickable")

    page.evaluate("document.querySelector('main').append('more')")

    # Said, and once.
    assert [text for text in area.complaints if "is no address" in text] == area.complaints
    assert len(area.complaints) == 1
    area.complaints.clear()


def test_it_can_go_again(open_area: Open, page: Page) -> None:
    area = open_area(options={})
    area.drop((name(), "image/jpeg", jpeg()))
    area.uploaded()

    page.evaluate("window.widget.destroy()")

    assert area.element.evaluate("(area) => area.outerHTML") == '<div id="area" class=""></div>'
    assert page.evaluate("ThumbstackUpload.of(document.querySelector('#area'))") is None


def test_no_list_of_files_but_their_problems(open_area: Open, page: Page) -> None:
    area = open_area(options={"previewsContainer": False})

    area.drop(("notes.txt", "text/plain", b"notes"))

    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_text("notes.txt: This is no picture of a known type.")
    area.drop((name(), "image/jpeg", jpeg()))
    expect(page.get_by_role("status")).to_have_text("1 of 2 uploaded.")


# --- For everybody.


def test_the_keyboard_is_enough(open_area: Open, page: Page) -> None:
    # Playwright has to know of it earlier than a key is pressed.
    page.on("filechooser", lambda chooser: None)
    area = open_area()

    page.keyboard.press("Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    files: list[FilePayload] = [{"name": f"{n}.jpg", "mimeType": "image/jpeg", "buffer": jpeg()} for n in (1, 2)]
    chooser.value.set_files(files)
    area.uploaded(2)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Remove 1.jpg")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove 2.jpg")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Drop pictures here")).to_be_focused()


def test_the_keyboard_keeps_its_place(open_area: Open, page: Page) -> None:
    area = open_area(options={"retries": 0})
    page.route("**/generate_policy", once(refusing(503, "unavailable"), times=2))
    area.drop(("1.jpg", "image/jpeg", jpeg()), ("2.jpg", "image/jpeg", jpeg()))
    again = page.get_by_role("button", name="Try again")
    expect(again).to_have_count(2)

    again.first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="1.jpg")).to_be_focused()

    # A page may hide what is done.
    area.uploaded()
    area.lines.first.evaluate("(line) => { line.style.display = 'none'; }")
    page.get_by_role("button", name="Remove 2.jpg").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Drop pictures here")).to_be_focused()


def test_a_name_of_the_pages_own_is_kept(open_area: Open) -> None:
    area = open_area('aria-labelledby="title"', options={}, body='<h2 id="title">Photos</h2>{}')

    assert area.element.get_attribute("role") == "group"
    assert area.element.get_attribute("aria-label") is None


def test_a_screen_reader_hears_what_happens(open_area: Open, page: Page) -> None:
    area = open_area()
    held: list[Route] = []
    page.route("**/complete", lambda route: held.append(route))
    file = name()
    area.drop((file, "image/jpeg", jpeg()))

    expect(page.get_by_role("group", name="Upload pictures")).to_be_visible()
    expect(page.get_by_role("progressbar", name=f"Upload of {file}")).to_be_visible()
    while not held:
        page.wait_for_timeout(50)
    held[0].continue_()
    expect(page.get_by_role("status")).to_have_text("1 of 1 uploaded.")
    expect(page.get_by_role("progressbar")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_serious(open_area: Open, page: Page, packages: Path, scheme: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    area = open_area(options={"camera": True})
    page.route(
        "**/direct",
        lambda route: (
            route.continue_() if "held" not in (route.request.post_data_buffer or b"").decode("latin-1") else None
        ),
    )
    area.drop(
        (name(), "image/jpeg", jpeg()),
        ("a-photograph-with-a-rather-long-name-as-cameras-and-people-like-them.jpg", "image/jpeg", jpeg()),
        ("notes.txt", "text/plain", b"notes"),
        (name(), "image/jpeg", b"A letter, renamed."),
        ("held.jpg", "image/jpeg", jpeg()),
    )
    area.uploaded(2)
    expect(page.locator(".dz-error-message:not(:empty)")).to_have_count(2)
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/widget-{width}-{scheme}.png")

    assert [text for text in area.complaints if "Failed to load resource" not in text] == []

    found = page.evaluate(f"{(packages / 'axe-core' / 'axe.min.js').read_text()}; axe.run()")

    assert [
        (fault["id"], fault["nodes"]) for fault in found["violations"] if fault["impact"] in ("serious", "critical")
    ] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # axe's own, about styles that it tries out.
    area.complaints.clear()


def test_many_are_dropped_at_once(open_area: Open, page: Page) -> None:
    area = open_area()

    area.drop(*[(f"many-{number}.jpg", "image/jpeg", jpeg(280)) for number in range(12)])

    area.uploaded(12)
    assert [area.count(path) for path in ("/generate_policy", "/direct", "/complete", "/")] == [12, 12, 12, 0]
    expect(page.get_by_role("status")).to_have_text("12 of 12 uploaded.")
    expect(page.locator(".dz-thumbnail")).to_have_count(12)

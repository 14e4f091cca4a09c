"""The upload widget in a real browser, on a page of another origin with a strict Content-Security-Policy."""

import base64
import io
import itertools
import json
import os
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from playwright.sync_api import FilePayload, Page, Request, Route, expect

from tests.client.conftest import Site
from tests.stack.stacks import SHOP, Stack

pytestmark = pytest.mark.stack

CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
_numbers = itertools.count()

# Drops, pastes or adds files, given as [name, type, base64].
_FILES = """(files) => files.map(([name, type, base64]) =>
    new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], name, {type}))"""
_DROP = f"""(area, given) => {{
    const carried = new DataTransfer();
    for (const file of ({_FILES})(given)) carried.items.add(file);
    area.dispatchEvent(new DragEvent("drop", {{dataTransfer: carried, bubbles: true, cancelable: true}}));
}}"""
_PASTE = f"""(given) => {{
    const clipboardData = new DataTransfer();
    for (const file of ({_FILES})(given)) clipboardData.items.add(file);
    document.body.dispatchEvent(new ClipboardEvent("paste", {{clipboardData, bubbles: true, cancelable: true}}));
}}"""
_LISTEN = """() => {
    window.told = [];
    for (const name of ["add", "progress", "upload", "error", "remove", "done"]) {
        addEventListener(`thumbstack:${name}`, ({detail}) =>
            window.told.push([name, {...detail, file: detail.file?.name}]));
    }
}"""

File = tuple[str, str, bytes]


def jpeg(width: int = 60, seed: int | None = None) -> bytes:
    """A small photograph that no other test has: noise, so that its bytes are many."""
    chance = random.Random(next(_numbers) if seed is None else seed)
    out = io.BytesIO()
    Image.frombytes("RGB", (width, width), chance.randbytes(3 * width * width)).save(out, "JPEG", quality=95)
    return out.getvalue()


def name() -> str:
    """A file name that no other test has."""
    return f"widget-{next(_numbers)}.jpg"


class Area:
    """The widget on its page, what the page asked of the service, and what the browser complained about."""

    def __init__(self, page: Page, stack: Stack) -> None:
        self.page, self.stack = page, stack
        self.asked: list[Request] = []
        self.complaints: list[str] = []
        page.on("request", self._note)
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, request: Request) -> None:
        if request.method == "POST":
            self.asked.append(request)

    @property
    def element(self) -> Any:
        return self.page.locator("#area")

    @property
    def lines(self) -> Any:
        return self.page.locator(".dz-preview")

    def count(self, path: str) -> int:
        """How often the page posted to a route."""
        return sum(request.url == f"{self.stack.url}{path}" for request in self.asked)

    def drop(self, *files: File) -> None:
        self.element.evaluate(_DROP, [[name, kind, base64.b64encode(body).decode()] for name, kind, body in files])

    def paste(self, *files: File) -> None:
        self.page.evaluate(_PASTE, [[name, kind, base64.b64encode(body).decode()] for name, kind, body in files])

    def uploaded(self, count: int = 1) -> None:
        """Wait until so many are."""
        expect(self.page.locator(".dz-success")).to_have_count(count)

    def told(self, event: str) -> list[dict[str, Any]]:
        """What the events of a name had with them."""
        return [detail for name, detail in self.page.evaluate("window.told") if name == event]

    def refused(self) -> dict[str, Any]:
        """Wait for the one refusal; the page shows its sentence, and says it aloud."""
        message = self.page.locator(".dz-error-message:not(:empty)")
        expect(message).to_have_count(1)
        (error,) = self.told("error")
        expect(message).to_have_text(error["error"]["message"])
        expect(self.page.get_by_role("alert")).to_have_text(f"{error['file']}: {error['error']['message']}")
        refusal: dict[str, Any] = error["error"]
        return refusal


Open = Callable[..., Area]


@pytest.fixture
def open_area(page: Page, stack: Stack, site: Site) -> Iterator[Open]:
    """Open a page with the widget: by its data attributes, or by `options` for its constructor."""
    areas = []

    def opened(
        attributes: str | None = None,
        options: Mapping[str, object] | None = None,
        callback: bool = False,
        lang: str = "en",
        body: str = "{}",
    ) -> Area:
        area = Area(page, stack)
        areas.append(area)
        service = f'data-apikey="{SHOP["public_key"]}" data-signingurl="{stack.url}/generate_policy"'
        div = f'<div id="area" {service if options is None else ""} {attributes or ""}></div>'
        site.write(
            "page.css",
            ":root {color-scheme: light dark; background: Canvas; color: CanvasText; font-family: sans-serif}",
        )
        page.goto(
            site.write(
                "widget.html",
                f"""<!doctype html><html lang="{lang}"><meta charset="utf-8"><title>A page</title>
                <meta name="viewport" content="width=device-width, initial-scale=1">
                <link rel="stylesheet" href="{stack.url}/client/thumbstack-upload.css">
                <link rel="stylesheet" href="page.css">
                <main><h1>A page</h1>{body.format(div)}</main>
                <script src="{stack.url}/client/thumbstack-upload.js"></script>""",
                csp=f"default-src 'none'; script-src {stack.url}; style-src 'self' {stack.url}; "
                f"connect-src {stack.url} {stack.s3_endpoint}; "
                "form-action 'self'; base-uri 'none'",
            )
        )
        page.evaluate(_LISTEN)
        if options is not None:
            page.evaluate(
                """([options, callback]) => {
                    window.results = [];
                    const told = callback ? (upload) => window.results.push(upload) : undefined;
                    window.widget = new ThumbstackUpload(document.querySelector("#area"), options, told);
                }""",
                [{"apiKey": SHOP["public_key"], "signingUrl": f"{stack.url}/generate_policy", **options}, callback],
            )
        return area

    yield opened
    for area in areas:
        # Whatever a test does: no key is in an address, and the browser complains only of failures made on purpose.
        assert not any(SHOP["public_key"] in request.url for request in area.asked)
        assert [text for text in area.complaints if "Failed to load resource" not in text] == []


def _once(answer: Callable[[Route], None]) -> Callable[[Route], None]:
    """Let the first request of a kind meet `answer`, and the others pass."""
    met: list[Route] = []

    def handle(route: Route) -> None:
        if route.request.method == "OPTIONS" or met:
            route.continue_()
            return
        met.append(route)
        answer(route)

    return handle


def _json(status: int, code: str, **headers: str) -> Callable[[Route], None]:
    body = json.dumps({"error": f"Said in English: {code}.", "code": code})
    return lambda route: route.fulfill(
        status=status, body=body, headers={**CORS, "Content-Type": "application/json", **headers}
    )


def _xml(status: int, code: str, message: str) -> Callable[[Route], None]:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return lambda route: route.fulfill(status=status, body=body, headers={**CORS, "Content-Type": "application/xml"})


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


@pytest.mark.parametrize("down", ["refused", "bad_gateway"])
def test_a_signer_that_is_down_is_seen_on_the_page(open_area: Open, page: Page, down: str) -> None:
    area = open_area(options={"retries": 2, "retryDelay": 20})
    page.route(
        "**/generate_policy",
        (lambda route: route.abort("connectionrefused")) if down == "refused" else _json(502, "bad_gateway"),
    )

    area.drop((name(), "image/jpeg", jpeg()))

    refusal = area.refused()
    assert refusal["code"] == ("unreachable" if down == "refused" else "bad_gateway")
    assert [area.count(path) for path in ("/generate_policy", "/direct", "/")] == [3, 0, 0]
    # And is up again.
    page.unroute("**/generate_policy")
    page.get_by_role("button", name="Try again").click()
    area.uploaded()
    expect(page.locator(".dz-error-message:not(:empty)")).to_have_count(0)


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


# --- Limits that are looked at before anything is sent.


@pytest.mark.parametrize(
    ("file", "options", "code"),
    [
        (("a.jpg", "image/jpeg", b""), {}, "empty_file"),
        (("a.jpg", "image/jpeg", b"x" * 20_000), {"maxFilesize": 0.01}, "too_large"),
        (("a.png", "image/png", b"x"), {"acceptedFiles": "image/jpeg,.gif"}, "type_not_allowed"),
        (("a.exe", "application/x-msdownload", b"MZ"), {}, "unsupported_type"),
        (("a.bmp", "image/bmp", b"BM"), {}, "unsupported_type"),
    ],
)
def test_a_limit_has_the_code_that_the_service_would_answer(
    open_area: Open, file: File, options: dict[str, object], code: str
) -> None:
    area = open_area(options=options)

    area.drop(file)

    assert area.refused()["code"] == code
    assert area.asked == []


def test_the_service_has_the_same_codes(stack: Stack) -> None:
    address = f"{stack.url}/generate_policy"

    def code(**fields: object) -> str:
        answer = requests.post(address, {"api_key": SHOP["public_key"], **fields}, timeout=30)
        return str(answer.json()["code"])

    assert code(filename="a.jpg", size=33 * 1024 * 1024) == "too_large"
    assert code(filename="a.bmp", content_type="image/bmp") == "unsupported_type"
    answer = requests.post(f"{stack.url}/", {"api_key": SHOP["public_key"]}, files={"file": ("a.jpg", b"")}, timeout=30)
    assert answer.json()["code"] == "empty_file"


def test_a_picture_whose_type_the_system_does_not_know_is_taken(open_area: Open) -> None:
    area = open_area(options={"acceptedFiles": "image/*"})

    area.drop((name(), "", jpeg()))

    area.uploaded()


# --- Failures.


def test_what_is_no_picture_inside_is_refused_by_inspection(open_area: Open, stack: Stack) -> None:
    area = open_area()
    file = name()

    area.drop((file, "image/jpeg", b"A letter, renamed."))

    refusal = area.refused()
    assert (refusal["code"], refusal["status"]) == ("unsupported_type", 415)
    assert refusal["message"] == "This is no picture of a known type."
    assert stack.originals(f"o/shop/{file.removesuffix('.jpg')}/") == []
    expect(area.page.get_by_role("button", name="Try again")).to_have_count(0)


def test_a_wrong_key_is_said(open_area: Open) -> None:
    area = open_area(options={"apiKey": "wrong"})

    area.drop((name(), "image/jpeg", jpeg()))

    assert area.refused()["code"] == "forbidden"
    assert len(area.asked) == 1


def test_a_ticket_that_s3_refuses_is_renewed(open_area: Open, page: Page) -> None:
    area = open_area()

    def tampered(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        told["data"]["x_amz_signature"] = "0" * 64
        route.fulfill(response=answer, json=told)

    page.route("**/generate_policy", _once(tampered))

    area.drop((name(), "image/jpeg", jpeg()))

    area.uploaded()
    assert [area.count(path) for path in ("/generate_policy", "/direct")] == [2, 2]


def test_what_s3_refuses_for_good_is_said(open_area: Open, page: Page) -> None:
    area = open_area()

    def tampered(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        told["data"]["x_amz_signature"] = "0" * 64
        route.fulfill(response=answer, json=told)

    page.route("**/generate_policy", tampered)

    area.drop((name(), "image/jpeg", jpeg()))

    refusal = area.refused()
    assert (refusal["code"], refusal["status"]) == ("ticket_refused", 403)
    assert refusal["message"] == "The storage did not accept the file: try again."
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


@pytest.mark.parametrize(
    ("message", "code"),
    [("Invalid according to Policy: Policy expired.", "expired"), ("Access Denied.", "ticket_refused")],
)
def test_s3_itself_is_understood(open_area: Open, page: Page, message: str, code: str) -> None:
    area = open_area()
    page.route("**/direct", _xml(403, "AccessDenied", message))

    area.drop((name(), "image/jpeg", jpeg()))

    assert area.refused()["code"] == code
    assert area.count("/direct") == 2


def test_a_storage_of_another_origin_takes_the_file_itself(open_area: Open, page: Page, stack: Stack) -> None:
    """As with UPLOAD_URL: no nginx of ours between, S3's own CORS and XML."""
    area = open_area()

    def elsewhere(route: Route) -> None:
        answer = route.fetch()
        told = answer.json() | {"url": f"{stack.s3_endpoint}/{stack.pictures_bucket}"}
        if "tampered.jpg" in (route.request.post_data or ""):
            told["data"]["policy"] = "e30="
        route.fulfill(response=answer, json=told)

    page.route("**/generate_policy", elsewhere)
    area.drop((name(), "image/jpeg", jpeg()))
    area.uploaded()
    assert [area.count(path) for path in ("/direct", "/complete", "/")] == [0, 1, 0]

    area.drop(("tampered.jpg", "image/jpeg", jpeg()))

    refusal = area.refused()
    assert (refusal["code"], refusal["status"]) == ("ticket_refused", 403)


def test_a_ticket_of_a_page_left_open_is_renewed(open_area: Open, page: Page) -> None:
    page.clock.install()
    area = open_area(options={"retryDelay": 5000})
    page.route("**/direct", _once(_json(503, "storage_unavailable")))
    area.drop((name(), "image/jpeg", jpeg()))
    expect(page.get_by_text("Trying again in")).to_be_visible()

    # The laptop was closed meanwhile.
    page.clock.fast_forward("02:00:00")

    area.uploaded()
    assert [area.count(path) for path in ("/generate_policy", "/direct")] == [2, 2]


def test_who_asks_to_wait_is_waited_for(open_area: Open, page: Page) -> None:
    area = open_area(options={"retryDelay": 1})
    page.route("**/direct", _once(_json(503, "storage_unavailable", **{"Retry-After": "2"})))

    area.drop((name(), "image/jpeg", jpeg()))

    expect(page.locator(".dz-state")).to_have_text(
        "The server is busy or being repaired: try again in a while. Trying again in 2 s."
    )
    area.uploaded()
    assert [area.count(path) for path in ("/generate_policy", "/direct", "/")] == [1, 2, 0]


@pytest.mark.parametrize("route", ["generate_policy", "complete"])
@pytest.mark.parametrize("status", [500, 503, 429, 0])
def test_trouble_that_passes_is_met_again(open_area: Open, page: Page, route: str, status: int) -> None:
    area = open_area(options={"retryDelay": 20})
    trouble = _json(status, "unavailable") if status else lambda route: route.abort("connectionreset")
    page.route(f"**/{route}", _once(trouble))

    area.drop((name(), "image/jpeg", jpeg()))

    area.uploaded()
    assert area.count(f"/{route}") == 2


def test_pauses_grow_and_keep_to_what_the_service_says(open_area: Open, page: Page, stack: Stack) -> None:
    open_area()
    pauses = page.evaluate(
        """(module) => import(module).then(({backoff}) => ({
            middle: [0, 1, 2, 3].map((tried) => backoff(tried, 1000, 0, 0.5)),
            least: backoff(0, 1000, 0, 0), most: backoff(0, 1000, 0, 1),
            asked: backoff(0, 1000, 7), longest: backoff(20, 1000), asked_long: backoff(0, 1000, 86400),
        }))""",
        f"{stack.url}/client/thumbstack-upload.mjs",
    )

    assert pauses == {
        "middle": [1000, 2000, 4000, 8000],
        "least": 750,
        "most": 1250,
        "asked": 7000,
        "longest": 60_000,
        "asked_long": 60_000,
    }


def test_without_a_way_to_s3_pictures_go_through_the_service(open_area: Open, page: Page) -> None:
    area = open_area(options={"retryDelay": 20, "parallelUploads": 1})
    page.route("**/direct", lambda route: route.abort("connectionrefused"))
    pictures = [jpeg(), jpeg()]

    area.drop(*[(name(), "image/jpeg", picture) for picture in pictures])

    area.uploaded(2)
    stored = [requests.get(told["upload"]["publicUrl"], timeout=30).content for told in area.told("upload")]
    assert stored == pictures
    # Tried twice with the first, and remembered for the second.
    assert [area.count(path) for path in ("/generate_policy", "/direct", "/")] == [1, 2, 2]


def test_what_is_refused_on_the_other_way_is_said_too(open_area: Open, page: Page) -> None:
    area = open_area(options={"retryDelay": 20})
    page.route("**/direct", lambda route: route.abort("connectionrefused"))

    area.drop((name(), "image/jpeg", b"A letter, renamed."))

    assert area.refused()["code"] == "unsupported_type"


def test_a_lost_answer_is_no_second_upload(open_area: Open, page: Page, stack: Stack) -> None:
    area = open_area(options={"retryDelay": 20})

    def lost(route: Route) -> None:
        if route.request.method == "POST":
            route.fetch()
        route.abort("connectionreset")

    page.route("**/direct", lost)
    file = name()

    area.drop((file, "image/jpeg", jpeg()))

    area.uploaded()
    assert area.count("/") == 0
    assert len(stack.originals(f"o/shop/{file.removesuffix('.jpg')}/")) == 1


# --- Ways in.


def test_pictures_are_pasted(open_area: Open) -> None:
    area = open_area()

    area.paste(("image.png", "image/png", _png()))

    area.uploaded()


def test_what_is_pasted_into_a_field_is_not_ours(open_area: Open, page: Page) -> None:
    area = open_area(body="{}<label>Text <input></label>")
    page.evaluate(
        _PASTE.replace("document.body", "document.querySelector('label input')"),
        [["image.png", "image/png", base64.b64encode(_png()).decode()]],
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
    page.locator("#later").evaluate(_DROP, [[name(), "image/jpeg", base64.b64encode(jpeg()).decode()]])
    area.uploaded()


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


def _png() -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", (20, 20), random.Random(next(_numbers)).randbytes(1200)).save(out, "PNG")
    return out.getvalue()

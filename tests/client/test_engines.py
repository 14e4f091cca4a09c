"""The widget, the page and the elements in Firefox and in WebKit: briefly what Chromium's tests tell at length.

WebDriver puts no failures into a browser's network: a small server stands between page and service, and fails instead.
"""

import base64
import io
import itertools
import select
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from tests.client.area import DROP, LISTEN, File, jpeg
from tests.client.conftest import Site
from tests.client.engines import Engine, Firefox, WebKit
from tests.stack.stacks import PATIENCE_SECONDS, SHOP, Picture, Stack

pytestmark = pytest.mark.stack

_numbers = itertools.count()
CONTROL, ESCAPE, RIGHT = "\ue009", "\ue00c", "\ue014"
# Faults that a page cannot answer for itself; neither engine's console can be read.
_FAULTS = """() => {
    window.faults = [];
    for (const kind of ["error", "unhandledrejection", "securitypolicyviolation"])
        addEventListener(kind, (it) => window.faults.push(`${kind}: ${it.message ?? it.reason ?? it.blockedURI}`));
}"""
_WIDE = "() => document.documentElement.scrollWidth <= innerWidth"


@pytest.fixture(scope="module", params=[Firefox, WebKit], ids=["firefox", "webkit"])
def kind(request: pytest.FixtureRequest) -> tuple[type[Firefox | WebKit], str]:
    """An engine and the program that is started."""
    return request.param, request.getfixturevalue(request.param.__name__.lower())


@pytest.fixture(scope="module")
def running_engine(
    kind: tuple[type[Firefox | WebKit], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    started, program = kind
    with started.started(program, tmp_path_factory.mktemp("engine"), dark=False) as engine:
        yield engine


@pytest.fixture
def engine(running_engine: Engine) -> Iterator[Engine]:
    """A browser, on whose pages nothing may go wrong that nobody is told of."""
    yield running_engine
    assert running_engine.run("() => window.faults ?? []") == []


class Between:
    """Stands before the service; a path can be away, be busy once, or keep its callers waiting until they hang up."""

    def __init__(self, stack: Stack) -> None:
        self.service = stack.url
        self.away: set[str] = set()
        self.busy: set[str] = set()
        self.held: set[str] = set()
        self.asked: list[str] = []
        self.gone: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Between,), {"between": self}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Between(BaseHTTPRequestHandler):
    between: Between

    def do_POST(self) -> None:
        between, path = self.between, self.path
        body = self.rfile.read(int(self.headers["Content-Length"]))
        between.asked.append(path)
        if path in between.away:
            # No answer, no CORS header: a reset connection, as of a server that is not there.
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if path in between.held:
            if select.select([self.connection], [], [], PATIENCE_SECONDS)[0] and not self.connection.recv(1):
                between.gone.append(path)
            self.close_connection = True
            return
        self._forward(body)

    def do_GET(self) -> None:
        if self.path in self.between.busy:
            self.between.busy.remove(self.path)
            self.send_error(503)
        else:
            self._forward(b"")

    do_OPTIONS = do_GET  # noqa: N815

    def _forward(self, body: bytes) -> None:
        answer = requests.request(
            self.command,
            self.between.service + self.path,
            data=body,
            headers=dict(self.headers),
            timeout=PATIENCE_SECONDS,
        )
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name not in ("Connection", "Transfer-Encoding", "Content-Encoding", "Content-Length", "Date", "Server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def between(stack: Stack) -> Iterator[Between]:
    between = Between(stack)
    yield between
    between.close()


class Widget:
    """The widget on a page of another origin, whose policy is strict."""

    def __init__(self, engine: Engine, stack: Stack, site: Site, between: Between, lang: str = "en") -> None:
        self.engine = engine
        style = ":root {color-scheme: light dark; background: Canvas; color: CanvasText; font-family: sans-serif}"
        site.write("engine.css", style)
        self.url = site.write(
            "engine.html",
            f"""<!doctype html><html lang="{lang}"><meta charset="utf-8"><title>A page</title>
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <link rel="stylesheet" href="{stack.url}/client/thumbstack-upload.css">
            <link rel="stylesheet" href="engine.css">
            <main><h1>A page</h1><form><div id="area"></div></form></main>
            <script src="{stack.url}/client/thumbstack-upload.js"></script>""",
            csp=f"default-src 'none'; script-src {stack.url}; style-src 'self' {stack.url}; connect-src {between.url}",
        )
        engine.open(self.url)
        self.begin(between)

    def begin(self, between: Between) -> None:
        self.engine.run(_FAULTS)
        self.engine.run(LISTEN)
        self.engine.run(
            "(options) => { window.widget = new ThumbstackUpload('#area', options); }",
            {
                "apiKey": SHOP["public_key"],
                "signingUrl": f"{between.url}/generate_policy",
                "retries": 1,
                "retryDelay": 20,
            },
        )

    def drop(self, *files: File) -> None:
        given = [[name, kind, base64.b64encode(body).decode()] for name, kind, body in files]
        self.engine.run(f"(files) => ({DROP})(document.querySelector('#area'), files)", given)

    def uploaded(self, number: int) -> list[dict[str, Any]]:
        """Wait until so many are; what the page was told of them."""
        self.engine.count(".dz-success", number)
        told: list[dict[str, Any]] = self.engine.run(
            "() => told.filter(([it]) => it === 'upload').map(([, it]) => it.upload)"
        )
        return told

    def refused(self) -> str:
        """Wait for the one refusal, which is said aloud, too; its code."""
        name, error = self.engine.until(
            "() => told.filter(([it]) => it === 'error').map(([, it]) => [it.file, it.error])[0]"
        )
        self.engine.text(".dz-error-message", error["message"])
        self.engine.text("[role=alert]", f"{name}: {error['message']}")
        code: str = error["code"]
        return code


@pytest.fixture
def area(engine: Engine, stack: Stack, site: Site, between: Between) -> Widget:
    return Widget(engine, stack, site, between)


@pytest.fixture
def photo(stack: Stack, coffee: bytes) -> Picture:
    """A photograph that is in the service under a name of its own."""
    return stack.upload(coffee, f"engine-{next(_numbers)}.jpg")


def stored(upload: dict[str, Any]) -> bytes:
    return requests.get(upload["publicUrl"], timeout=30).content


def test_a_chosen_picture_is_uploaded_with_progress(area: Widget, between: Between, tmp_path: Path) -> None:
    picture = jpeg(900)
    (tmp_path / "tiger.jpg").write_bytes(picture)

    area.engine.type(area.engine.find(".dz-hidden-input"), str(tmp_path / "tiger.jpg"))

    (upload,) = area.uploaded(1)
    assert stored(upload) == picture
    assert between.asked == ["/generate_policy", "/direct", "/complete"]
    progress = area.engine.run("() => told.filter(([it]) => it === 'progress').map(([, it]) => it.progress)")
    assert progress == sorted(progress)
    assert progress[-1] == 100
    area.engine.text("[role=status]", "1 of 1 uploaded.")
    fields = area.engine.run("() => Object.fromEntries(new FormData(document.forms[0]))")
    assert fields["renuoupload[tiger][publicUrl]"] == upload["publicUrl"]


def test_dropped_pictures_of_one_name_are_two(area: Widget) -> None:
    pictures = [jpeg(300), jpeg(300)]

    area.drop(*[("tiger.jpg", "image/jpeg", picture) for picture in pictures])

    assert sorted(stored(upload) for upload in area.uploaded(2)) == sorted(pictures)
    # Each of them is seen, on a canvas.
    area.engine.count(".dz-thumbnail", 2)
    area.engine.screenshot("uploaded")


def test_another_type_is_not_sent(area: Widget, between: Between) -> None:
    area.drop(("notes.txt", "text/plain", b"notes"))

    assert area.refused() == "unsupported_type"
    assert between.asked == []


def test_a_large_file_is_not_sent(area: Widget, between: Between, tmp_path: Path) -> None:
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(33 * 1024 * 1024)

    area.engine.type(area.engine.find(".dz-hidden-input"), file.name)

    assert area.refused() == "too_large"
    # The service says what it takes: the ticket is refused, and nothing is sent.
    assert between.asked == ["/generate_policy"]


def test_what_is_no_picture_inside_is_refused(area: Widget) -> None:
    area.drop(("letter.jpg", "image/jpeg", b"A letter, renamed."))

    assert area.refused() == "unsupported_type"


def test_a_signer_that_was_down_is_tried_again(area: Widget, between: Between) -> None:
    between.away.add("/generate_policy")
    area.drop(("tiger.jpg", "image/jpeg", jpeg()))
    assert area.refused() == "unreachable"
    area.engine.screenshot("refused")

    between.away.clear()
    area.engine.click(area.engine.find(".dz-retry"))

    area.uploaded(1)


def test_without_a_way_to_s3_it_goes_through_the_service(area: Widget, between: Between) -> None:
    between.away.add("/direct")
    picture = jpeg()

    area.drop(("tiger.jpg", "image/jpeg", picture))

    (upload,) = area.uploaded(1)
    assert stored(upload) == picture
    assert between.asked[-1] == "/"


def test_cancelling_ends_the_request(area: Widget, between: Between, stack: Stack) -> None:
    between.held.add("/direct")
    area.drop(("cancelled-in-an-engine.jpg", "image/jpeg", jpeg(300)))
    assert stack.eventually(lambda: "/direct" in between.asked)

    area.engine.click(area.engine.button("Cancel the upload of cancelled-in-an-engine.jpg"))

    area.engine.count(".dz-preview", 0)
    assert stack.eventually(lambda: between.gone == ["/direct"])
    assert between.asked == ["/generate_policy", "/direct"]


@pytest.mark.parametrize(
    ("lang", "label"),
    [
        ("de-CH", "Bilder hierher ziehen oder auswählen"),
        ("fr", "Déposez des images ici ou choisissez-les"),
        ("es", "Arrastra imágenes aquí o elígelas"),
    ],
)
def test_the_page_chooses_the_language(
    engine: Engine, stack: Stack, site: Site, between: Between, lang: str, label: str
) -> None:
    Widget(engine, stack, site, between, lang).engine.button(label)


def test_the_page_shows_changes_copies_and_deletes_a_picture(engine: Engine, stack: Stack, photo: Picture) -> None:
    engine.open(stack.url)
    engine.run(_FAULTS)
    card = engine.until("(key) => document.querySelector(`#gallery a[href='#${key}']`)", photo.key)
    engine.until("(card) => card.querySelector('img').naturalWidth === 600", card)
    engine.screenshot("page")

    engine.click(card)
    engine.text("#verdict", "MISS")
    engine.type(engine.find("#width"), "300")
    engine.text("#verdict", "300 × 200")
    engine.click(engine.button("Ask again"))
    engine.text("#verdict", "HIT")
    engine.until("() => document.querySelector('#presets img').naturalWidth > 0")
    engine.screenshot("picture")

    # What is on the clipboard is what a person pastes.
    engine.click(engine.button("Copy URL"))
    engine.text("#copies button", "Copied")
    url = engine.run("() => document.querySelector('#copies [aria-label=URL]').innerText")
    engine.run("(field) => { field.focus(); field.select(); }", engine.find("#options"))
    engine.press(CONTROL, "v")
    engine.until("(url) => document.querySelector('#options').value === url", url)
    engine.type(engine.find("#options"), "90x60")
    engine.text("#verdict", "90 × 60")
    answer = requests.get(engine.run("() => document.querySelector('#copies [aria-label=URL]').innerText"), timeout=30)
    assert Image.open(io.BytesIO(answer.content)).size == (90, 60)

    engine.click(engine.button("Delete …"))
    engine.click(engine.button("Yes, delete it"))
    engine.text("#viewer-gone", "Its address answers 410 now.")
    engine.press(ESCAPE)
    engine.until("(key) => !location.hash && !document.querySelector(`#gallery a[href='#${key}']`)", photo.key)
    assert requests.get(photo.url, timeout=30).status_code == 410


def test_a_thumbnail_of_a_busy_service_comes_later(engine: Engine, between: Between, photo: Picture) -> None:
    thumbnail = f"/t/card/u/{photo.key}"
    between.busy.add(thumbnail)

    engine.open(between.url)
    engine.run(_FAULTS)

    card = engine.until("(key) => document.querySelector(`#gallery a[href='#${key}'] img`)", photo.key)
    engine.until("(image) => image.naturalWidth === 600", card)
    assert between.busy == set()


def test_what_is_uploaded_on_the_page_arrives_on_it(
    engine: Engine, stack: Stack, coffee: bytes, tmp_path: Path
) -> None:
    (tmp_path / "on-the-page.jpg").write_bytes(coffee)
    engine.open(stack.url)
    engine.run(_FAULTS)

    engine.type(engine.find("#upload .dz-hidden-input"), str(tmp_path / "on-the-page.jpg"))

    engine.text("#gallery .name", "on-the-page.jpg")
    engine.until("() => !document.querySelector('#upload .dz-preview').checkVisibility()")


def test_the_elements_show_pictures(engine: Engine, stack: Stack, site: Site, photo: Picture) -> None:
    images = "".join(
        f'<thumbstack-img key="{photo.key}" preset="SI 200w, MI 400w" sizes="250px" alt="{alt}"></thumbstack-img>'
        for alt in ("One", "Two")
    )
    page = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Pictures</title>
        <script src="{stack.url}/client/thumbstack-image.js"></script>
        <thumbstack-img id="alone" key="{photo.key}" preset="MI" alt="Alone"></thumbstack-img>
        <thumbstack-gallery preview="original">{images}</thumbstack-gallery>"""
    engine.open(
        site.write("elements.html", page, csp=f"default-src 'none'; script-src {stack.url}; img-src {stack.url}")
    )
    engine.run(_FAULTS)

    engine.until("() => document.querySelector('#alone img').naturalWidth === 400")
    engine.until("() => document.querySelector('thumbstack-gallery img').currentSrc.includes('/t/MI/')")
    engine.screenshot("gallery")
    large = "() => document.querySelector('thumbstack-gallery').shadowRoot.querySelector('dialog[open] img')"
    engine.click(engine.until("() => document.querySelector('thumbstack-gallery').shadowRoot.querySelector('.thumb')"))
    engine.until(f"() => {{ const image = ({large})(); return image?.naturalWidth === 600 && image.alt === 'One'; }}")
    engine.press(RIGHT)
    engine.until(f"() => {{ const image = ({large})(); return image?.naturalWidth === 600 && image.alt === 'Two'; }}")
    engine.screenshot("opened")
    engine.press(ESCAPE)
    engine.until(f"() => !({large})()")


# Not in WebKit, whose window has not been made as small yet.
@pytest.mark.parametrize("kind", [Firefox], ids=["firefox"], indirect=True)
def test_a_small_dark_screen_needs_no_scroll_bar(
    kind: tuple[type[Firefox | WebKit], str],
    stack: Stack,
    site: Site,
    between: Between,
    photo: Picture,
    tmp_path: Path,
) -> None:
    started, program = kind
    with started.started(program, tmp_path, dark=True) as engine:
        area = Widget(engine, stack, site, between)
        # A window of its own may be smaller than the browser's.
        engine.run("() => { document.querySelector('h1').onclick = () => open('', '', 'popup,width=360,height=740'); }")
        engine.click(engine.find("h1"))
        engine.ask("SwitchToWindow", handle=engine.until_windows(2)[-1])
        engine.open(area.url)
        area.begin(between)
        area.drop(
            ("a-photograph-with-a-rather-long-name-as-cameras-and-people-like-them.jpg", "image/jpeg", jpeg(300)),
            ("notes.txt", "text/plain", b"notes"),
        )
        area.uploaded(1)
        assert area.refused() == "unsupported_type"
        assert engine.run("() => [innerWidth, matchMedia('(prefers-color-scheme: dark)').matches]") == [360, True]
        engine.screenshot("widget-360")
        assert engine.run(_WIDE)

        engine.open(f"{stack.url}/")
        engine.text("#gallery .name", photo.name)
        engine.screenshot("page-360")
        assert engine.run(_WIDE)
        engine.open(f"{stack.url}/#{photo.key}")
        engine.text("#verdict", "600 × 400")
        engine.screenshot("picture-360")
        assert engine.run("() => viewer.scrollWidth <= viewer.clientWidth")
        assert engine.run(_WIDE)

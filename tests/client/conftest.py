"""A real browser, the whole service as `make run` starts it, and pages of another origin, some with the widget."""

import subprocess
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.client.area import LISTEN, Area, Open
from tests.stack.stacks import PATIENCE_SECONDS, ROOT, SHOP, Embedded, Stack, running

CLIENT = ROOT / "client"
expect.set_options(timeout=PATIENCE_SECONDS * 1000)
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def packages(npm: str) -> Path:
    """node_modules as client/package-lock.json has it."""
    subprocess.run(["make", "client/node_modules/.package-lock.json"], cwd=ROOT, check=True)
    return CLIENT / "node_modules"


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page in a profile of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    yield context.new_page()
    context.close()


class Site:
    """A web site that is not ours: pages of another origin, of which each test writes its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._policies: dict[str, str] = {}
        handler = partial(_Handler, self._policies, directory=str(folder))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def write(self, name: str, text: str, csp: str = "") -> str:
        """Put a file on the site, with a Content-Security-Policy; its address."""
        (self._folder / name).write_text(text)
        self._policies[f"/{name}"] = csp
        return f"{self.url}/{name}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, policies: Mapping[str, str], *arguments: Any, **more: Any) -> None:
        self._policies = policies
        super().__init__(*arguments, **more)

    def end_headers(self) -> None:
        if policy := self._policies.get(self.path.partition("?")[0]):
            self.send_header("Content-Security-Policy", policy)
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The other origin, which the service's CORS_ORIGINS names."""
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture(scope="session")
def stack(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The running service."""
    with running(Embedded(tmp_path_factory.mktemp("client-stack"), CORS_ORIGINS=site.url)) as stack:
        yield stack


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
        page.evaluate(LISTEN)
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

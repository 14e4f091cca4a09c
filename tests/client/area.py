"""The upload widget on a page: what tests do with it, what it asks of the service, and answers to put in its way."""

import base64
import io
import itertools
import json
import random
from collections.abc import Callable
from typing import Any

from PIL import Image
from playwright.sync_api import Page, Request, Route, expect

from tests.stack.stacks import Stack

CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
_numbers = itertools.count()

# Drops, pastes or adds files, given as [name, type, base64].
_FILES = """(files) => files.map(([name, type, base64]) =>
    new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], name, {type}))"""
DROP = f"""(area, given) => {{
    const carried = new DataTransfer();
    for (const file of ({_FILES})(given)) carried.items.add(file);
    area.dispatchEvent(new DragEvent("drop", {{dataTransfer: carried, bubbles: true, cancelable: true}}));
}}"""
PASTE = f"""(given) => {{
    const clipboardData = new DataTransfer();
    for (const file of ({_FILES})(given)) clipboardData.items.add(file);
    document.body.dispatchEvent(new ClipboardEvent("paste", {{clipboardData, bubbles: true, cancelable: true}}));
}}"""
LISTEN = """() => {
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


def png() -> bytes:
    """As jpeg."""
    out = io.BytesIO()
    Image.frombytes("RGB", (20, 20), random.Random(next(_numbers)).randbytes(1200)).save(out, "PNG")
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
        self.element.evaluate(DROP, [[name, kind, base64.b64encode(body).decode()] for name, kind, body in files])

    def paste(self, *files: File) -> None:
        self.page.evaluate(PASTE, [[name, kind, base64.b64encode(body).decode()] for name, kind, body in files])

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


def once(answer: Callable[[Route], None], times: int = 1) -> Callable[[Route], None]:
    """Let the first request of a kind, or the first few, meet `answer`, and the others pass."""
    met: list[Route] = []

    def handle(route: Route) -> None:
        if route.request.method == "OPTIONS" or len(met) == times:
            route.continue_()
            return
        met.append(route)
        answer(route)

    return handle


def refusing(status: int, code: str, **headers: str) -> Callable[[Route], None]:
    """Answer as the service refuses."""
    body = json.dumps({"error": f"Said in English: {code}.", "code": code})
    return lambda route: route.fulfill(
        status=status, body=body, headers={**CORS, "Content-Type": "application/json", **headers}
    )


def refusing_as_s3(status: int, code: str, message: str) -> Callable[[Route], None]:
    """Answer as S3 itself refuses."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return lambda route: route.fulfill(status=status, body=body, headers={**CORS, "Content-Type": "application/xml"})

"""Do 50 photographs of 5 MB, dropped at once on the upload widget, all arrive, and does its page stay responsive?

In a real browser (Debian's Chromium) against the embedded stack. Ends with 1 where one of them is not uploaded.
"""

import os
import shutil
import sys
import time
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from playwright.sync_api import Browser, sync_playwright

from bench.memory import Memory, watched
from bench.photographs import photograph
from bench.rounds import Comparison, arguments, tell
from bench.stack import UNLIMITED, Stack, descendants, folder, running
from s3.serve import LOOPBACK

_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
# About 5 MB each.
_SIZE = (4200, 2800)
_PATIENCE_SECONDS = 600
_PAGE = """<!doctype html><title>Drop</title><link rel="stylesheet" href="{0}/client/thumbstack-upload.css">
<div id="area" data-apikey data-signingurl="{0}/generate_policy"></div><input type="file" multiple id="chosen">
<script src="{0}/client/thumbstack-upload.js"></script>"""
# How long the page cannot answer: between two turns of its event loop, and between two frames.
_WATCH = """() => {
    const longest = window.longest = {turn: 0, frame: 0};
    const channel = new MessageChannel();
    let turn = performance.now(), frame = 0;
    channel.port1.onmessage = () => {
        const now = performance.now();
        longest.turn = Math.max(longest.turn, now - turn);
        turn = now;
        setTimeout(() => channel.port2.postMessage(0), 1);
    };
    channel.port2.postMessage(0);
    requestAnimationFrame(function drawn(now) {
        if (frame) longest.frame = Math.max(longest.frame, now - frame);
        frame = now;
        requestAnimationFrame(drawn);
    });
}"""
# Files on disk, as a person's: what is in them is read when it is sent.
_DROP = """() => {
    const carried = new DataTransfer();
    for (const file of document.querySelector("#chosen").files) carried.items.add(file);
    const how = {dataTransfer: carried, bubbles: true, cancelable: true};
    document.querySelector("#area").dispatchEvent(new DragEvent("drop", how));
}"""


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """A bench has no log."""


def _dropped(browser: Browser, address: str, files: list[Path], memory: Memory) -> tuple[Mapping[str, float], bool]:
    """Drop them all; what it took."""
    page = browser.new_page()
    page.goto(address)
    page.set_input_files("#chosen", files)
    page.evaluate(_WATCH)
    page.wait_for_timeout(1000)
    idle, before = page.evaluate("({...window.longest})"), memory.seen[-1]
    page.evaluate("window.longest.turn = window.longest.frame = 0")
    began = time.monotonic()
    page.evaluate(_DROP)
    done = 0
    while time.monotonic() - began < _PATIENCE_SECONDS and done < len(files):
        page.wait_for_timeout(200)
        done = page.locator(".dz-complete").count()
    took = time.monotonic() - began
    longest, uploaded = page.evaluate("window.longest"), page.locator(".dz-success").count()
    heap = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
    page.close()
    figures = {
        "s": took,
        "MB/s": sum(file.stat().st_size for file in files) / 1e6 / took,
        "uploaded": uploaded,
        "longest turn ms": longest["turn"],
        "longest frame ms": longest["frame"],
        "idle: longest turn ms": idle["turn"],
        "MB of the browser before": before,
        "MB at most": max(memory.seen),
        "MB of the script's heap at last": heap,
    }
    return figures, uploaded == len(files)


def main() -> None:
    """Measure."""
    parser = arguments("browser", __doc__ or "", rounds=1)
    parser.add_argument("--files", type=int, default=50, help="how many (%(default)s)")
    parser.add_argument("--size", type=int, nargs=2, default=_SIZE, help="pixels of each; 4200 2800 are 5 MB")
    options = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("There is no chromium on this machine: on Debian, apt-get install chromium.")
    seen: list[Mapping[str, float]] = []
    good = True
    with folder() as place, sync_playwright() as playwright:
        site = ThreadingHTTPServer((LOOPBACK, 0), partial(_Handler, directory=str(place)))
        Thread(target=site.serve_forever, daemon=True).start()
        origin = f"http://{LOOPBACK}:{site.server_address[1]}"
        with running(place / "stack", {**UNLIMITED, "CORS_ORIGINS": origin}) as stack:
            (place / "drop.html").write_text(_PAGE.format(f"http://{LOOPBACK}:{stack.port}"))
            for number in range(options.rounds):
                files = _photographs(place, options.files, tuple(options.size), number)
                browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
                with watched(partial(_browsers, stack)) as memory:
                    figures, kept = _dropped(browser, f"{origin}/drop.html", files, memory)
                browser.close()
                seen.append(figures)
                good = good and kept
        site.shutdown()
    comparison = Comparison(f"{options.files} photographs dropped at once", {"widget": seen})
    print("\n".join(comparison.lines()), flush=True)
    tell("browser", [comparison], good=good)
    sys.exit(not good)


def _photographs(place: Path, count: int, size: tuple[int, int], number: int) -> list[Path]:
    """Different ones, also from those of other rounds: one made, and a comment in each copy."""
    body = photograph(0, *size, grain=18)
    files = []
    for each in range(count):
        comment = f"{number}-{each}".encode()
        file = place / f"photograph-{number}-{each}.jpg"
        file.write_bytes(body[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + body[2:])
        files.append(file)
    return files


def _browsers(stack: Stack) -> list[int]:
    """The processes of the browser, which are below this one, as the stack is."""
    stacks = {pid for pids in stack.processes().values() for pid in pids}
    found = []
    for pid in descendants(os.getpid()):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"chrom" in command and pid not in stacks:
            found.append(pid)
    return found


if __name__ == "__main__":
    main()

"""A list of addresses, of which some lead nowhere, too far, or into this network."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.curator.collection import picture
from tests.curator.conftest import PICTURES, Curator, Storage, sums
from thumbstack.picture_key import PictureKey, folder_for


class _Site(SimpleHTTPRequestHandler):
    """An older site: pictures, a redirect, an endless one, a page that is too large without saying so."""

    def do_GET(self) -> None:
        if self.path == "/moved.jpg":
            self._led("/photo%201.jpg")
        elif self.path == "/loop.jpg":
            self._led("/loop.jpg")
        elif self.path == "/endless.jpg":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(65536))
            except OSError:
                return
        else:
            super().do_GET()

    def _led(self, where: str) -> None:
        self.send_response(302)
        self.send_header("Location", where)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of the older site."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "photo 1.jpg").write_bytes(picture(1, "jpg"))
    (folder / "photo2.png").write_bytes(picture(2, "png"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Site, directory=str(folder)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_list_of_addresses_is_asked_one_by_one(keeper: Curator, storage: Storage, site: str, tmp_path: Path) -> None:
    addresses = tmp_path / "addresses.txt"
    addresses.write_text(
        f"# the older site\n{site}/photo%201.jpg\n\n{site}/photo2.png\tWinter.png\n{site}/moved.jpg\n"
        f"{site}/loop.jpg\n{site}/endless.jpg\n{site}/none.jpg\nfile:///etc/passwd\n"
    )

    done = keeper(
        "migrate", "--source-list", str(addresses), "--allow-private", "--no-render", MAX_UPLOAD_BYTES="1000000"
    )
    again = keeper("migrate", "--source-list", str(addresses), "--allow-private", "--no-render", "-l", "3")

    assert sums(done.out) == "images: 7, skipped: 0, processed: 3, errors: 4"
    assert sums(again.out) == "images: 3, skipped: 3, processed: 0, errors: 0"
    told = dict(line.removeprefix("error: ").rsplit(": ", 1) for line in done.err.splitlines())
    assert (
        told
        == {
            f"{site}/loop.jpg": "MaxRetryError.",
            f"{site}/endless.jpg": "The file is larger than 1000000 bytes.",
            f"{site}/none.jpg": "The source answers 404.",
            "file:///etc/passwd": "It is no http or https address.",
        }
        or told[f"{site}/endless.jpg"] == "The file is larger than 1000000 bytes."
    )
    folders = {PictureKey.parse(key).folder for key in storage.keys(PICTURES, "o/")}  # type: ignore[union-attr]
    assert folders == {"photo-1--" + folder_for("photo 1")[-12:], folder_for("Winter"), "moved"}


def test_no_address_leads_into_this_network_unless_its_keeper_says_so(
    keeper: Curator, storage: Storage, site: str, tmp_path: Path
) -> None:
    addresses = tmp_path / "addresses.txt"
    port = site.rpartition(":")[2]
    addresses.write_text("".join(f"http://{host}:{port}/photo2.png\n" for host in ("127.0.0.1", "localhost", "[::1]")))

    done = keeper("migrate", "--source-list", str(addresses), "--no-render", "-l", "2")

    assert sums(done.out) == "images: 2, skipped: 0, processed: 0, errors: 2"
    assert done.err.count("It leads into a private network") == 2
    assert storage.keys(PICTURES) == []

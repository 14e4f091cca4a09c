"""Thumbstack from another Python program: pictures in, back, in any size, and gone.

    pictures = Thumbstack("https://pictures.example.com", private_api_key=key)
    picture = pictures.upload("coffee.jpg")
    picture.urls["card"]

One for a process is enough: threads may share it, and it keeps its connections. What the service refuses, and what goes
wrong on the way, is a Refused: with `status`, `code`, `sentence` and `request_id`.
"""

import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

import requests

from thumbstack.answers import Deleted, Page, Picture, Ticket, read_answer
from thumbstack.connection import Connection, Unreachable
from thumbstack.form import Form, Source, opened
from thumbstack.link import Link, Links, read_end
from thumbstack.options import Options, read_crop, read_widths
from thumbstack.picture_element import Address, Original, picture_element, srcset
from thumbstack.picture_key import PictureKey
from thumbstack.picture_type import PDF
from thumbstack.presets import chosen_options, read_presets
from thumbstack.refusal import Missing, NotAPicture
from thumbstack.resize_url import read_resize, resize_path
from thumbstack.signing import signed_path

__all__ = ["Deleted", "Page", "Picture", "Source", "Thumbstack", "Ticket", "Unreachable"]

_PIECE_BYTES = 256 * 1024


class Thumbstack:
    """The service at `url`.

    An upload takes either API key, all the rest the private one; with `security_keys` (as the service has them, newest
    first) URLs are signed here, without asking it: by `presets` if the service has others than it came with, and for
    `website` if it has another address than the service.

    What may be asked twice is asked up to `retries` times more where no connection can be made, one breaks, or the
    answer is 429, 502, 503 or 504, after the time that Retry-After says. An upload is sent again only where nothing was
    stored: where there was no connection, or after 429 and 503, which say so. A connection that broke, 502 and 504 may
    hide a picture that was stored; who sends it again himself gets that one, since known bytes are not stored twice. A
    delete that was asked twice may say NoSuchPicture, where the first time did it.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        private_api_key: str | None = None,
        security_keys: str | Sequence[str] = (),
        presets: Mapping[str, str] | None = None,
        website: str | None = None,
        timeout: float | tuple[float, float] = (10, 60),
        retries: int = 3,
    ) -> None:
        self.url = url.rstrip("/")
        self._public = api_key or private_api_key
        self._private = private_api_key
        keys = security_keys.split(",") if isinstance(security_keys, str) else security_keys
        self._security_keys = [key.strip() for key in keys if key.strip()]
        self._links = Links(self._security_keys)
        self._presets = read_presets() if presets is None else presets
        self._website = (website or f"{self.url}/website").rstrip("/")
        self._connection = Connection(self.url, timeout, retries)

    def __repr__(self) -> str:
        return f"Thumbstack({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._connection.close()

    def upload(self, file: Source, name: str | None = None, *, note: str = "", again: bool = False) -> Picture:
        """Upload a picture, under its file's name or another.

        Known bytes are not stored twice under one name, unless `again`. Nothing larger than a few hundred kB is held in
        memory, and the service compares the SHA-256 of what came.
        """
        sent = self._sent("/", file, name, {"note": note, "again": "1" if again else ""})
        return read_answer(Picture, sent, "pictures", 0)

    def hold(self, file: Source, name: str | None = None, *, note: str = "") -> Picture:
        """Upload a picture that nobody sees before `publish` is called with its key."""
        return read_answer(Picture, self._sent("/upload", file, name, {"note": note}))

    def ticket(self, name: str = "", *, content_type: str = "", size: int | None = None, sha256: str = "") -> Ticket:
        """Leave for a browser to post a file of this name; without a name, any number of files into a new folder.

        What is said of the file, its type, its bytes and its checksum, must be so when it comes.
        """
        fields = {"filename": name, "content_type": content_type, "size": size, "checksum": sha256}
        return read_answer(Ticket, self._json("POST", "/generate_policy", key=self._public, json=fields))

    def post(self, ticket: Ticket, file: Source, name: str | None = None) -> str:
        """Post a file with a ticket, as a browser does; returns the key that is to be completed."""
        with opened(file, name) as outgoing:
            body = Form({key.replace("_", "-"): value for key, value in ticket.data.items()}, outgoing)
            self._connection.ask(
                "POST", ticket.url, repeatable=False, data=body, headers={"Content-Type": body.content_type}
            )
            return ticket.data["key"].replace("${filename}", outgoing.name)

    def complete(self, key: str) -> Picture:
        """Have a posted file inspected, and published or removed; its key may then be another."""
        return read_answer(Picture, self._json("POST", "/complete", key=self._public, json={"key": key}))

    def publish(self, picture: Picture | str, *, crop: str = "") -> Picture:
        """Make a held picture public; `crop` (``WxH+X+Y``) is the part that its presets show."""
        return read_answer(Picture, self._json("POST", "/publish", data={"key": _key(picture), "crop": crop}))

    def rotate(self, picture: Picture | str, degrees: int = 90) -> Picture:
        """Turn a picture clockwise, by 90, -90 or 180: it gets a new key, the old one is gone."""
        form = {"key": _key(picture), "rotation": str(degrees)}
        return read_answer(Picture, self._json("POST", "/rotate", repeatable=False, data=form))

    def find(self, picture: Picture | str) -> Picture:
        """What the service knows of a picture, by its key."""
        return read_answer(Picture, self._json("GET", f"/pictures/{_parsed(picture)}"))

    def page(self, after: str = "", limit: int = 100) -> Page:
        """One page of the app's published pictures, in the order of their keys."""
        told = self._json("GET", "/pictures", params={"after": after, "limit": str(limit)})
        return Page([read_answer(Picture, entry) for entry in told["pictures"]], told["next"])

    def list(self) -> Iterator[Picture]:
        """All of the app's published pictures, in the order of their keys, asked for page by page."""
        after: str | None = ""
        while after is not None:
            page = self.page(after)
            yield from page.pictures
            after = page.next

    def download(self, picture: Picture | str, to: str | os.PathLike[str] | IO[bytes]) -> None:
        """Write an original, by its key, into a file; a path gets all of it or is not touched."""
        self._download(to, f"/{_parsed(picture)}")

    def download_by_name(self, name: str, to: str | os.PathLike[str] | IO[bytes]) -> None:
        """Write the newest original of a name into a file."""
        self._download(to, "/", params={"name": name}, key=self._private)

    def delete(self, picture: Picture | str, *, dry_run: bool = False) -> Deleted:
        """Delete a picture by its key, with every copy."""
        return self._deleted(f"/pictures/{_parsed(picture)}", dry_run)

    def delete_by_name(self, name: str, *, dry_run: bool = False) -> Deleted:
        """Delete every picture of exactly that name, with every copy."""
        return self._deleted("/", dry_run, name=name)

    def delete_all(self, *, dry_run: bool = False) -> Deleted:
        """Delete all of the app's pictures, published and held."""
        return self._deleted("/delete-all-pictures", dry_run)

    def sign(self, picture: Picture | str, options: str = "", *, preset: str = "", expires: int | None = None) -> str:
        """The URL of any size of a picture: `options` are Thumbor's, or `preset` names some.

        With `expires`, in seconds from now and at most a year, it shows the picture until then.
        """
        if not self._security_keys:
            return str(self._signed_there(picture, options, preset, expires)["url"])
        return self._address(picture, expires)(chosen_options(self._presets, options, preset))

    def srcset(
        self,
        picture: Picture | str,
        widths: Sequence[int],
        options: str = "",
        *,
        preset: str = "",
        expires: int | None = None,
    ) -> str:
        """The URLs of one variant in several widths, as an <img> wants them."""
        if not self._security_keys:
            return str(self._signed_there(picture, options, preset, expires, widths=list(widths))["srcset"])
        chosen = chosen_options(self._presets, options, preset)
        variants = [(chosen.of_width(width), width) for width in read_widths(list(widths))]
        return srcset(variants, self._address(picture, expires))

    def picture_element(
        self,
        picture: Picture | str,
        options: str = "",
        *,
        preset: str = "",
        widths: Sequence[int] = (),
        expires: int | None = None,
        alt: str = "",
        sizes: str = "",
    ) -> str:
        """A ready <picture> in AVIF, WebP and the picture's own format, escaped; a page may take it as it is.

        Where the keys are here and the picture is more than its key, nobody is asked.
        """
        if not self._security_keys:
            more = {"widths": list(widths), "picture": "1", "alt": alt, "sizes": sizes}
            return str(self._signed_there(picture, options, preset, expires, **more)["picture"])
        known = picture if isinstance(picture, Picture) else self.find(picture)
        chosen = chosen_options(self._presets, options, preset)
        # As the service does: what was chosen at publishing is what the presets show.
        crop = read_crop(known.crop or "") if preset else None
        chosen = chosen.cropped(*crop) if crop else chosen
        address = self._address(known, expires)
        return picture_element(
            Original.told(vars(known)), chosen, read_widths(list(widths)), address, alt=alt, sizes=sizes
        )

    def resized(self, picture: Picture | str, resize: str) -> str:
        """The URL of a variant on the website bucket, as ``100x200-fit-80-noupscale.webp`` asks for it."""
        if not self._security_keys:
            return str(self._json("POST", "/sign", json={"key": str(_parsed(picture)), "resize": resize})["url"])
        key = _parsed(picture)
        return self._website + resize_path(key, read_resize(resize, key), self._security_keys[0])

    def _address(self, picture: Picture | str, expires: int | None) -> Address:
        """What makes the URL of a variant, with the newest of the keys that are here."""
        key = _parsed(picture)
        if key.extension == PDF.extension:
            raise NotAPicture("A PDF has no sizes: show its original.")
        ends = read_end(expires, time.time())

        def address(variant: Options) -> str:
            if ends is None:
                return self.url + signed_path(key, str(variant), self._security_keys[0])
            return self.url + self._links.path(Link(key, str(variant), ends))

        return address

    def _signed_there(
        self, picture: Picture | str, options: str, preset: str, expires: int | None, /, **more: Any
    ) -> Any:
        fields = {"key": str(_parsed(picture)), "options": options, "preset": preset, "expires": expires, **more}
        return self._json("POST", "/sign", json=fields)

    def _sent(self, path: str, file: Source, name: str | None, form: Mapping[str, str]) -> Any:
        """What the service says of a file that was sent to it."""
        with opened(file, name) as outgoing:
            body = Form({key: value for key, value in form.items() if value}, outgoing)
            headers = {"Content-Type": body.content_type, "Content-Digest": outgoing.digest}
            return self._connection.json("POST", path, key=self._public, repeatable=False, data=body, headers=headers)

    def _deleted(self, path: str, dry_run: bool, **fields: str) -> Deleted:
        return read_answer(
            Deleted, self._json("DELETE", path, params={**fields, **({"dry_run": "1"} if dry_run else {})})
        )

    def _json(self, method: str, path: str, **what: Any) -> Any:
        return self._connection.json(method, path, **{"key": self._private, **what})

    def _download(self, to: str | os.PathLike[str] | IO[bytes], path: str, **what: Any) -> None:
        with self._connection.ask("GET", path, stream=True, **what) as answer, _writing(to) as file:
            try:
                for piece in answer.iter_content(_PIECE_BYTES):
                    file.write(piece)
            except requests.RequestException as error:
                raise Unreachable("The picture broke off on its way: ask for it again.") from error


@contextmanager
def _writing(to: str | os.PathLike[str] | IO[bytes]) -> Iterator[IO[bytes]]:
    """A file to write into; that of a path comes to its place when all is written."""
    if not isinstance(to, str | os.PathLike):
        yield to
        return
    place = Path(to)
    part = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


def _key(picture: Picture | str) -> str:
    return picture if isinstance(picture, str) else picture.key


def _parsed(picture: Picture | str) -> PictureKey:
    """The key of a picture; of one that is held, the key that it will have."""
    parsed = PictureKey.parse(_key(picture)) or PictureKey.parse_incoming(_key(picture))
    if parsed is None:
        raise Missing("The picture key is missing or none: give o/<app>/<folder>/<file>")
    return parsed

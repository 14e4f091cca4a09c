"""Thumbstack from another Python program: pictures in, back, in any size, and gone.

    pictures = Thumbstack("https://pictures.example.com", private_api_key=key)
    picture = pictures.upload("coffee.jpg")
    picture.urls["card"]

One for a process is enough: threads may share it, and it keeps its connections. What the service refuses, and what goes
wrong on the way, is a Refused: with `status`, `code`, `sentence` and `request_id`.
"""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import MaxRetryError, ResponseError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

from thumbstack import refusal
from thumbstack.form import Form, Source, opened
from thumbstack.options import Options, read_options
from thumbstack.picture_key import PictureKey
from thumbstack.presets import read_presets
from thumbstack.refusal import BadOptions, Missing, Refused
from thumbstack.signing import signed_path

_PIECE_BYTES = 256 * 1024
# Somebody may be waiting for our caller. Who is told to come in a minute gets that answer, and no minute of waiting.
_LONGEST_WAIT_SECONDS = 10


class Unreachable(Refused):
    """No answer came, or none that is Thumbstack's. What was asked may have been done."""

    status = 503
    code = "unreachable"


@dataclass(frozen=True)
class Picture:
    """A picture that the service keeps. Width and height as one sees it, None for a PDF; `bytes` as stored."""

    name: str
    key: str
    url: str
    content_type: str
    width: int | None
    height: int | None
    frames: int | None
    bytes: int
    sha256: str | None
    # What is stored is not what was sent: GPS data is out, for one.
    altered: bool
    uploaded: datetime
    dominant_color: str | None
    placeholder: str | None
    # A signed URL for each preset.
    urls: Mapping[str, str]
    note: str = ""
    crop: str | None = None
    # The same bytes had been there under the same name: nothing was stored.
    duplicate: bool = False


@dataclass(frozen=True)
class Page:
    """A page of a list; `next` is the next one's `after`, None on the last."""

    pictures: Sequence[Picture]
    next: str | None


@dataclass(frozen=True)
class Deleted:
    """What a delete removed, or, as a dry run, would."""

    status: str
    originals: int
    results: int
    # Copies in the cache of the node that answered; those of other nodes are gone within a minute, and are not counted.
    edge: int
    keys: Sequence[str]


_Kind = TypeVar("_Kind", Picture, Deleted)


class Thumbstack:
    """The service at `url`.

    An upload takes either API key, all the rest the private one; with `security_keys` (as the service has them, newest
    first) URLs are signed here, without asking it, by `presets` if the service has others than it came with.

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
        timeout: float | tuple[float, float] = (10, 60),
        retries: int = 3,
    ) -> None:
        self.url = url.rstrip("/")
        self._public = _Bearer(api_key or private_api_key)
        self._private = _Bearer(private_api_key)
        keys = security_keys.split(",") if isinstance(security_keys, str) else security_keys
        self._security_key = next((key.strip() for key in keys if key.strip()), None)
        self._presets = read_presets() if presets is None else presets
        self._timeout = timeout
        how: dict[str, Any] = {
            "total": retries,
            "allowed_methods": None,
            "backoff_factor": 0.3,
            "raise_on_status": False,
        }
        self._repeatable = _session(_Patience(status_forcelist=(429, 502, 503, 504), **how))
        self._unrepeatable = _session(_Patience(status_forcelist=(429, 503), read=False, other=0, **how))

    def __repr__(self) -> str:
        return f"Thumbstack({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._repeatable.close()
        self._unrepeatable.close()

    def upload(self, file: Source, name: str | None = None, *, note: str = "", again: bool = False) -> Picture:
        """Upload a picture, under its file's name or another.

        Known bytes are not stored twice under one name, unless `again`. Nothing larger than a few hundred kB is held in
        memory, and the service compares the SHA-256 of what came.
        """
        sent = self._sent("/", file, name, {"note": note, "again": "1" if again else ""})
        return _told(Picture, sent["pictures"][0])

    def hold(self, file: Source, name: str | None = None, *, note: str = "") -> Picture:
        """Upload a picture that nobody sees before `publish` is called with its key."""
        return _told(Picture, self._sent("/upload", file, name, {"note": note}))

    def publish(self, picture: Picture | str, *, crop: str = "") -> Picture:
        """Make a held picture public; `crop` (``WxH+X+Y``) is the part that its presets show."""
        return _told(Picture, self._json("POST", "/publish", data={"key": _key(picture), "crop": crop}))

    def rotate(self, picture: Picture | str, degrees: int = 90) -> Picture:
        """Turn a picture clockwise, by 90, -90 or 180: it gets a new key, the old one is gone."""
        form = {"key": _key(picture), "rotation": str(degrees)}
        return _told(Picture, self._json("POST", "/rotate", session=self._unrepeatable, data=form))

    def find(self, picture: Picture | str) -> Picture:
        """What the service knows of a picture, by its key."""
        return _told(Picture, self._json("GET", f"/pictures/{_parsed(picture)}"))

    def page(self, after: str = "", limit: int = 100) -> Page:
        """One page of the app's published pictures, in the order of their keys."""
        told = self._json("GET", "/pictures", params={"after": after, "limit": str(limit)})
        return Page([_told(Picture, entry) for entry in told["pictures"]], told["next"])

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
        self._download(to, "/", params={"name": name}, auth=self._private)

    def delete(self, picture: Picture | str, *, dry_run: bool = False) -> Deleted:
        """Delete a picture by its key, with every copy."""
        return self._deleted(f"/pictures/{_parsed(picture)}", dry_run)

    def delete_by_name(self, name: str, *, dry_run: bool = False) -> Deleted:
        """Delete every picture of exactly that name, with every copy."""
        return self._deleted("/", dry_run, name=name)

    def delete_all(self, *, dry_run: bool = False) -> Deleted:
        """Delete all of the app's pictures, published and held."""
        return self._deleted("/delete-all-pictures", dry_run)

    def sign(self, picture: Picture | str, options: str = "", *, preset: str = "") -> str:
        """The URL of any size of a picture: `options` are Thumbor's, or `preset` names some."""
        if self._security_key is None:
            return str(self._signed_there(picture, options, preset)["url"])
        return self._signed(picture, self._options(options, preset), self._security_key)

    def srcset(self, picture: Picture | str, widths: Sequence[int], options: str = "", *, preset: str = "") -> str:
        """The URLs of one variant in several widths, as an <img> wants them."""
        if self._security_key is None:
            return str(self._signed_there(picture, options, preset, widths=list(widths))["srcset"])
        chosen = self._options(options, preset)
        urls = (
            (self._signed(picture, chosen.of_width(width), self._security_key), width) for width in sorted({*widths})
        )
        return ", ".join(f"{url} {width}w" for url, width in urls)

    def _options(self, options: str, preset: str) -> Options:
        if preset and (options or preset not in self._presets):
            raise BadOptions("Send the name of a preset that there is, or options, not both.")
        return read_options(self._presets[preset] if preset else options)

    def _signed(self, picture: Picture | str, options: Options, security_key: str) -> str:
        return self.url + signed_path(_parsed(picture), str(options), security_key)

    def _signed_there(self, picture: Picture | str, options: str, preset: str, **more: Any) -> Any:
        fields = {"key": str(_parsed(picture)), "options": options, "preset": preset, **more}
        return self._json("POST", "/sign", json=fields)

    def _sent(self, path: str, file: Source, name: str | None, form: Mapping[str, str]) -> Any:
        """What the service says of a file that was sent to it."""
        with opened(file, name) as outgoing:
            body = Form({key: value for key, value in form.items() if value}, outgoing)
            headers = {"Content-Type": body.content_type, "Content-Digest": outgoing.digest}
            answer = self._ask("POST", path, self._unrepeatable, auth=self._public, data=body, headers=headers)
        return _read_json(answer)

    def _deleted(self, path: str, dry_run: bool, **fields: str) -> Deleted:
        return _told(Deleted, self._json("DELETE", path, params={**fields, **({"dry_run": "1"} if dry_run else {})}))

    def _json(self, method: str, path: str, session: requests.Session | None = None, **what: Any) -> Any:
        return _read_json(self._ask(method, path, session, auth=self._private, **what))

    def _download(self, to: str | os.PathLike[str] | IO[bytes], path: str, **what: Any) -> None:
        with self._ask("GET", path, stream=True, **what) as answer, _writing(to) as file:
            try:
                for piece in answer.iter_content(_PIECE_BYTES):
                    file.write(piece)
            except requests.RequestException as error:
                raise Unreachable("The picture broke off on its way: ask for it again.") from error

    def _ask(
        self, method: str, path: str, session: requests.Session | None = None, auth: AuthBase | None = None, **what: Any
    ) -> requests.Response:
        try:
            answer = (session or self._repeatable).request(
                method,
                self.url + path,
                auth=auth or _Bearer(None),
                timeout=self._timeout,
                allow_redirects=False,
                **what,
            )
        except requests.RequestException as error:
            raise Unreachable(f"{self.url} does not answer: {type(error).__name__}.") from error
        if answer.status_code >= 300:
            raise _refusal(answer)
        return answer


class _Bearer(AuthBase):
    """A key in its header. Also where there is none: else requests would send what a ~/.netrc has for the host."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class _Patience(Retry):
    """Retries that wait as the service asks, unless that is long."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """The retries that are left; none where the answer asks for too much patience, which is then what counts."""
        if response is not None and _pool is not None and (self.get_retry_after(response) or 0) > _LONGEST_WAIT_SECONDS:
            raise MaxRetryError(_pool, url or "", ResponseError(ResponseError.GENERIC_ERROR))
        return super().increment(method, url, response, error, _pool, _stacktrace)


def _session(retries: Retry) -> requests.Session:
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries))
    return session


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


def _read_json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except requests.JSONDecodeError as error:
        raise _foreign(answer) from error


def _told(kind: type[_Kind], told: Mapping[str, Any]) -> _Kind:
    """An answer of a kind; what a newer service says beside that is left out."""
    values = {name: told[name] for name in (each.name for each in fields(kind)) if name in told}
    if "uploaded" in values:
        values["uploaded"] = datetime.fromisoformat(values["uploaded"])
    return kind(**values)


def _refusal(answer: requests.Response) -> Refused:
    """What was refused, as the class that stands for its code, if there is one."""
    try:
        sentence, code = (str(answer.json()[name]) for name in ("error", "code"))
    except (ValueError, TypeError, KeyError):
        return _foreign(answer)
    refused = _BY_CODE.get(code, Refused)(sentence)
    return _described(refused, answer, code)


def _foreign(answer: requests.Response) -> Refused:
    sentence = f"A {answer.status_code} came, but not from Thumbstack: is the address right?"
    return _described(Unreachable(sentence), answer, Unreachable.code)


def _described(refused: Refused, answer: requests.Response, code: str) -> Refused:
    refused.code = code
    refused.status = max(answer.status_code, 400)
    refused.request_id = answer.headers.get("X-Request-ID")
    wait = answer.headers.get("Retry-After", "")
    refused.retry_after_seconds = int(wait) if wait.isdecimal() else None
    return refused


_BY_CODE: Mapping[str, type[Refused]] = {
    kind.code: kind
    for kind in vars(refusal).values()
    if isinstance(kind, type) and issubclass(kind, Refused) and kind is not Refused
}

"""Thumbor's result storage: variants under their picture's key, each under the format that it really has.

A result is only ever a saving: when S3 is in trouble a look-up is a miss, and a result that cannot be stored is made
again another time. Who sends ``Cache-Control: no-cache`` has it made anew; nginx sends that for nobody.
tc_aws's own storage keys by the URL with its signature, mixes AVIF with JPEG, and raises.
"""

import logging
import time
import warnings
from urllib.parse import unquote

from bucket import Bucket, NotThere, Trouble
from thumbor.context import Context
from thumbor.engines import BaseEngine
from thumbor.result_storages import ResultStorageResult
from thumbor.utils import EXTENSION
from tornado.httputil import HTTPHeaders

from thumbstack.picture_key import PictureKey
from thumbstack.result_key import other_formats, result_format, result_key

with warnings.catch_warnings():
    # tc_aws compares with `is not ""`, of which Python warns whenever it compiles it.
    warnings.simplefilter("ignore", SyntaxWarning)
    from tc_aws.result_storages.s3_storage import Storage as TcStorage

_log = logging.getLogger("thumbstack.result_storage")
# Longer than this, rendering is as good as looking.
_LOOK_UP_SECONDS = 2
# The client has its answer by then; but a clean stop waits no longer than 8 s for everything.
_STORE_SECONDS = 5
# A flag in the first byte of a WebP's header.
_WEBP_ANIMATION = 2


def is_made_anew(headers: HTTPHeaders) -> bool:
    """Whether a request wants no result that is there, but one that takes its place."""
    return "no-cache" in headers.get("Cache-Control", "")


class Storage(TcStorage):  # type: ignore[misc]
    """Thumbor makes one for each request."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._asked_at = time.monotonic()

    @property
    def storage(self) -> Bucket:
        """The results bucket."""
        return Bucket.of_results(self.context.config)

    async def get(self, path: str | None = None) -> ResultStorageResult | None:
        """The result of this request if there is one; None for a miss, and for any trouble."""
        headers = self.context.request.headers
        asked = self._asked()
        if asked is None or is_made_anew(headers):
            return None
        picture, options = asked
        asked_for = picture, options, headers.get("Accept", "")
        predicted = result_format(*asked_for)
        for extension in (predicted, *other_formats(*asked_for)):
            try:
                found = await self.storage.read(result_key(picture, options, extension), _LOOK_UP_SECONDS)
            except NotThere:
                continue
            except Trouble as trouble:
                _log.warning("result not looked up: %s", trouble, extra=self._about(picture, options, predicted))
                return None
            # A key only promises a format: nobody shall get AVIF because something else wrote to the bucket.
            likely = extension == predicted or (extension == "png" and predicted == "jpg")
            if _format(found.body) == extension and (likely or self._is_animated(found.body)):
                _log.info("result hit", extra=self._about(picture, options, extension))
                return ResultStorageResult(buffer=found.body)
        return None

    async def put(self, image_bytes: bytes) -> None:
        """Store what was rendered, unless its original was deleted meanwhile; never raises."""
        asked, extension = self._asked(), _format(image_bytes)
        if asked is None:
            return
        picture, options = asked
        about = self._about(picture, options, extension)
        _log.info("rendered", extra=about)
        if extension is None:
            return
        key = result_key(picture, options, extension)
        try:
            await self.storage.store(key, image_bytes, _STORE_SECONDS)
            # A delete removes the original first and then all results that it finds. One that began during the render
            # may be done by now, and this result must not outlive it.
            if await Bucket.of_pictures(self.context.config).lacks(str(picture), _STORE_SECONDS):
                await self.storage.remove(key, _STORE_SECONDS)
                _log.info("result taken back: its original was deleted meanwhile", extra=about)
                return
            self.context.request.is_stored = True
        except Trouble as trouble:
            _log.warning("result not stored or not checked: %s", trouble, extra=about)

    def _is_animated(self, body: bytes) -> bool:
        """Whether it is a GIF or a WebP that moves: a still one is for who takes its format, and nobody else."""
        if body.startswith(b"RIFF"):
            return body[12:16] == b"VP8X" and bool(body[20] & _WEBP_ANIMATION)
        return bool(self.context.request_handler.is_animated_gif(body))

    def _asked(self) -> tuple[PictureKey, str] | None:
        """The picture and the options of the URL; None for /meta/, and for what the loader will refuse."""
        request = self.context.request
        picture = PictureKey.parse(request.image_url)
        if picture is None or request.meta:
            return None
        # The URL is /<signature>/<options>/<picture key>.
        _, _, rest = unquote(request.url).lstrip("/").partition("/")
        return picture, rest.removesuffix(str(picture)).strip("/")

    def _about(self, picture: PictureKey, options: str, extension: str | None) -> dict[str, object]:
        milliseconds = round((time.monotonic() - self._asked_at) * 1000)
        return {"picture": str(picture), "options": options, "format": extension, "ms": milliseconds}


def _format(body: bytes) -> str | None:
    """The extension, without its dot, that the first bytes tell."""
    extension: str | None = EXTENSION.get(BaseEngine.get_mimetype(body))
    return extension and extension.removeprefix(".")

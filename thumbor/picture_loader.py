"""Thumbor's loader: originals from the pictures bucket, and from nowhere else.

tc_aws's own loader takes any text for a key, and leaves time-outs and broken connections to Thumbor, which answers 500.
It is one function, so there is nothing to subclass; this one stands beside it, on the same client.

There is no ``validate`` here on purpose: Thumbor would answer 400 where a picture is simply not there.
"""

import logging
from urllib.parse import unquote

import broken
from bucket import Bucket, NotThere, TooLarge, TooSlow, Trouble, Unchanged
from drawing import NotDrawn, drawn
from thumbor.config import Config
from thumbor.context import Context
from thumbor.engines import BaseEngine
from thumbor.loaders import LoaderResult

from thumbstack.picture_key import PictureKey
from thumbstack.picture_type import SVG

Config.define("MAX_ORIGINAL_BYTES", 32 << 20, "The largest original that is loaded.", "Thumbstack")

_log = logging.getLogger("thumbstack.picture_loader")
# Thumbor passes a number on as the status: this original cannot be shown.
_BROKEN = 422
# A whole original, at most: with a look-up of the result before it (2), nobody waits for S3 longer than 12 s.
_SECONDS = 9


async def load(context: Context, url: str) -> LoaderResult:
    """Load an original; what is no picture key is not found, and no request is made for it.

    Thumbor answers the errors with 404, 422, 502 and 504; those of a picture in ``watermark()`` with 400.
    """
    picture = PictureKey.parse(unquote(url))
    if picture is None:
        _log.warning("refused, not a picture key: %s", url)
        return LoaderResult(successful=False, error=LoaderResult.ERROR_NOT_FOUND)
    key, most = str(picture), context.config.MAX_ORIGINAL_BYTES
    try:
        found = await Bucket.of_pictures(context.config).read(key, _SECONDS, most, known=broken.known(key))
    except NotThere:
        return LoaderResult(successful=False, error=LoaderResult.ERROR_NOT_FOUND)
    except (TooLarge, Unchanged) as refusal:
        _log.warning("original refused: %s", refusal, extra={"picture": key})
        return LoaderResult(successful=False, error=_BROKEN)
    except Trouble as trouble:
        _log.warning("original not read: %s", trouble, extra={"picture": key})
        slow = isinstance(trouble, TooSlow)
        return LoaderResult(successful=False, error=LoaderResult.ERROR_TIMEOUT if slow else LoaderResult.ERROR_UPSTREAM)
    if url == context.request.image_url:
        # Where it turns out to be broken, this is remembered.
        context.request.original = key, found.etag
    body = found.body
    if BaseEngine.get_mimetype(body) == SVG.content_type:
        try:
            body = await drawn(body, context)
        except NotDrawn as problem:
            _log.warning("drawing not drawn: %s", problem, extra={"picture": key})
            return LoaderResult(successful=False, error=_BROKEN)
    return LoaderResult(buffer=body, metadata={"size": len(body)})

"""Thumbor's handler of pictures: bounds before anything is done, plain refusals, and nothing slow on the event loop.

It stands in HANDLER_LISTS before Thumbor's own, for the same addresses.
"""

import logging
from collections.abc import Iterable
from functools import partial
from typing import Any

import broken
from libthumbor.url import Url
from original import Refused
from picture_engine import BROKEN, TOO_MUCH
from result_storage import is_made_anew
from thumbor.context import Context
from thumbor.filters import PHASE_AFTER_LOAD, BaseFilter, FiltersRunner
from thumbor.handlers.imaging import ImagingHandler
from thumbor.utils import CONTENT_TYPE
from tornado.web import HTTPError

from thumbstack.options import MAX_SIDE

_log = logging.getLogger("thumbstack.picture_handler")
# Filters that only say how to encode.
_WORDS = frozenset(("format", "quality", "strip_exif", "strip_icc"))
# ... and those that load a picture of their own.
_WAITING = frozenset(("watermark",))


def get_handlers(context: Context) -> list[tuple[Any, ...]]:
    """What Thumbor asks each of HANDLER_LISTS for."""
    return [(Url.regex(), PictureHandler, {"context": context})]


class PictureHandler(ImagingHandler):  # type: ignore[misc]
    """One for each request."""

    filters_runner: FiltersRunner

    async def execute_image_operations(self) -> None:
        """Look the result up, or render it; refuse what asks for too much before S3 is asked for anything."""
        request = self.context.request
        if any(isinstance(side, int) and side > MAX_SIDE for side in (request.width, request.height)):
            self._error(TOO_MUCH, f"a side of more than {MAX_SIDE} pixels: {self.request.path}")
            return
        await super().execute_image_operations()

    async def get_image(self) -> None:
        """Render."""
        self.filters_runner = _InThePool(self.filters_runner, self.context)
        try:
            await super().get_image()
        except Refused as refused:
            self._error(TOO_MUCH, str(refused))
        except HTTPError as refused:
            self._error(refused.status_code, str(refused))

    async def after_transform(self) -> None:
        """Run the filters; of a GIF, too."""
        await self.filters_runner.apply_filters("post_transform")
        await self.finish_request()

    def define_image_type(self, context: Context, result: object) -> tuple[str, str]:
        """The extension and the type of the answer."""
        if result is not None or context.request.meta:
            found: tuple[str, str] = super().define_image_type(context, result)
            return found
        accept = self.request.headers.get("Accept", "")
        extension = context.request.engine.leaves_as(context.request.format, accept)
        return extension, CONTENT_TYPE[extension]

    async def _write_results_to_client(self, results: bytes, content_type: str) -> None:
        """Answer; who has a result made anew is told only when it is stored, and 503 where it is not."""
        request, storage = self.context.request, self.context.modules.result_storage
        if is_made_anew(self.request.headers) and not request.meta:
            await super()._store_results(storage, self.context.metrics, results)
            if not getattr(request, "is_stored", False):
                self._error(503, "made anew, and not stored")
                return
        await super()._write_results_to_client(results, content_type)

    async def _store_results(self, result_storage: object, metrics: object, results: bytes) -> None:
        if not is_made_anew(self.request.headers):
            await super()._store_results(result_storage, metrics, results)

    def _error(self, status: int, msg: str | None = None) -> None:
        """Refuse, with the status and the reason of who refused; what is broken is remembered to be."""
        request = getattr(self.context, "request", None)
        status, msg = getattr(request, "refusal", None) or (status, msg)
        if status == BROKEN and (original := getattr(request, "original", None)):
            broken.remember(*original)
        super()._error(status, msg)


class _InThePool(FiltersRunner):  # type: ignore[misc]
    """Filters run by a thread of the engine's, as they work on pixels, which takes time."""

    def __init__(self, runner: FiltersRunner, context: Context) -> None:
        super().__init__(runner.filter_instances)
        self._context = context

    async def apply_filters(self, phase: str) -> None:
        engine, pool = self._context.modules.engine, self._context.thread_pool
        if phase == PHASE_AFTER_LOAD:
            if self._context.request.trim is not None:
                # Thumbor looks for the edges on the event loop.
                await pool.queue(engine.settle)
            await super().apply_filters(phase)
            return
        filters: Iterable[BaseFilter] = self.filter_instances.pop(phase, ())
        for each in filters:
            name = each.runnable_method.filter_data["name"]
            # Of an animation that stays one no frame is drawn on.
            if name not in _WORDS and engine.is_animated:
                continue
            if name not in _WORDS:
                await pool.queue(engine.settle)
            if name in _WAITING:
                await each.run()
            else:
                await pool.queue(partial(_run, each))


def _run(each: BaseFilter) -> None:
    """Run a filter that waits for nothing, though it is a coroutine."""
    running = each.run()
    try:
        running.send(None)
    except StopIteration:
        return
    running.close()
    raise RuntimeError(f"{type(each).__module__} waits for something")

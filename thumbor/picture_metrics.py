"""Thumbor's metrics, for Prometheus: ``GET /metrics`` on Thumbor's own port, to which nginx leads nobody.

Thumbor makes a Metrics for each request and tells it what happens in words that it makes up as it goes
(``response.time.jpg``). A few of them are listened to; the numbers are thumbstack/metrics.py's.
"""

import time

import ending
from prometheus_client import Counter, Gauge, Histogram
from thumbor.context import Context
from thumbor.handlers import BaseHandler, ContextHandler
from thumbor.metrics import BaseMetrics
from tornado.web import RequestHandler

from thumbstack import metrics
from thumbstack.json_log import request_id

RENDER_SECONDS = Histogram(
    "thumbstack_render_seconds",
    "From request to answer, of pictures that had to be made",
    ["format"],
    buckets=metrics.SECONDS,
)
RESULT_HITS = Counter("thumbstack_result_hits", "Pictures that were found in the results bucket")
RENDERS = Gauge("thumbstack_renders_in_flight", "Renders under way or waiting")
CAPACITY = Gauge("thumbstack_render_capacity", "Renders that go on at the same time")


class Metrics(BaseMetrics):  # type: ignore[misc]
    """What one request does."""

    _handler: ContextHandler
    _began = 0.0
    _renders = False

    def initialize(self, handler: ContextHandler) -> None:
        """Begin: this is the first of our code that a request meets."""
        request_id.set(handler.request.headers.get("X-Request-ID"))
        self._handler = handler
        self._began = time.perf_counter()
        metrics.IN_FLIGHT.inc()

    def incr(self, metricname: str, value: float = 1) -> None:
        """Count."""
        if metricname == "result_storage.hit":
            RESULT_HITS.inc()
        elif metricname == "result_storage.miss":
            self._renders = True
            RENDERS.inc()
        elif metricname.startswith("response.status."):
            self._end(int(metricname.rpartition(".")[2]))

    def timing(self, metricname: str, value: float) -> None:
        """Take note of milliseconds."""
        kind = metricname.removeprefix("response.time.")
        if self._renders and kind != metricname and not kind.isdecimal():
            RENDER_SECONDS.labels(kind).observe(value / 1000)

    def _end(self, status: int) -> None:
        metrics.IN_FLIGHT.dec()
        if self._renders:
            RENDERS.dec()
        method = self._handler.request.method or ""
        metrics.answered("picture", method, status, time.perf_counter() - self._began)
        ending.look()


class _Told(BaseHandler):  # type: ignore[misc]
    def get(self) -> None:
        self.set_header("Content-Type", metrics.CONTENT_TYPE)
        # A connection that waits for the next time would be waited for at a stop.
        self.set_header("Connection", "close")
        self.finish(metrics.exposition())


def get_handlers(context: Context) -> list[tuple[str, type[RequestHandler]]]:
    """What Thumbor asks a handler list for."""
    CAPACITY.set(context.config.ENGINE_THREADPOOL_SIZE)
    return [("/metrics", _Told)]

"""What is counted of every request, and ``GET /metrics``: on this room's own port, to which nginx leads nobody."""

import time

from flask import Flask, Response, g, request

from thumbstack import metrics
from thumbstack.json_log import request_id

# Asked every few seconds by whoever watches: they would hide what is asked by others.
_WATCHED = ("/healthz", "/metrics")


def count_requests(app: Flask) -> None:
    """Make `app` count what it answers, and tell."""

    @app.before_request
    def begin() -> None:
        request_id.set(request.headers.get("X-Request-ID"))
        if request.path not in _WATCHED:
            g.began = time.perf_counter()
            metrics.IN_FLIGHT.inc()

    @app.after_request
    def count(answer: Response) -> Response:
        if "began" in g:
            route = request.url_rule.rule if request.url_rule else "none"
            seconds = time.perf_counter() - g.began
            refused = answer.status_code >= 400 and answer.is_json
            codes = [answer.get_json()["code"]] if refused else []
            metrics.answered(route, request.method, answer.status_code, seconds, codes)
        return answer

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        if "began" in g:
            metrics.IN_FLIGHT.dec()

    @app.get("/metrics", endpoint="metrics")
    def told() -> Response:
        return Response(metrics.exposition(), content_type=metrics.CONTENT_TYPE)

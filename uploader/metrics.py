"""What is counted of every request, and ``GET /metrics``: on this room's own port, to which nginx leads nobody."""

import time
from collections.abc import Sequence

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
            metrics.answered(route, request.method, answer.status_code, seconds, _codes(answer))
        return answer

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        if "began" in g:
            metrics.IN_FLIGHT.dec()

    @app.get("/metrics", endpoint="metrics")
    def told() -> Response:
        return Response(metrics.exposition(), content_type=metrics.CONTENT_TYPE)


def _codes(answer: Response) -> Sequence[str]:
    """Why the request was refused, or those of its files that were."""
    if not answer.is_json or (answer.status_code < 400 and answer.status_code != 207):
        return ()
    body = answer.get_json()
    return [outcome["code"] for outcome in body.get("pictures", [body]) if "code" in outcome]

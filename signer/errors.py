"""Every refusal and every error of this room as JSON, and nothing of its inside with it."""

import logging

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from thumbstack.refusal import Refused

log = logging.getLogger("signer")

_PIECE_BYTES = 64 * 1024


def answer_in_json(app: Flask) -> None:
    """Make `app` answer ``{"error": sentence, "code": code}`` with the right status, whatever goes wrong."""

    @app.errorhandler(Refused)
    def refused(refusal: Refused) -> Response:
        if refusal.status >= 500:
            log.warning("%s: %r", refusal.code, refusal.__cause__)
        answer = jsonify(refusal.body())
        answer.status_code = refusal.status
        if refusal.retry_after_seconds is not None:
            answer.headers["Retry-After"] = str(refusal.retry_after_seconds)
        return answer

    @app.errorhandler(RequestEntityTooLarge)
    def too_large(_error: RequestEntityTooLarge) -> tuple[Response, int]:
        return jsonify(error="The request is too large: send less.", code="too_large"), 413

    @app.errorhandler(MethodNotAllowed)
    def wrong_method(error: MethodNotAllowed) -> tuple[Response, int, dict[str, str]]:
        sentence = "This method is not possible here: the Allow header names those that are."
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return jsonify(error=sentence, code="method_not_allowed"), 405, {"Allow": allowed}

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[Response, int]:
        return jsonify(error=error.description, code=error.name.lower().replace(" ", "_")), error.code or 500

    @app.errorhandler(Exception)
    def unforeseen(error: Exception) -> tuple[Response, int]:
        log.error("unforeseen", exc_info=error)
        return jsonify(error="Something went wrong here; it is in our log.", code="internal_error"), 500

    @app.after_request
    def read_to_the_end(answer: Response) -> Response:
        # gunicorn would close on nginx, which is still sending or has the connection down for the next request, and
        # that client would be told 502.
        while request.environ["wsgi.input"].read(_PIECE_BYTES):
            pass
        return answer

"""Every refusal and every error of this room as JSON, and nothing of its inside with it."""

import errno
import logging

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from thumbstack.refusal import NoRoom, Refused

log = logging.getLogger("uploader")

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
        return jsonify(error="The request is too large: send fewer or smaller files.", code="too_large"), 413

    @app.errorhandler(MethodNotAllowed)
    def wrong_method(error: MethodNotAllowed) -> tuple[Response, int, dict[str, str]]:
        sentence = "This method is not possible here: the Allow header names those that are."
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return jsonify(error=sentence, code="method_not_allowed"), 405, {"Allow": allowed}

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[Response, int]:
        status = error.code or 500
        return jsonify(error=error.description, code=error.name.lower().replace(" ", "_")), status

    @app.errorhandler(OSError)
    def disk_full(error: OSError) -> Response | tuple[Response, int]:
        # Bodies are spooled to files; any other trouble with a file is a fault of ours.
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return refused(NoRoom("There is no room for this upload just now: try again in a minute."))
        return unforeseen(error)

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

"""Can this node do its work? Asked by ``make run``, by people and by monitors; never by what replaces nodes."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import requests
from flask import Blueprint, Response, jsonify

from thumbstack.buckets import Buckets
from thumbstack.refusal import Refused

# A room on the same machine answers in milliseconds, or it is not well.
_PATIENCE_SECONDS = 2
# All that is asked here must be told before the edge gives up, which is after 10 s.
_S3_PATIENCE_SECONDS = 4


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=_PATIENCE_SECONDS).ok
    except requests.RequestException:
        return False


def _any_answers(urls: Sequence[str]) -> bool:
    """Ask all at once: together they may take no longer than one of them."""
    with ThreadPoolExecutor(len(urls)) as pool:
        return any(pool.map(_answers, urls))


def routes(buckets: Buckets, thumbor_servers: Sequence[str], signer_server: str | None) -> Blueprint:
    """``GET /readyz``: 200, or 503 with what does not answer."""
    blueprint = Blueprint("readiness", __name__)
    # Threads of their own: a name that nobody resolves is waited for longer than any time-out of the client's.
    asking = ThreadPoolExecutor(4)

    @blueprint.get("/readyz")
    def readyz() -> tuple[Response, int]:
        reasons: dict[str, str] = {}
        try:
            asking.submit(buckets.check).result(_S3_PATIENCE_SECONDS)
        except TimeoutError:
            reasons["s3"] = "The storage does not answer."
        except Refused as refusal:
            reasons["s3"] = refusal.sentence
        # One Thumbor of several is enough: nginx passes the others by.
        if thumbor_servers and not _any_answers([f"http://{server}/healthcheck" for server in thumbor_servers]):
            reasons["thumbor"] = "No Thumbor process answers."
        if signer_server and not _answers(f"http://{signer_server}/healthz"):
            reasons["signer"] = "The signer does not answer."
        return jsonify(ready=not reasons, reasons=reasons), 503 if reasons else 200

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    return blueprint

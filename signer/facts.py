"""What the uploader knows of a picture: the signer touches no bucket."""

from typing import Any

import requests
from requests.auth import AuthBase

from thumbstack.picture_key import PictureKey
from thumbstack.refusal import Forbidden, NoSuchPicture, Unavailable

# Longer than the uploader waits for S3 where it answers at all.
_SECONDS = (2, 12)
_TROUBLE = "The picture cannot be looked up just now: try again in a few seconds."


class _Bearer(AuthBase):
    """The caller's key; also where it has none, or requests would send what a ~/.netrc holds."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class Facts:
    """Asks the uploader at `server` (host:port)."""

    def __init__(self, server: str | None) -> None:
        self._server = server

    def of(self, picture: PictureKey, key: str | None, request_id: str) -> dict[str, Any]:
        """What ``GET /pictures/<key>`` tells the holder of an API key; None is an open app's caller."""
        if self._server is None:
            raise Unavailable("Pictures cannot be looked up here: set UPLOADER_SERVER, or ask for url and srcset only.")
        try:
            with requests.Session() as session:
                # No proxy that the environment names stands between two rooms.
                session.trust_env = False
                answer = session.get(
                    f"http://{self._server}/pictures/{picture}",
                    auth=_Bearer(key),
                    headers={"X-Request-ID": request_id},
                    timeout=_SECONDS,
                    allow_redirects=False,
                )
            told = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise Unavailable(_TROUBLE) from error
        if answer.status_code == 404:
            raise NoSuchPicture("No such picture")
        if answer.status_code == 403:
            raise Forbidden("Send the app's private API key as 'Authorization: Bearer ...'.")
        if answer.status_code != 200 or not isinstance(told, dict):
            raise Unavailable(_TROUBLE)
        return told

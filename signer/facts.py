"""What the uploader knows of a picture: the signer touches no bucket."""

from typing import Any

import requests

from thumbstack.picture_key import PictureKey
from thumbstack.refusal import Forbidden, NoSuchPicture, Unavailable

# Longer than the uploader waits for S3 where it answers at all.
_SECONDS = (2, 12)
_TROUBLE = "The picture cannot be looked up just now: try again in a few seconds."


class Facts:
    """Asks the uploader at `server` (host:port)."""

    def __init__(self, server: str | None) -> None:
        self._server = server

    def of(self, picture: PictureKey, key: str | None, request_id: str) -> dict[str, Any]:
        """What ``GET /pictures/<key>`` tells the holder of an API key; None is an open app's caller."""
        if self._server is None:
            raise Unavailable("Pictures cannot be looked up here: set UPLOADER_SERVER, or ask for url and srcset only.")
        headers = {"X-Request-ID": request_id, **({"Authorization": f"Bearer {key}"} if key else {})}
        try:
            with requests.Session() as session:
                # No proxy of the environment's stands between two rooms, and no key in a ~/.netrc is the caller's.
                session.trust_env = False
                answer = session.get(
                    f"http://{self._server}/pictures/{picture}",
                    headers=headers,
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

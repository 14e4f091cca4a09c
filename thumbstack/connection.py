"""The connection to a service: what is asked again, what is waited for, and what becomes of a refusal."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import MaxRetryError, ResponseError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

from thumbstack import refusal
from thumbstack.refusal import Refused

# Somebody may be waiting for our caller. Who is told to come in a minute gets that answer, and no minute of waiting.
_LONGEST_WAIT_SECONDS = 10
_FORM = "The storage refuses this form: ask for a new ticket, and post its fields as they are, the file last."


class Unreachable(Refused):
    """No answer came, or none that is Thumbstack's. What was asked may have been done."""

    status = 503
    code = "unreachable"


class Connection:
    """Asks the service at `url`; threads may share it."""

    def __init__(self, url: str, timeout: float | tuple[float, float], retries: int) -> None:
        self._url = url
        self._timeout = timeout
        how: dict[str, Any] = {
            "total": retries,
            "allowed_methods": None,
            "backoff_factor": 0.3,
            "raise_on_status": False,
        }
        self._often = _session(_Patience(status_forcelist=(429, 502, 503, 504), **how))
        self._once = _session(_Patience(status_forcelist=(429, 503), read=False, other=0, **how))

    def close(self) -> None:
        """Let go of the sockets."""
        self._often.close()
        self._once.close()

    def ask(
        self, method: str, path: str, *, key: str | None = None, repeatable: bool = True, **what: Any
    ) -> requests.Response:
        """The answer, of the service or of a whole address in the place of a path; a Refused where it is no success.

        What is not `repeatable` is asked again only where it was not done: where there was no connection, or after 429
        and 503, which say so.
        """
        try:
            answer = (self._often if repeatable else self._once).request(
                method,
                self._url + path if path.startswith("/") else path,
                auth=_Bearer(key),
                timeout=self._timeout,
                allow_redirects=False,
                **what,
            )
        except requests.RequestException as error:
            raise Unreachable(f"{self._url} does not answer: {type(error).__name__}.") from error
        if answer.status_code >= 300:
            raise _refusal(answer)
        return answer

    def json(self, method: str, path: str, **what: Any) -> Any:
        """The answer's JSON."""
        answer = self.ask(method, path, **what)
        try:
            return answer.json()
        except requests.JSONDecodeError as error:
            raise _foreign(answer) from error


class _Bearer(AuthBase):
    """A key in its header. Also where there is none: else requests would send what a ~/.netrc has for the host."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class _Patience(Retry):
    """Retries that wait as the service asks, unless that is long."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """The retries that are left; none where the answer asks for too much patience, which is then what counts."""
        if response is not None and _pool is not None and (self.get_retry_after(response) or 0) > _LONGEST_WAIT_SECONDS:
            raise MaxRetryError(_pool, url or "", ResponseError(ResponseError.GENERIC_ERROR))
        return super().increment(method, url, response, error, _pool, _stacktrace)


def _session(retries: Retry) -> requests.Session:
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries))
    return session


def _refusal(answer: requests.Response) -> Refused:
    """What was refused, as the class that stands for its code, if there is one."""
    try:
        sentence, code = (str(answer.json()[name]) for name in ("error", "code"))
    except (ValueError, TypeError, KeyError):
        # What S3 itself says to a form, in XML.
        if "x-amz-request-id" in answer.headers and answer.status_code < 500:
            return _described(Refused(_FORM), answer, "ticket_refused")
        return _foreign(answer)
    refused = _BY_CODE.get(code, Refused)(sentence)
    return _described(refused, answer, code)


def _foreign(answer: requests.Response) -> Refused:
    sentence = f"A {answer.status_code} came, but not from Thumbstack: is the address right?"
    return _described(Unreachable(sentence), answer, Unreachable.code)


def _described(refused: Refused, answer: requests.Response, code: str) -> Refused:
    refused.code = code
    if answer.status_code >= 400:
        refused.status = answer.status_code
    refused.request_id = answer.headers.get("X-Request-ID")
    wait = answer.headers.get("Retry-After", "")
    refused.retry_after_seconds = int(wait) if wait.isdecimal() else None
    return refused


_BY_CODE: Mapping[str, type[Refused]] = {
    kind.code: kind
    for kind in vars(refusal).values()
    if isinstance(kind, type) and issubclass(kind, Refused) and kind is not Refused
}

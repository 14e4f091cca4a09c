"""Sees whether a running service does its work: uploads a picture, looks at a thumbnail, deletes both. `make smoke`.

Tells each step, and ends with 0 only when all went well; a picture that was uploaded is deleted in any case. The
service is at URL, or it is STACK_NAME on AWS, which is asked for its address and its first private key. A key may also
be given as PRIVATE_API_KEY; only a laptop's service needs none. With COMMIT_ID that commit must be what answers.
"""

import argparse
import io
import json
import os
import random
import secrets
import signal
import ssl
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import boto3
import requests
from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema

from thumbstack.client import Picture, Thumbstack
from thumbstack.refusal import Refused

_Found = TypeVar("_Found")
_URL = "http://localhost:5000"
# Of one answer: to be connected, and to be told the next piece. A first thumbnail on a busy node takes seconds.
_TIMEOUT = (10, 60)
# Whether it is ready is known sooner: the rooms wait ten seconds for S3.
_READY_TIMEOUT = (10, 20)
# How long other nodes and a CDN may show what was deleted: docs/api.md promises a minute.
_GONE_SECONDS = 90
_SECONDS_BETWEEN_LOOKS = 1


class FailedError(Exception):
    """What is not as it should be; a sentence."""


def stack(name: str) -> tuple[str, str]:
    """The address and the first private key of a stack on AWS."""
    try:
        session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
        (found,) = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
        secret = session.client("secretsmanager").get_secret_value(SecretId=outputs["ApiKeysSecret"])["SecretString"]
        return outputs["ServiceUrl"], json.loads(secret)[0]["private_key"]
    except ClientError as error:
        raise FailedError(f"{name} cannot be asked: {error.response['Error']['Message']}") from error
    except BotoCoreError as error:
        raise FailedError(f"AWS cannot be asked: {error}") from error
    except (KeyError, IndexError, ValueError) as error:
        raise FailedError(f"{name} has no address or no API key: was it ever created whole?") from error


class Service:
    """One running service, and what is asked of it."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url = url.rstrip("/")
        self._pictures = Thumbstack(self._url, private_api_key=key, timeout=_TIMEOUT)

    def ready(self, within: float) -> str:
        """Wait until it can do its work; a new load balancer's name is not known at once."""
        began = time.monotonic()
        while True:
            answer = ""
            try:
                told = requests.get(f"{self._url}/readyz", timeout=_READY_TIMEOUT, allow_redirects=False)
                if told.is_redirect:
                    raise FailedError(f"It sends on to {told.headers['Location']}: is that the URL?")
                if told.status_code == 200:
                    if _told(told, "ready") is not True:
                        raise FailedError(f"A 200 came from {told.url}, but not from Thumbstack: is the URL right?")
                    return self._url
                answer = f"{told.status_code} {told.text.strip()[:300]}"
            except (InvalidSchema, InvalidURL, MissingSchema) as error:
                raise FailedError(f"{self._url} is no address: make smoke URL={_URL}") from error
            except requests.RequestException as error:
                reason = _reason(error)
                if isinstance(reason, ssl.SSLCertVerificationError):
                    raise FailedError(f"Its certificate is not to be believed: {reason.verify_message}.") from error
                answer = f"no answer ({type(error).__name__}: {reason})"
            if time.monotonic() - began > within:
                raise FailedError(f"{self._url}/readyz after {within:.0f} s: {answer}")
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def commit(self, wanted: str) -> str:
        """See that it is this commit, if one is wanted."""
        answer = requests.get(f"{self._url}/version", timeout=_TIMEOUT)
        runs = str(_told(answer, "commit") or "") if answer.ok else ""
        if wanted and runs != wanted:
            raise FailedError(f"{runs or 'something unknown'} answers, not {wanted}.")
        return runs

    def upload(self) -> Picture:
        # A picture of its own each time: the same bytes would not be stored again.
        image = Image.frombytes("RGB", (64, 48), random.randbytes(64 * 48 * 3)).resize((640, 480))  # noqa: S311
        out = io.BytesIO()
        image.save(out, "JPEG")
        return self._pictures.upload(io.BytesIO(out.getvalue()), f"smoke-{secrets.token_hex(4)}.jpg")

    def thumbnail(self, picture: Picture) -> str:
        """See one of 100x75 pixels; says what it is."""
        answer = requests.get(self._pictures.sign(picture, "100x75"), timeout=_TIMEOUT)
        if answer.status_code != 200:
            raise FailedError(f"{answer.status_code} {answer.text.strip()[:300]}")
        try:
            with Image.open(io.BytesIO(answer.content)) as image:
                image.load()
                size = image.size
        except OSError as error:
            raise FailedError(f"{answer.headers.get('Content-Type')} is no picture: {error}") from error
        if size != (100, 75):
            raise FailedError(f"{size[0]}x{size[1]}, and 100x75 was asked for.")
        return f"100x75, {answer.headers.get('Content-Type')}, {len(answer.content)} bytes"

    def delete(self, picture: Picture) -> str:
        return self._pictures.delete(picture).status

    def gone(self, picture: Picture) -> str:
        """See that its address shows nothing any more; other nodes and a CDN have a minute."""
        began = time.monotonic()
        while (status := requests.get(picture.url, timeout=_TIMEOUT).status_code) not in (404, 410):
            if time.monotonic() - began > _GONE_SECONDS:
                raise FailedError(f"{picture.url} still answers {status} after {_GONE_SECONDS} s.")
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        return str(status)


def _told(answer: requests.Response, name: str) -> object:
    """That field of the answer's JSON; None where there is no such thing."""
    try:
        told = answer.json()
    except ValueError:
        return None
    return told.get(name) if isinstance(told, dict) else None


def _reason(error: BaseException) -> BaseException:
    """What happened first: requests and urllib3 each wrap it."""
    while error.__context__:
        error = error.__context__
    return error


def smoke(service: Service, commit: str, wait: float) -> None:
    """All steps in turn, each told; raises FailedError at the first that fails."""
    step("ready", lambda: service.ready(wait))
    step("commit", lambda: service.commit(commit))
    picture = step("upload", service.upload, lambda found: found.key)
    try:
        step("thumbnail", lambda: service.thumbnail(picture))
    finally:
        # Also after a step that failed, or Ctrl-C: it is the collection of somebody.
        step("delete", lambda: service.delete(picture))
    step("gone", lambda: service.gone(picture))


def step(name: str, do: Callable[[], _Found], told: Callable[[_Found], object] = str) -> _Found:
    print(f"{name:<10}", end="", flush=True)
    try:
        found = do()
    except FailedError as error:
        print(f" FAILED: {error}", flush=True)
        raise
    except Refused as error:
        print(f" FAILED: {error.sentence}", flush=True)
        raise FailedError(f"{error.code}: {error.sentence}") from error
    except (requests.RequestException, ValueError) as error:
        print(f" FAILED: {_reason(error)}", flush=True)
        raise FailedError(str(_reason(error))) from error
    print(f" {told(found)}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wait", type=float, default=60, help="seconds until it must be ready (60)")
    wait: float = parser.parse_args().wait
    # Who ends a build sends this: the picture is deleted then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("\nsmoke: stopped"))
    told = {name: os.environ.get(name, "") for name in ("URL", "STACK_NAME", "PRIVATE_API_KEY", "COMMIT_ID")}
    url, key = told["URL"] or _URL, told["PRIVATE_API_KEY"]
    try:
        if told["STACK_NAME"]:
            address, stacks_key = stack(told["STACK_NAME"])
            url, key = told["URL"] or address, key or stacks_key
        smoke(Service(url, key or None), told["COMMIT_ID"], wait)
    except FailedError as error:
        sys.exit(f"smoke: {url} does not do its work: {error}")
    except KeyboardInterrupt:
        sys.exit("\nsmoke: stopped")
    print(f"{url} does its work.")


if __name__ == "__main__":
    main()

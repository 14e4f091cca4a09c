"""One thing that the doctor looks at, and how it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from thumbstack.picture_key import PictureKey

PATIENCE_SECONDS = 60
# A picture that there never was.
NOBODYS = PictureKey("thumbstack-doctor", "nobodys", "1_none.jpg")


class Verdict(StrEnum):
    """What a check comes to."""

    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class Check:
    """One line of the table."""

    name: str
    verdict: Verdict
    told: str


def ok(name: str, is_ok: bool, told: str, otherwise: str) -> Check:
    """What a yes-or-no question comes to, in one of two sentences."""
    return Check(name, Verdict.OK, told) if is_ok else Check(name, Verdict.WRONG, otherwise)


def untold(name: str, code: str) -> Check:
    """What is neither well nor wrong."""
    return Check(name, Verdict.UNKNOWN, f"The storage does not tell it, or not to these credentials ({code}).")


def asked(call: Callable[[], Any]) -> tuple[str, Any]:
    """What is wrong, in a sentence; empty, and the answer, where nothing is."""
    try:
        return "", call()
    except NoCredentialsError:
        return (
            "There are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the instance a role.",
            None,
        )
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        sentences = {
            "404": "There is no such bucket: make it, or correct the name.",
            "NoSuchBucket": "There is no such bucket: make it, or correct the name.",
            "403": "S3 refuses these credentials: are they right, and may they use and list this bucket?",
            "400": "S3 does not understand the request: is AWS_REGION the bucket's?",
            "301": "The bucket is in another region: set AWS_REGION.",
        }
        return sentences.get(code, code), None
    except BotoCoreError as error:
        return f"S3 cannot be reached ({type(error).__name__}): S3_ENDPOINT, the network.", None


def get(url: str, accept: str = "image/jpeg") -> requests.Response | None:
    """An answer; None where there is none."""
    try:
        return requests.get(url, headers={"Accept": accept}, timeout=PATIENCE_SECONDS)
    except requests.RequestException:
        return None

"""How near does an upload come to boto3's upload_fileobj, straight into the same embedded S3?"""

import io
import itertools
from functools import partial
from typing import Any

import boto3
from botocore.config import Config

from bench.load import Client, by_threads
from bench.photographs import photograph
from bench.rounds import Figures, alternate, arguments, tell
from bench.stack import Stack, folder, running

# Versioned, as the stack's originals are; and one that is not.
_PICTURES = "thumbstack-pictures"
_UNVERSIONED = "bench-unversioned"


def _s3(stack: Stack) -> Any:
    credentials = stack.s3_credentials
    return boto3.client(
        "s3",
        endpoint_url=stack.s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}),
    )


def _through(stack: Stack, body: bytes, clients: int, count: int) -> Figures:
    everybody = [Client(stack.port) for _ in range(clients)]
    before = stack.processor_seconds()
    figures = by_threads([partial(stack.upload, client, body) for client in everybody], count, "uploads")
    after = stack.processor_seconds()
    return {
        **figures,
        **{f"ms of {room} each": (after[room] - before[room]) / count * 1000 for room in ("uploader", "s3", "nginx")},
    }


def _straight(
    stack: Stack, s3: Any, bucket: str, body: bytes, clients: int, count: int, names: "itertools.count[int]"
) -> Figures:
    def put() -> None:
        s3.upload_fileobj(io.BytesIO(body), bucket, f"bench/{next(names)}.jpg")

    before = stack.processor_seconds()
    figures = by_threads([put] * clients, count, "uploads")
    after = stack.processor_seconds()
    return {**figures, "ms of s3 each": (after["s3"] - before["s3"]) / count * 1000}


def main() -> None:
    """Measure by turns: the stack, boto3 into a versioned bucket, boto3 into one without versions."""
    parser = arguments("uploads", __doc__ or "")
    parser.add_argument("--uploads", type=int, default=6, help="in one measurement (%(default)s)")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4], help="at a time (%(default)s)")
    options = parser.parse_args()
    body = photograph(0, 4200, 2800, grain=18)
    names = itertools.count()
    comparisons = []
    with folder() as place, running(place / "stack") as stack:
        s3 = _s3(stack)
        s3.create_bucket(Bucket=_UNVERSIONED)
        for clients in options.clients:
            straight = partial(_straight, stack, s3, body=body, clients=clients, count=options.uploads, names=names)
            sides = {
                "stack": partial(_through, stack, body, clients, options.uploads),
                "boto3": partial(straight, _PICTURES),
                "boto3, unversioned": partial(straight, _UNVERSIONED),
            }
            goals = {"boto3": 0.7, "boto3, unversioned": 0.7}
            comparisons.append(alternate(f"{clients} clients", sides, options.rounds, goals=goals))
    tell("uploads", comparisons, photograph_bytes=len(body))


if __name__ == "__main__":
    main()

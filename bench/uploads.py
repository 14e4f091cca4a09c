"""How near does an upload come to boto3's upload_fileobj, and to a bare presigned PUT, straight into the same S3?"""

import io
import itertools
from functools import partial
from typing import Any

from bench.load import Client, by_threads
from bench.photographs import photograph
from bench.rounds import Figures, alternate, arguments, tell
from bench.stack import Stack, folder, running

# Versioned, as the stack's originals are; and one that is not.
_PICTURES = "thumbstack-pictures"
_UNVERSIONED = "bench-unversioned"


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


def _bare(stack: Stack, s3: Any, body: bytes, clients: int, count: int, names: "itertools.count[int]") -> Figures:
    """The S3's own limit: presigned before the clock runs, sent by the same thin client as the stack's uploads."""
    keys = [f"bench/{next(names)}.jpg" for _ in range(count)]
    urls = [s3.generate_presigned_url("put_object", Params={"Bucket": _PICTURES, "Key": key}) for key in keys]
    paths = iter([url.removeprefix(stack.s3_endpoint) for url in urls])
    everybody = [Client(int(stack.s3_endpoint.rpartition(":")[2])) for _ in range(clients)]

    def put(client: Client) -> None:
        client.ask(next(paths), {}, method="PUT", body=body)

    return by_threads([partial(put, client) for client in everybody], count, "uploads")


# Bytes and grain of a photograph of about that size.
_SIZES = {"100kB": (800, 600, 4.0), "1MB": (2000, 1333, 10.0), "5MB": (4200, 2800, 18.0), "10MB": (6000, 4000, 17.0)}


def main() -> None:
    """Measure by turns: the stack, boto3 into a versioned bucket and into one without versions, a bare PUT."""
    parser = arguments("uploads", __doc__ or "")
    parser.add_argument("--uploads", type=int, default=6, help="in one measurement (%(default)s)")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4], help="at a time (%(default)s)")
    parser.add_argument("--sizes", nargs="+", choices=list(_SIZES), default=["5MB"], help="photographs (%(default)s)")
    options = parser.parse_args()
    names = itertools.count()
    comparisons = []
    with folder() as place, running(place / "stack") as stack:
        s3 = stack.s3()
        s3.create_bucket(Bucket=_UNVERSIONED)
        for size, clients in itertools.product(options.sizes, options.clients):
            width, height, grain = _SIZES[size]
            body = photograph(0, width, height, grain)
            straight = partial(_straight, stack, s3, body=body, clients=clients, count=options.uploads, names=names)
            sides = {
                "stack": partial(_through, stack, body, clients, options.uploads),
                "boto3": partial(straight, _PICTURES),
                "boto3, unversioned": partial(straight, _UNVERSIONED),
                "presigned PUT": partial(_bare, stack, s3, body, clients, options.uploads, names),
            }
            goals = {"boto3": 0.7, "boto3, unversioned": 0.7}
            comparisons.append(
                alternate(f"{size}, {len(body)} bytes, {clients} clients", sides, options.rounds, goals=goals)
            )
    tell("uploads", comparisons)


if __name__ == "__main__":
    main()

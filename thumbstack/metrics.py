"""What the rooms count, for Prometheus to read. docs/operations.md says what each number means."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from thumbstack.json_log import request_id

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
# Whoever calls may write any word there; a label's values must be few.
_METHODS = frozenset(("GET", "HEAD", "POST", "DELETE", "OPTIONS"))
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

REQUESTS = Counter("thumbstack_requests", "Requests that were answered", ["route", "method", "status"])
REQUEST_SECONDS = Histogram("thumbstack_request_seconds", "From request to answer", ["route"], buckets=SECONDS)
IN_FLIGHT = Gauge("thumbstack_requests_in_flight", "Requests under way", multiprocess_mode="livesum")
REFUSALS = Counter("thumbstack_refusals", "Requests, or files of one, that were refused, by code", ["code"])

S3_SECONDS = Histogram("thumbstack_s3_seconds", "S3's calls, tries again included", ["operation"], buckets=SECONDS)
S3_ERRORS = Counter("thumbstack_s3_errors", "S3's calls that failed; a 404 is an answer", ["operation", "error"])


def answered(route: str, method: str, status: int, seconds: float, codes: Iterable[str] = ()) -> None:
    """Count a request; `route` is a pattern of ours, never the address that was asked."""
    REQUESTS.labels(route, method if method in _METHODS else "other", status).inc()
    REQUEST_SECONDS.labels(route).observe(seconds)
    for code in codes:
        REFUSALS.labels(code).inc()


@contextmanager
def s3_call(operation: str) -> Iterator[None]:
    """Count and time one call of S3; an exception says in its `error` what it is counted as, or None."""
    began = time.perf_counter()
    try:
        yield
    except Exception as failure:
        if error := getattr(failure, "error", "connection"):
            S3_ERRORS.labels(operation, error).inc()
        raise
    finally:
        S3_SECONDS.labels(operation).observe(time.perf_counter() - began)


def watch(client: "S3Client") -> "S3Client":
    """The same client, with all its calls counted and timed."""
    events = client.meta.events

    def begin(context: dict[str, Any], **_: Any) -> None:
        context["began"] = time.perf_counter()

    def end(model: Any, context: dict[str, Any], http_response: Any, **_: Any) -> None:
        S3_SECONDS.labels(model.name).observe(time.perf_counter() - context["began"])
        if http_response.status_code >= 400 and http_response.status_code not in (404, 412):
            S3_ERRORS.labels(model.name, http_response.status_code).inc()

    def fail(event_name: str, context: dict[str, Any], exception: Exception, **_: Any) -> None:
        operation = event_name.rpartition(".")[2]
        S3_SECONDS.labels(operation).observe(time.perf_counter() - context["began"])
        S3_ERRORS.labels(operation, "timeout" if "Timeout" in type(exception).__name__ else "connection").inc()

    def sign(request: Any, **_: Any) -> None:
        # S3's own log names the request by it; it is not signed.
        request.headers["User-Agent"] = f"thumbstack request/{request_id.get()}"

    events.register("before-call.s3", begin)
    events.register("before-send.s3", sign)
    events.register("after-call.s3", end)
    events.register("after-call-error.s3", fail)
    return client


def resident_bytes(pid: int | str = "self") -> int:
    """Memory that a process has in hand; 0 where the system does not tell, or it has just gone."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    return 0


class _Processes:
    """The memory of a room of several processes: of the parent and all its workers."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        parent = os.getppid()
        pids = [str(parent)]
        with suppress(OSError):
            pids += Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        yield GaugeMetricFamily(
            "process_resident_memory_bytes",
            "Resident memory of all processes of the room",
            value=sum(map(resident_bytes, pids)),
        )


def exposition() -> bytes:
    """All numbers, as Prometheus reads them; of all the room's processes, whichever is asked (workers.py)."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(_Processes())
    return generate_latest(registry)

"""Many pictures, some at a time: memory that does not grow, counts that are right, an end where S3 has one."""

import time
import tracemalloc
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from curator.flags import Flags
from curator.walk import originals
from curator.work import Outcome, Tally, Work
from thumbstack.buckets import Buckets
from thumbstack.picture_key import PictureKey
from thumbstack.refusal import NoRoom, StorageUnavailable, Undecodable


class Listing:
    """A bucket of so many originals, listed as S3 does: a thousand a page, made when it is asked for."""

    def __init__(self, count: int) -> None:
        self._count = count

    def get_paginator(self, _: str) -> "Listing":
        return self

    def paginate(self, **_: object) -> Iterator[Mapping[str, Any]]:
        for start in range(0, self._count, 1000):
            numbers = range(start, min(start + 1000, self._count))
            yield {"Contents": [{"Key": f"o/demo/photo/1{number:09d}_aa.jpg", "Size": 1} for number in numbers]}


def peak_of(count: int) -> int:
    """Memory at most, while so many originals are walked and worked on."""
    buckets = Buckets(cast(Any, Listing(count)), "pictures", "results")
    tracemalloc.start()
    tally = Work(Flags(jobs=2)).run(originals(buckets), lambda picture: Outcome.PROCESSED)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tally.images, tally.processed) == (count, count)
    return peak


def test_memory_does_not_grow_with_the_collection() -> None:
    peak_of(1000)
    small, large = peak_of(2000), peak_of(15_000)

    assert large < 1.2 * small
    assert large < 4_000_000


def test_failures_are_counted_listed_up_to_a_thousand_and_stop_nothing() -> None:
    def do(number: int) -> Outcome:
        if number % 2:
            raise Undecodable("The picture is cut off.")
        return Outcome.SKIPPED if number % 4 else Outcome.PROCESSED

    tally = Work(Flags()).run(range(4000), do)

    assert (tally.images, tally.skipped, tally.processed, tally.errors) == (4000, 1000, 1000, 2000)
    assert len(tally.failed) == 1000
    assert {"name": "1", "error": "The picture is cut off.", "code": "undecodable"} in tally.failed
    assert tally.exit_code == 1


def test_where_the_storage_is_gone_the_rest_is_not_tried() -> None:
    asked = []

    def do(number: int) -> Outcome:
        asked.append(number)
        raise StorageUnavailable("The storage cannot be reached just now.")

    tally = Work(Flags(jobs=1)).run(range(10_000), do)

    assert len(asked) < 30
    assert (tally.exit_code, tally.ended) == (3, "The storage cannot be reached just now.")
    assert tally.images == tally.errors


def test_where_there_is_no_room_for_one_there_is_none_for_the_next() -> None:
    def do(number: int) -> Outcome:
        raise NoRoom("It cannot be written: No space left on device.")

    tally = Work(Flags(jobs=1)).run(range(10_000), do)

    assert tally.errors <= 3
    assert (tally.exit_code, tally.ended) == (3, "It cannot be written: No space left on device.")


def test_a_listing_that_breaks_off_ends_it_after_what_is_under_way() -> None:
    def some() -> Iterator[int]:
        yield from range(5)
        raise StorageUnavailable("The storage cannot be reached just now.")

    tally = Work(Flags()).run(some(), lambda number: Outcome.PROCESSED)

    assert tally.images == tally.processed <= 5
    assert (tally.exit_code, tally.ended) == (3, "The storage cannot be reached just now.")


def test_an_error_that_nobody_foresaw_is_an_error_of_one_picture() -> None:
    def do(number: int) -> Outcome:
        return Outcome.PROCESSED if 1 // number else Outcome.SKIPPED

    tally = Work(Flags()).run((0, 1), do)

    assert tally.failed[0]["error"] == "ZeroDivisionError: integer division or modulo by zero"
    assert tally.line() == "images: 2, skipped: 0, processed: 1, errors: 1"


@pytest.mark.parametrize(("seconds", "told"), [(0.04, "0:00:00.0"), (61.25, "0:01:01.2"), (90_061, "25:01:01.0")])
def test_the_duration_is_told_also_of_days(capsys: pytest.CaptureFixture[str], seconds: float, told: str) -> None:
    work = Work(Flags())
    work.tally = Tally(seconds=seconds)

    with pytest.raises(SystemExit):
        work.finish()

    assert capsys.readouterr().out.splitlines()[-1] == f"duration: {told}"


def test_a_bar_tells_how_many_there_are_and_how_long_it_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    said = ""

    def do(number: int) -> Outcome:
        nonlocal said
        while "/3" not in said:
            time.sleep(0.05)
            said += capsys.readouterr().err
        return Outcome.PROCESSED

    Work(Flags(jobs=1)).run(range(3), do, expected=range(3))

    assert " left" in said


def test_a_listing_that_cannot_be_counted_has_a_bar_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")

    def broken() -> Iterator[int]:
        yield 1
        raise StorageUnavailable("The storage cannot be reached just now.")

    tally = Work(Flags()).run(range(3), lambda number: Outcome.PROCESSED, expected=broken())

    assert (tally.processed, tally.exit_code) == (3, 0)


def test_the_walk_finds_one_app_a_prefix_or_so_many() -> None:
    prefixes: list[str] = []

    class Asked(Listing):
        def paginate(self, **options: object) -> Iterator[Mapping[str, Any]]:
            prefixes.append(str(options["Prefix"]))
            return super().paginate(**options)

    buckets = Buckets(cast(Any, Asked(2500)), "pictures", "results")

    assert len(list(originals(buckets, limit=10))) == 10
    assert next(originals(buckets, app="demo", prefix="ph")) == PictureKey("demo", "photo", "1000000000_aa.jpg")
    next(originals(buckets, prefix="o/demo/x"))
    assert prefixes == ["o/", "o/demo/ph", "o/demo/x"]

"""The work of a command: many pictures, some at a time, counted; a failure stops nothing, a signal ends it well."""

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import takewhile
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from curator.flags import Flags
from thumbstack.refusal import NoRoom, Refused

T = TypeVar("T")

# Exit codes; 2 is click's own: the command line makes no sense.
ALL_WELL, SOME_FAILED, BROKEN_OFF = 0, 1, 3
# As shells tell of a process that a signal ended.
_SIGNALLED = 128
# All are counted; so many are listed at the end.
_MAX_LISTED = 1000
# Where S3, Thumbor or the scanner is gone, the rest of the collection need not be tried.
_UNAVAILABLE = 503
_UNAVAILABLE_IN_A_ROW = 20


class Outcome(StrEnum):
    """What became of a picture that did not fail."""

    PROCESSED = "processed"
    SKIPPED = "skipped"


Did = Outcome | tuple[Outcome, str]


@dataclass
class Tally:
    """What became of all."""

    images: int = 0
    skipped: int = 0
    processed: int = 0
    errors: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    # Why it ended early.
    ended: str | None = None
    signal: int | None = None
    seconds: float = 0.0
    dry_run: bool = False
    # What a command counts beside.
    also: dict[str, int] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0: all well; 1: some failed; 3: it could not go on; 130 or 143: stopped by SIGINT or SIGTERM."""
        if self.signal:
            return _SIGNALLED + self.signal
        if self.ended:
            return BROKEN_OFF
        return SOME_FAILED if self.errors else ALL_WELL

    def line(self) -> str:
        """The counts, in the words that keepers look for."""
        return f"images: {self.images}, skipped: {self.skipped}, processed: {self.processed}, errors: {self.errors}"

    def told(self) -> dict[str, Any]:
        """For machines."""
        return {
            "images": self.images,
            "skipped": self.skipped,
            "processed": self.processed,
            "errors": self.errors,
            **self.also,
            "failed": self.failed,
            "ended": self.ended,
            "dry_run": self.dry_run,
            "duration_seconds": round(self.seconds, 3),
        }


class Work:
    """One run of a command."""

    def __init__(self, flags: Flags, *, silent: bool = False) -> None:
        """With `silent` the standard output is taken by something else."""
        self._flags = flags
        self._silent = silent
        self.tally = Tally(dry_run=flags.dry_run)
        self._began = 0.0
        self._in_a_row = 0
        self._lock = threading.Lock()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def count(self, name: str, by: int = 1) -> None:
        """Count something beside; from any thread."""
        with self._lock:
            self.tally.also[name] = self.tally.also.get(name, 0) + by

    def say(self, text: str) -> None:
        """A line for who asked for all of them; from any thread."""
        if self._flags.verbose:
            click.echo(text, err=self._flags.json or self._silent)

    def end(self, why: str) -> None:
        """Begin nothing more, and say why; from any thread."""
        self.tally.ended = self.tally.ended or why

    def run(
        self,
        things: Iterable[T],
        do: Callable[[T], Did],
        named: Callable[[T], str] = str,
        *,
        expected: Iterable[object] = (),
    ) -> Tally:
        """Do each of the things, ``--jobs`` at a time and never many more in hand; count what becomes of them.

        `do` says what became of a thing, and what it made where that is worth a word, or raises. Things are taken one
        by one: a listing may be any length. `expected` are as many: they are only counted, beside the work, for a bar,
        which tells then how long it will take.
        """
        self._began = time.monotonic()
        with self._progress(expected), self._stoppable(), ThreadPoolExecutor(self._flags.jobs) as pool:
            under_way: dict[Future[Did], str] = {}
            try:
                for thing in things:
                    if self.tally.ended:
                        break
                    self.tally.images += 1
                    under_way[pool.submit(do, thing)] = named(thing)
                    if len(under_way) >= 2 * self._flags.jobs:
                        self._settle(under_way, wait(under_way, return_when=FIRST_COMPLETED).done)
            except Exception as error:  # the listing broke off, or what was named is not there
                self.end(_sentence(error))
            if self.tally.ended:
                self._settle(under_way, [one for one in under_way if one.cancel()])
            while under_way:
                self._settle(under_way, wait(under_way, return_when=FIRST_COMPLETED).done)
        self.tally.seconds = time.monotonic() - self._began
        return self.tally

    def finish(self) -> NoReturn:
        """Sum up, and end the process with the exit code."""
        tally = self.tally
        if self._flags.json:
            click.echo(json.dumps(tally.told()), err=self._silent)
        else:
            for failed in tally.failed:
                click.echo(f"error: {failed['name']}: {failed['error']}", err=True)
            if tally.errors > len(tally.failed):
                click.echo(f"... and {tally.errors - len(tally.failed)} more errors", err=True)
            if tally.ended:
                click.echo(f"ended early: {tally.ended}", err=True)
            for name, number in tally.also.items():
                click.echo(f"{name}: {number}", err=self._silent)
            note = "dry run, nothing was changed: " if tally.dry_run else ""
            click.echo(note + tally.line(), err=self._silent)
            click.echo(f"duration: {_duration(tally.seconds)}", err=self._silent)
        sys.exit(tally.exit_code)

    def _settle(self, under_way: dict[Future[Did], str], done: Iterable[Future[Did]]) -> None:
        for future in list(done):
            name = under_way.pop(future)
            if future.cancelled():
                self.tally.images -= 1
                continue
            error = future.exception()
            if error is None:
                did = future.result()
                outcome, made = did if isinstance(did, tuple) else (did, "")
                self._in_a_row = 0
                if outcome is Outcome.PROCESSED:
                    self.tally.processed += 1
                else:
                    self.tally.skipped += 1
                self.say(f"{outcome} {name}" + (f" -> {made}" if made else ""))
            else:
                self._failed(name, error)
            self._show()

    def _failed(self, name: str, error: BaseException) -> None:
        told = _sentence(error)
        code = error.code if isinstance(error, Refused) else "internal_error"
        self.tally.errors += 1
        self.say(f"error {name}: {told}")
        if len(self.tally.failed) < _MAX_LISTED:
            self.tally.failed.append({"name": name, "error": told, "code": code})
        self._in_a_row = self._in_a_row + 1 if isinstance(error, Refused) and error.status == _UNAVAILABLE else 0
        # A disk that is full is so for the next one, too.
        if isinstance(error, NoRoom) or self._in_a_row >= _UNAVAILABLE_IN_A_ROW:
            self.end(told)

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """At the first SIGINT or SIGTERM nothing more is begun and what is under way ends; no second one waits."""

        def stop(number: int, _: object) -> None:
            if self.tally.signal:
                # Threads in the middle of something would keep the process: whatever they leave, a next run finds.
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            self.tally.signal = number
            self.end(f"stopped by {signal.Signals(number).name}: the same command goes on from here")
            click.echo("\nStopping: what is under way ends first (once more: at once) ...", err=True)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def _progress(self, expected: Iterable[object]) -> Iterator[None]:
        """A bar for who looks at a terminal."""
        console = Console(stderr=True)
        if not console.is_terminal or self._flags.json or self._flags.progress:
            yield
            return
        columns = (
            SpinnerColumn(),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("skipped {task.fields[skipped]}, errors {task.fields[errors]}"),
            TextColumn("{task.fields[rate]:.1f}/s"),
            TimeRemainingColumn(),
            TextColumn("left"),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            self._bar, self._task = bar, bar.add_task("", total=None, skipped=0, errors=0, rate=0.0)
            threading.Thread(target=self._expect, args=(expected,), daemon=True).start()
            yield
        self._bar = None

    def _expect(self, things: Iterable[object]) -> None:
        # A listing that breaks off breaks the work off as well, which tells it.
        with suppress(Exception):
            count = sum(1 for _ in takewhile(lambda _: self._bar, things))
            if self._bar and self._task is not None:
                self._bar.update(self._task, total=count or None)

    def _show(self) -> None:
        tally = self.tally
        done = tally.skipped + tally.processed + tally.errors
        if self._bar is not None and self._task is not None:
            rate = done / (time.monotonic() - self._began)
            self._bar.update(self._task, completed=done, skipped=tally.skipped, errors=tally.errors, rate=rate)
        elif self._flags.progress and done % self._flags.progress == 0:
            click.echo(f"progress: {done}, {tally.line()}", err=True)


def _sentence(error: BaseException) -> str:
    return error.sentence if isinstance(error, Refused) else f"{type(error).__name__}: {error}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds, 1), 60)
    return f"{int(minutes) // 60}:{int(minutes) % 60:02d}:{seconds:04.1f}"

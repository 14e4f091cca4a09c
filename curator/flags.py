"""The flags that commands share, in the words and letters that keepers of c2corg's images know."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click

P = ParamSpec("P")
R = TypeVar("R")

JOBS = 5


@dataclass(frozen=True)
class Flags:
    """What was asked; a command that does not know a flag leaves it as it is here."""

    force: bool = False
    jobs: int = JOBS
    key: str | None = None
    limit: int | None = None
    progress: int | None = None
    verbose: bool = False
    dry_run: bool = False
    json: bool = False


_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "force": click.option("-f", "--force", is_flag=True, help="Do again what is done already."),
    "key": click.option("-k", "--key", metavar="NAME", help="Do this one only."),
    "limit": click.option("-l", "--limit", type=click.IntRange(1), metavar="N", help="Stop after so many."),
    "progress": click.option(
        "-p",
        "--progress",
        type=click.IntRange(1),
        metavar="N",
        help="Say how far it is after every so many, in place of the bar that a terminal gets.",
    ),
    "verbose": click.option("-v", "--verbose", is_flag=True, help="Say what becomes of each."),
    "dry_run": click.option("--dry-run", is_flag=True, help="Only say what would be done."),
    "json": click.option("--json", is_flag=True, help="Sum up in JSON, for machines: nothing else on standard output."),
}


def _jobs(otherwise: int) -> Callable[[Any], Any]:
    return click.option(
        "-j",
        "--jobs",
        type=click.IntRange(1, 64),
        default=otherwise,
        show_default=True,
        metavar="N",
        help="Do so many at a time.",
    )


def flags(*names: str, jobs: int = JOBS) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Give a command these flags; it gets them as `flags`. `jobs` is how many it does at a time unless it is told."""

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        @wraps(command)
        def called(**options: Any) -> R:
            told = {name: options.pop(name) for name in names}
            return command(flags=Flags(**told), **options)

        decorated: Callable[..., R] = called
        for name in reversed(names):
            decorated = (_jobs(jobs) if name == "jobs" else _OPTIONS[name])(decorated)
        return decorated

    return decorate

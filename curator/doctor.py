"""Is the installation as it should be? Each check is a sentence, and what to do where the answer is no."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict

import click
from pydantic import ValidationError
from rich import box
from rich.console import Console
from rich.table import Table

from curator.bucket_checks import bucket_checks
from curator.check import Check, Verdict, ok
from curator.config import Config
from curator.flags import Flags, flags
from curator.render_checks import render_checks
from curator.room import Room
from curator.trial import Trial

_EPILOG = """\b
Examples:
  curator doctor                 a table; ends with 1 where something is wrong
  curator doctor --json | jq '.checks[] | select(.verdict != "ok")'

\b
It uploads a picture of its own, has it rendered, and deletes it again. 'not known' is what the storage does not tell,
or not to these credentials: that is no fault, and no all-clear.
"""


@click.command(epilog=_EPILOG, short_help="Check settings, buckets, Thumbor and a picture's way.")
@flags("json")
def doctor(flags: Flags) -> None:
    """Check the settings, the buckets and their rules, the clock, Thumbor's limits, and one picture's whole way.

    It ends with 0 where nothing is wrong, and with 1 where something is.
    """
    checks = list(_all())
    if flags.json:
        click.echo(json.dumps({"well": _is_well(checks), "checks": [asdict(check) for check in checks]}))
    else:
        _show(checks)
    sys.exit(0 if _is_well(checks) else 1)


def _is_well(checks: Iterable[Check]) -> bool:
    return not any(check.verdict is Verdict.WRONG for check in checks)


def _show(checks: list[Check]) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("check", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("")
    colours = {Verdict.OK: "green", Verdict.WRONG: "bold red", Verdict.UNKNOWN: "yellow"}
    for check in checks:
        table.add_row(check.name, f"[{colours[check.verdict]}]{check.verdict}[/]", check.told)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    counted = {verdict: sum(check.verdict is verdict for check in checks) for verdict in Verdict}
    click.echo(", ".join(f"{verdict}: {number}" for verdict, number in counted.items()))


def _all() -> Iterator[Check]:
    try:
        config = Config.load()
    except ValidationError as error:
        for told in Config.problems(error):
            yield Check("settings", Verdict.WRONG, told)
        return
    yield from _settings(config)
    room = Room(config)
    reached = True
    for check in bucket_checks(room):
        reached &= check.verdict is not Verdict.WRONG or "bucket" not in check.name
        yield check
    yield from render_checks(config)
    if reached:
        yield from Trial(room).checks()
    else:
        yield Check("a picture's way", Verdict.UNKNOWN, "Left out: the buckets come first.")


def _settings(config: Config) -> Iterator[Check]:
    yield Check("settings", Verdict.OK, "All variables can be read.")
    weak = [key for key in config.security_keys if len(set(key)) < 8]
    yield ok(
        "security keys",
        not weak and len(set(config.security_keys)) == len(config.security_keys),
        f"{len(config.security_keys)}, the first signs.",
        "One of SECURITY_KEYS is easily guessed, or is there twice: make one with `openssl rand -hex 32`.",
    )
    apps = sorted({pair.app for pair in config.api_keys})
    told = f"Apps with keys: {', '.join(apps) or 'none'}."
    if config.open_app:
        told += f" Anybody may use {config.open_app} (OPEN_APP): right on a laptop only."
    yield ok("API keys", bool(apps or config.open_app), told, "Nobody may upload: `make keys APP=...`, then API_KEYS.")
    presets = config.presets()
    yield Check("presets", Verdict.OK, f"{', '.join(presets)}: all are options that Thumbor takes.")

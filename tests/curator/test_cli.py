"""The command line as a whole."""

import os
import subprocess
from pathlib import Path

from curator import cli
from tests.curator.conftest import Curator

ROOT = Path(__file__).parents[2]
BIN = ROOT / "curator" / "bin"


def test_every_command_is_in_the_path_by_its_name() -> None:
    assert {file.name for file in BIN.iterdir()} == {"curator", *cli.curator.commands}
    assert all(os.access(file, os.X_OK) for file in BIN.iterdir())


def test_a_command_called_by_its_name_is_that_command(curator: Curator) -> None:
    environment = {"PATH": f"{BIN}:{ROOT}/.venv/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    said = subprocess.run(["usage", "--help"], env=environment, capture_output=True, text=True, check=True).stdout

    assert said == curator("usage", "--help").out


def test_help_needs_no_configuration_and_has_examples_and_exit_codes() -> None:
    without = Curator({})

    assert "130    stopped by Ctrl-C" in without("--help").out
    # Whole sentences: click cuts off what is too long.
    assert "..." not in without("--help").out.partition("Commands:")[2]
    for name in cli.curator.commands:
        done = without(name, "--help")
        assert done.code == 0
        assert f"curator {name}" in done.out.partition("Examples:")[2], name


def test_a_missing_setting_is_named_and_ends_it_with_3(curator: Curator) -> None:
    done = curator("usage", PICTURES_BUCKET="")

    assert (done.code, done.err) == (3, "curator: PICTURES_BUCKET is not set\n")


def test_a_storage_that_is_away_is_told_in_a_sentence(curator: Curator) -> None:
    done = curator("usage", S3_ENDPOINT="http://127.0.0.1:1")

    assert done.code == 3
    assert done.err == "curator: The storage cannot be reached just now: try again in a few seconds.\n"


def test_an_output_that_is_full_is_told_in_a_sentence(curator: Curator) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [BIN / "usage"],
            env={**curator.variables, "PATH": f"{ROOT}/.venv/bin", "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert (done.returncode, done.stderr) == (
        3,
        "curator: what is said cannot be written: No space left on device\n",
    )


def test_an_age_of_more_than_the_calendar_is_none(curator: Curator) -> None:
    done = curator("clean", "--older-than", "999999w")

    assert (done.code, "longer than a hundred years" in done.err) == (2, True)

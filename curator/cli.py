"""The command line: ``curator COMMAND``, a module a command."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from curator import clean, clear, doctor, export, migrate, resize, restore, usage, verify
from thumbstack.refusal import Refused

_HELP = """Keeps a collection of pictures: brings it here, counts it, takes it elsewhere.

A command may be stopped at any moment, also by kill -9: the same command goes on from there. Ctrl-C ends what is under
way first, and again at once.
"""
_EPILOG = """\b
Examples:
  curator usage
  curator migrate --app demo --source-folder /backup/photos
  curator COMMAND --help

\b
It ends with
  0      all well
  1      at its end, with pictures that failed: they are listed
  2      the command line makes no sense
  3      it could not begin or go on: a setting, a full disk, the storage
  130    stopped by Ctrl-C; 143: by SIGTERM
"""


@click.group(
    help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
def curator() -> None:
    """Lead to the commands."""


curator.add_command(migrate.migrate)
curator.add_command(export.export)
curator.add_command(usage.usage)
curator.add_command(resize.resize_images)
curator.add_command(resize.resize_images, "resize")
curator.add_command(clean.clean)
curator.add_command(clear.clear)
curator.add_command(restore.restore)
curator.add_command(verify.verify)
curator.add_command(doctor.doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; what it is refused is told in a sentence."""
    try:
        sys.exit(curator.main(arguments, prog_name="curator", standalone_mode=False))
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except click.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except Refused as refusal:
        click.echo(f"curator: {refusal.sentence}", err=True)
        sys.exit(3)
    except OSError as error:  # of where the output goes; a file of a picture's is that picture's failure
        click.echo(f"curator: what is said cannot be written: {error.strerror}", err=True)
        with suppress(OSError):
            # Or the interpreter would try once more, and end with a code of its own.
            sys.stdout.close()
        sys.exit(3)


def called(program: str, arguments: Sequence[str]) -> None:
    """Run the command that the program is named like: bin/migrate is ``curator migrate``."""
    name = Path(program).name
    main([*([] if name == curator.name else [name]), *arguments])

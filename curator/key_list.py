"""The file that tells which key stands for what was elsewhere."""

import csv
import threading
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import click

from thumbstack.refusal import NoRoom


class KeyList:
    """The file that tells which key stands for what: whole after a whole run, since it tells of what was here, too."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> "KeyList":
        if self._path:
            try:
                self._file = self._path.open("w", newline="", encoding="utf-8", errors="surrogateescape")
                self._write("source", "key")
            except OSError as error:
                self._close()
                raise click.UsageError(f"--map {self._path}: {error.strerror}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._file:
            # Each row was written at once: what is left is one that could not be, and was told.
            with suppress(OSError):
                self._file.close()

    def write(self, source: str, key: str) -> None:
        """Add a row."""
        with self._lock:
            try:
                self._write(source, key)
            except OSError as error:
                raise NoRoom(f"--map {self._path}: {error.strerror}.") from error

    def _write(self, *row: str) -> None:
        if self._file:
            csv.writer(self._file).writerow(row)
            self._file.flush()

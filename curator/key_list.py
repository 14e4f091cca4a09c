"""The file that tells which key stands for what was elsewhere."""

import csv
import threading
from pathlib import Path
from typing import TextIO

import click


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
            except OSError as error:
                raise click.UsageError(f"--map {self._path}: {error.strerror}") from error
            self.write("source", "key")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def write(self, source: str, key: str) -> None:
        if self._file:
            with self._lock:
                csv.writer(self._file).writerow((source, key))

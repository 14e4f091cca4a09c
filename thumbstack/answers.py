"""What the service answers, as Python has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from thumbstack.connection import Unreachable


@dataclass(frozen=True)
class Picture:
    """A picture that the service keeps. Width and height as one sees it, None for a PDF; `bytes` as stored."""

    name: str
    key: str
    url: str
    content_type: str
    width: int | None
    height: int | None
    frames: int | None
    bytes: int
    sha256: str | None
    # What is stored is not what was sent: GPS data is out, for one.
    altered: bool
    uploaded: datetime
    dominant_color: str | None
    placeholder: str | None
    # A signed URL for each preset.
    urls: Mapping[str, str]
    note: str = ""
    crop: str | None = None
    # The same bytes had been there under the same name: nothing was stored.
    duplicate: bool = False


@dataclass(frozen=True)
class Page:
    """A page of a list; `next` is the next one's `after`, None on the last."""

    pictures: Sequence[Picture]
    next: str | None


@dataclass(frozen=True)
class Deleted:
    """What a delete removed, or, as a dry run, would."""

    status: str
    originals: int
    results: int
    # Copies in the cache of the node that answered; those of other nodes are gone within a minute, and are not counted.
    edge: int
    keys: Sequence[str]


@dataclass(frozen=True)
class Ticket:
    """Leave to post one file, or files into one folder, straight to S3 until it expires."""

    url: str
    # The fields of the form as JSON has them; a page posts them with dashes, and the file behind them.
    data: Mapping[str, str]
    file_prefix: str
    file_url_path: str
    expires: datetime


_Kind = TypeVar("_Kind", Picture, Deleted, Ticket)


def read_answer(kind: type[_Kind], told: Any, *way: str | int) -> _Kind:
    """An answer of a kind, or what lies that way in it; what a newer service says beside that is left out."""
    try:
        for step in way:
            told = told[step]
        values = {name: told[name] for name in (each.name for each in fields(kind)) if name in told}
        for name in ("uploaded", "expires"):
            if name in values:
                values[name] = datetime.fromisoformat(values[name])
        return kind(**values)
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise Unreachable("An answer came, but not as Thumbstack gives it: is the address right?") from error

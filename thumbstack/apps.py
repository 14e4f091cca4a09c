"""Apps and their API keys: who may put pictures in, and who may also take them back out."""

import hmac
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from thumbstack.picture_key import is_segment

_KEY = re.compile(r"[A-Za-z0-9_-]{20,128}")


@dataclass(frozen=True)
class AppKeys:
    """A pair of keys of one app. An app may have several pairs, so that keys can be renewed with overlap."""

    app: str
    public_key: str = field(repr=False)
    private_key: str = field(repr=False)


@dataclass(frozen=True)
class Grant:
    """What a caller may do: reach the folder of `app`; with `private`, also read by name, list, sign and delete."""

    app: str
    private: bool


class Apps:
    """All key pairs, and the app that may be used without a key, which only a laptop's profile names."""

    def __init__(self, pairs: Sequence[AppKeys], open_app: str | None = None) -> None:
        self._pairs = pairs
        self._open_app = open_app

    def grant(self, presented: Iterable[str]) -> Grant | None:
        """What the presented keys allow together; None when they allow nothing.

        A wrong key is not the same as no key: it gets nothing, also where an app is open.
        """
        presented = [key for key in presented if key]
        if not presented:
            return Grant(self._open_app, private=True) if self._open_app else None
        granted: Grant | None = None
        for key in presented:
            found = self._find(key)
            if found is None or (granted and granted.app != found.app):
                return None
            granted = found if granted is None or found.private else granted
        return granted

    def _find(self, key: str) -> Grant | None:
        # Every pair is compared, and each in constant time, so that the time tells nothing about any key.
        found: Grant | None = None
        for pair in self._pairs:
            public = hmac.compare_digest(key.encode(), pair.public_key.encode())
            private = hmac.compare_digest(key.encode(), pair.private_key.encode())
            if public or private:
                found = Grant(pair.app, private)
        return found


def read_app_keys(text: str) -> list[AppKeys]:
    """Read ``[{"app": ..., "public_key": ..., "private_key": ...}, ...]``; an error names the entry, never a key."""
    try:
        entries = json.loads(text) if text.strip() else []
    except json.JSONDecodeError as error:
        raise ValueError(f"API_KEYS is no JSON: {error.msg} at character {error.pos}") from None
    if not isinstance(entries, list):
        raise ValueError("API_KEYS must be a JSON list")
    pairs = [_read_entry(number, entry) for number, entry in enumerate(entries, start=1)]
    keys = [key for pair in pairs for key in (pair.public_key, pair.private_key)]
    if len(set(keys)) != len(keys):
        raise ValueError("API_KEYS: the same key stands in it twice")
    return pairs


def _read_entry(number: int, entry: Any) -> AppKeys:
    fields = ("app", "public_key", "private_key")
    if not isinstance(entry, dict) or sorted(entry) != sorted(fields):
        raise ValueError(f"API_KEYS entry {number} must have exactly the fields {', '.join(fields)}")
    app = entry["app"]
    if not isinstance(app, str) or not is_segment(app):
        raise ValueError(f"API_KEYS entry {number}: the app must be lower case letters, digits, '.', '_' or '-'")
    for name in fields[1:]:
        if not isinstance(entry[name], str) or not _KEY.fullmatch(entry[name]):
            raise ValueError(f"API_KEYS entry {number} (app {app}): {name} must be 20 to 128 of A-Z a-z 0-9 _ -")
    return AppKeys(**entry)

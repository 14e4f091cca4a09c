"""Apps and their API keys: who may put pictures in, and who may also take them back out."""

import hmac
import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from thumbstack.picture_key import is_segment
from thumbstack.picture_type import BY_EXTENSION, PictureType

_KEY = re.compile(r"[A-Za-z0-9_-]{20,128}")
_SWITCHES = ("keep_location", "upright", "hold")


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


@dataclass(frozen=True)
class Rules:
    """What an app wants done with its uploads, where it differs from what is done for everybody."""

    # Types that it takes; empty: all.
    types: frozenset[PictureType] = frozenset()
    # Leave GPS data in stored originals.
    keep_location: bool = False
    # Store JPEGs upright instead of marked as to be turned.
    upright: bool = False
    # Let what is posted straight to S3 wait unseen until /complete has inspected it.
    hold: bool = False


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
        presented = key.encode("utf-8", "surrogatepass")
        for pair in self._pairs:
            public = hmac.compare_digest(presented, pair.public_key.encode())
            private = hmac.compare_digest(presented, pair.private_key.encode())
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


def read_rules(text: str) -> dict[str, Rules]:
    """Read ``{"<app>": {"types": ["jpg"], "hold": true}}``, fields of Rules; an error names the app."""
    try:
        entries = json.loads(text) if text.strip() else {}
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error.msg} at character {error.pos}") from None
    if not isinstance(entries, dict):
        raise ValueError("must be a JSON object with an entry for each app")
    return {app: _read_rules(app, entry) for app, entry in entries.items()}


def _read_rules(app: str, entry: Any) -> Rules:
    if not isinstance(entry, dict) or entry.keys() - {"types", *_SWITCHES}:
        raise ValueError(f"app {app} may have types, {', '.join(_SWITCHES)}, and nothing else")
    extensions = entry.get("types", [])
    if not isinstance(extensions, list) or not all(extension in BY_EXTENSION for extension in extensions):
        raise ValueError(f"app {app}: types must be a list of {', '.join(sorted(BY_EXTENSION))}")
    switches = [entry.get(name, False) for name in _SWITCHES]
    if not all(isinstance(switch, bool) for switch in switches):
        raise ValueError(f"app {app}: {', '.join(_SWITCHES)} must be true or false")
    return Rules(frozenset(BY_EXTENSION[extension] for extension in extensions), *switches)


def mint(app: str) -> dict[str, str]:
    """A new pair of keys for an app, as an entry of API_KEYS."""
    if not is_segment(app):
        raise ValueError("the app must be lower case letters, digits, '.', '_' or '-': make keys APP=shop")
    return {"app": app, "public_key": secrets.token_urlsafe(24), "private_key": secrets.token_urlsafe(24)}


if __name__ == "__main__":
    import argparse
    import sys

    parser = argparse.ArgumentParser(
        prog="make keys", description="Mints a pair of API keys: add what it prints to the list in API_KEYS."
    )
    parser.add_argument("app", help="name of the app: lower case letters, digits, '.', '_' or '-'")
    try:
        print(json.dumps(mint(parser.parse_args().app)))
    except ValueError as problem:
        sys.exit(str(problem))
